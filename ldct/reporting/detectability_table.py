"""Detectability of inserted discs as a table: d' of every method, disc and observer."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

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
) -> None:
    """Write `<stem>.{csv,md,html}`.

    frame : rows of `ldct.evaluation.disc_detection`. titles : method to title, in order.
    """
    values = detectability_summary(frame, titles)
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


def detectability_summary(frame: pd.DataFrame, titles: Mapping[str, str]) -> pd.DataFrame:
    """Means over seeds of d', its change against LDCT, and all bounds; KEYS, VALUES, sites, seeds.

    All seeds denoise the same crops: the mean of their bounds is a bound of their mean, if a wide
    one.
    """
    own = frame[frame["method"].isin(titles)]
    grouped = own.groupby(KEYS, sort=False)
    means = grouped[VALUES].mean()
    means["n_signals"] = grouped["n_signals"].first()
    means["n_seeds"] = grouped["seed"].nunique()
    order = {name: place for place, name in enumerate(titles)}
    table = means.reset_index()
    return table.sort_values("method", key=lambda names: names.map(order), kind="stable")


def detectability_notes(discs: Mapping[str, Any], note: str, confidence: float = 0.95) -> list[str]:
    """What must be known beside the table and the figure.

    discs : content of discs.json. note : data, dose and budget. confidence : of the bounds.
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
        f"{CHANNEL_WIDTH_DIAMETERS:g} disc diameter; NPW: the disc as NDCT shows it; both see "
        f"{REGION_DIAMETERS:g} diameters and no mean level. Brackets and bars: "
        f"{100 * confidence:g} % jackknife intervals over the places, so they say nothing of other "
        "patients. LDCT is shared by all rows: judge a method by its change, not by whether two "
        "bars overlap.",
        *filter(None, [few]),
    ]


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
