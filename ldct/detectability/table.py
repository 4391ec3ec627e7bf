"""Detectability of inserted discs as one table: d' of every method and its change against LDCT."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ldct.common.errors import InputError
from ldct.detectability.detection import CHANGES, DISC, VALUES, mean_over_seeds, paired_interval
from ldct.detectability.observers import FEWEST_PLACES
from ldct.rendering.numbers import MISSING, number, with_bounds, write_tables
from ldct.rendering.page import PlainTable

LOW_DOSE = "ldct"


def write_detectability_table(
    values: pd.DataFrame,
    titles: Mapping[str, str],
    notes: Sequence[str],
    stem: Path,
    inputs: Sequence[Path],
) -> None:
    """Write `<stem>.{csv,md,html}`.

    values : `detectability_summary`. titles : method to title, in order.
    """
    cells = values.set_index(["method", "diameter_mm"])
    diameters = sorted(set(values["diameter_mm"]))
    rows = []
    for method, title in titles.items():
        row = [title]
        for place in ((method, diameter) for diameter in diameters):
            for names in (VALUES, CHANGES):
                known = place in cells.index and (method, names) != (LOW_DOSE, CHANGES)
                row.append(with_bounds(*cells.loc[place, names], 2) if known else MISSING)
        rows.append(row)
    heads = [f"{each:g} mm: {what}" for each in diameters for what in ("d'", "change")]
    table = PlainTable("d', and its change against LDCT", ["Method", *heads], rows)
    title = "Detectability of low-contrast discs"
    write_tables(stem, title, [table] if len(values) else [], values, notes, inputs)


def detectability_summary(
    frame: pd.DataFrame, titles: Mapping[str, str], confidence: float = 0.95
) -> pd.DataFrame:
    """Means over seeds of d' and of its change against LDCT, with bounds over places and seeds.

    frame : rows of `ldct.detectability.detection`, those of `ldct` among them.
    Returns method, DISC, VALUES, CHANGES, n_signals, n_seeds, confidence; methods in the order of
    `titles`. Raises InputError where there are no rows of LDCT, or where seeds do not pair.
    """
    if len(frame) and LOW_DOSE not in set(frame["method"]):
        found = ", ".join(sorted(set(frame["method"])))
        raise InputError(
            f"table of detectability: found rows of {found}, expected those of ldct too; add "
            "detectability/ldct/fixed.parquet"
        )
    low = dict(iter(frame[frame["method"] == LOW_DOSE].groupby(DISC)))
    groups = dict(iter(frame.groupby(["method", *DISC], sort=False)))
    rows = []
    for (method, *disc), own in groups.items():
        value = mean_over_seeds(own, confidence)
        change = paired_interval(own, low[tuple(disc)], confidence)
        numbers = [value.estimate, np.maximum(value.lower, 0), value.upper, *change.numbers]
        rows.append([method, *disc, *numbers, own["n_signals"].iloc[0], value.n_seeds, confidence])
    counts = ["n_signals", "n_seeds", "confidence"]
    table = pd.DataFrame(rows, columns=["method", *DISC, *VALUES, *CHANGES, *counts])
    table = table[table["method"].isin(titles)]
    order = {name: place for place, name in enumerate(titles)}
    return table.sort_values("method", key=lambda names: names.map(order), kind="stable")


def detectability_notes(discs: Mapping[str, Any], note: str, values: pd.DataFrame) -> list[str]:
    """What must be known beside the table and the figure: what was inserted, and the intervals.

    discs : content of discs.json. note : data, dose and budget. values : `detectability_summary`.
    """
    if discs["problem"] or values.empty:
        return [f"{note}. No discs were inserted: {discs['problem']}."]
    sites, slices = len(discs["sites"]), len({site["slice_index"] for site in discs["sites"]})
    seeds, confidence = int(values["n_seeds"].max()), values["confidence"].iloc[0]
    trainings = f" and {seeds} training seeds" if seeds > 1 else ", one training seed"
    few = f" Too few places: d' needs {FEWEST_PLACES}." if sites < FEWEST_PLACES else ""
    return [
        f"{note}. Discs of {number(discs['contrast_hu'], 0)} HU in the full dose of "
        f"{discs['patient']}, at {sites} flat places in {slices} slices; their quarter dose is "
        f"simulated (noise × {discs['dose']['noise_ratio']:.2f}).",
        f"Channelised Hotelling observer. {100 * confidence:g} % intervals over places of one "
        f"patient{trainings}; change: at the same places, not corrected for many methods.{few}",
    ]
