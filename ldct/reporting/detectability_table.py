"""Detectability of inserted discs as a table: d' of every method, disc and observer."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ldct.errors import InputError
from ldct.evaluation.disc_detection import FIXED_TEMPLATE, mean_over_seeds, paired_interval
from ldct.evaluation.observers import CHANNEL_WIDTH_DIAMETERS, CHANNELS, REGION_DIAMETERS
from ldct.reporting.bench_tables import MISSING, number, with_bounds, write_tables
from ldct.reporting.plain_table import PlainTable

TITLES = {
    "cho": "Channelised Hotelling observer",
    "npw": "Non-prewhitening matched filter",
}
KEYS = ["method", "observer", "contrast_hu", "diameter_mm"]
VALUES = ["d_prime", "lower", "upper", "change", "change_lower", "change_upper"]


def write_detectability_table(
    frame: pd.DataFrame,
    titles: Mapping[str, str],
    notes: Sequence[str],
    stem: Path,
    inputs: Sequence[Path],
    confidence: float = 0.95,
) -> None:
    """Write `<stem>.{csv,md,html}`.

    frame : rows of `ldct.evaluation.disc_detection`. titles : method to title, in order.
    confidence : of the bounds.
    """
    values = detectability_summary(frame, titles, confidence)
    sections = [
        section
        for observer, title in TITLES.items()
        for section in (
            _section(values, titles, observer, f"{title}: d'", "d_prime", "lower", "upper"),
            _section(
                values,
                titles,
                observer,
                f"{title}: d' minus that of LDCT, at the same places",
                "change",
                "change_lower",
                "change_upper",
            ),
        )
    ]
    title = "Detectability of low-contrast discs"
    write_tables(stem, title, sections if len(values) else [], values, notes, inputs)


def detectability_summary(
    frame: pd.DataFrame, titles: Mapping[str, str], confidence: float = 0.95
) -> pd.DataFrame:
    """Means over seeds of d' and of its change against LDCT, with bounds over places and seeds.

    frame : rows of `ldct.evaluation.disc_detection`, those of `ldct` among them.
    Returns KEYS, VALUES, n_signals, n_seeds, confidence; methods in the order of `titles`.
    Raises InputError where there are no rows of LDCT, or where seeds do not pair.
    """
    if len(frame) and "ldct" not in set(frame["method"]):
        found = ", ".join(sorted(set(frame["method"])))
        raise InputError(
            f"table of detectability: found rows of {found}, expected those of ldct too; add "
            "detectability/ldct/fixed.parquet"
        )
    low = dict(iter(frame[frame["method"] == "ldct"].groupby(KEYS[1:])))
    rows = []
    for keys, own in frame[frame["method"].isin(titles)].groupby(KEYS, sort=False):
        value = mean_over_seeds(own, confidence)
        change = paired_interval(own, low[keys[1:]], confidence)
        lowest = -np.inf if keys[1] in FIXED_TEMPLATE else 0.0
        numbers = [value.estimate, np.maximum(value.lower, lowest), value.upper]
        numbers += [change.estimate, change.lower, change.upper]
        counts = [own["n_signals"].iloc[0], value.n_seeds, confidence]
        rows.append([*keys, *numbers, *counts])
    table = pd.DataFrame(rows, columns=[*KEYS, *VALUES, "n_signals", "n_seeds", "confidence"])
    order = {name: place for place, name in enumerate(titles)}
    return table.sort_values("method", key=lambda names: names.map(order), kind="stable")


def seeds_of(frame: pd.DataFrame, titles: Mapping[str, str]) -> int:
    """Training seeds of the methods that were trained; 1 where none has several."""
    seeds = frame[frame["method"].isin(titles)].groupby("method")["seed"].nunique()
    return int(seeds.max()) if len(seeds) else 1


def detectability_notes(
    discs: Mapping[str, Any], note: str, confidence: float = 0.95, n_seeds: int = 1
) -> list[str]:
    """What must be known beside the table and the figure.

    discs : content of discs.json. note : data, dose and budget. confidence : of the bounds.
    n_seeds : training seeds (`seeds_of`).
    """
    if discs["problem"]:
        return [f"{note}.", f"No discs were inserted: {discs['problem']}."]
    sites, slices = len(discs["sites"]), len({site["slice_index"] for site in discs["sites"]})
    few = f"Too few places: CHO needs {CHANNELS + 4}, NPW 5." if sites < CHANNELS + 4 else ""
    return [
        f"{note}.",
        f"Discs inserted into the full dose of {discs['patient']}, at {_plural(sites, 'place')} of "
        f"flat soft tissue in {_plural(slices, 'slice')} found by rule, before the quarter dose of "
        f"these crops was simulated (noise {discs['dose']['noise_ratio']:.2f} times that of the "
        "full dose, as measured in the patient's own quarter dose).",
        f"Signal and place known exactly. CHO: {CHANNELS} Laguerre-Gauss channels of "
        f"{CHANNEL_WIDTH_DIAMETERS:g} disc diameter; NPW: the disc as NDCT shows it, negative "
        f"where an image shows it inverted; both see {REGION_DIAMETERS:g} diameters and no mean "
        f"level. Brackets and bars: {100 * confidence:g} % jackknife intervals over the places, so "
        f"they say nothing of other patients. {_seeds_text(n_seeds)} LDCT is shared by all rows: "
        "judge a method by its change, not by whether two bars overlap.",
        *filter(None, [few]),
    ]


def _seeds_text(n_seeds: int) -> str:
    if n_seeds == 1:
        return "One training seed: nothing is said of other trainings."
    return (
        f"Means over {n_seeds} training seeds, whose spread is in the intervals; what is not "
        "trained has one value."
    )


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("s" if count != 1 else "")


def signal_title(contrast_hu: float, diameter_mm: float) -> str:
    """A disc in words, e.g. "−10 HU, 4 mm"."""
    return f"{number(contrast_hu, 0)} HU, {diameter_mm:g} mm"


def signals_of(values: pd.DataFrame) -> list[tuple[float, float]]:
    """(contrast_hu, diameter_mm) of the discs, the faintest first, then the smallest."""
    pairs = set(zip(values["contrast_hu"], values["diameter_mm"], strict=True))
    return sorted(pairs, key=lambda pair: (abs(pair[0]), pair[1]))


def _section(
    values: pd.DataFrame, titles: Mapping[str, str], observer: str, title: str, *names: str
) -> PlainTable:
    cells = values[values["observer"] == observer].set_index(KEYS[:1] + KEYS[2:])
    signals = signals_of(values)
    rows = []
    for method, label in titles.items():
        found = [(method, *signal) for signal in signals]
        rows.append(
            [
                label,
                *(
                    with_bounds(*cells.loc[key, list(names)], 2) if key in cells.index else MISSING
                    for key in found
                ),
            ]
        )
    return PlainTable(title, ["Method", *(signal_title(*signal) for signal in signals)], rows)
