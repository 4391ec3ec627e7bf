"""Lesion bench as a table: means over the lesion slices with intervals, and lesion by lesion."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ldct.evaluation.lesion_measures import MEASURES
from ldct.evaluation.protocol import Protocol
from ldct.evaluation.uncertainty import FEWEST_PATIENTS, mean_interval, patients_text
from ldct.reporting.bench_tables import number, with_bounds, write_tables
from ldct.reporting.plain_table import PlainTable

HEADS = {
    "cnr": ("CNR", 2),
    "contrast_retention": ("contrast retention", 3),
    "edge_width_mm": ("edge width (mm)", 2),
    "noise_std_hu": ("local noise (HU)", 1),
    "mean_frequency": ("mean noise frequency (1/mm)", 3),
    "crop_psnr": ("crop PSNR (dB)", 2),
    "crop_ssim": ("crop SSIM", 4),
}
# Differences from NDCT, which has none from itself.
AGAINST_NDCT = ("noise_std_hu", "mean_frequency")
OUTSIDE_SHARE = 0.5


def write_lesion_table(
    frame: pd.DataFrame,
    titles: Mapping[str, str],
    notes: Sequence[str],
    stem: Path,
    inputs: Sequence[Path],
    options: Mapping[str, Any] | None = None,
) -> None:
    """Write `<stem>.{csv,md,html}`.

    frame : rows of the lesion bench. titles : method to title, in the order of the rows. options :
        confidence of the intervals.
    """
    values = lesion_summary(frame, titles, options)
    sections = [_means(values, counts_of(frame, titles), titles), *_per_lesion(frame, titles)]
    brackets = [
        f"Brackets: {100 * confidence:g} % intervals of the mean over {_scope(values)}."
        for confidence in values["confidence"].dropna().unique()
    ]
    notes = [*notes[:1], *brackets, *notes[1:]]
    write_tables(stem, "Annotated lesions", sections, values, notes, inputs)


def _scope(values: pd.DataFrame) -> str:
    """What the intervals generalise to."""
    none = ": no interval" if values["lower"].isna().all() else ""
    return patients_text(int(values["n_patients"].max())) + none


def lesion_summary(
    frame: pd.DataFrame, titles: Mapping[str, str], options: Mapping[str, Any] | None = None
) -> pd.DataFrame:
    """Mean of every measure over lesion slices, then seeds, with its interval.

    options : confidence of the intervals. One row per method and measure: method,
    measure, mean, lower, upper, confidence, n_slices,
    n_lesions, n_patients, n_seeds, n_failed (`failures_of`).
    """
    rows = []
    failures = {measure: failures_of(frame, titles, measure) for measure in MEASURES}
    for method in titles:
        own = frame[frame["method"] == method]
        for measure in MEASURES:
            row: dict[str, Any] = {"method": method, "measure": measure}
            known = own[own[measure].notna()]
            row["n_lesions"] = len({key[:2] for key in _keys(known)})
            row["n_failed"] = failures[measure][method]
            if len(known):
                found = mean_interval(known, measure, **(options or {}))
                row["confidence"] = found.confidence
                row |= {"mean": found.estimate, "lower": found.lower, "upper": found.upper}
                row["n_slices"] = found.n_slices
                row |= {"n_patients": found.n_patients, "n_seeds": found.n_seeds}
            rows.append(row)
    columns = ["method", "measure", "mean", "lower", "upper", "confidence"]
    counts = ["n_slices", "n_lesions", "n_patients", "n_seeds", "n_failed"]
    return pd.DataFrame(rows, columns=columns + counts)


def counts_of(frame: pd.DataFrame, titles: Mapping[str, str]) -> dict[str, tuple[int, int]]:
    """Measure to the number of lesion slices, and of lesions, that have it in any of the images."""
    places = {measure: _places(frame, titles, measure) for measure in MEASURES}
    return {
        measure: (len(found), len({key[:2] for key in found})) for measure, found in places.items()
    }


def failures_of(frame: pd.DataFrame, titles: Mapping[str, str], measure: str) -> dict[str, int]:
    """Method to the number of lesion slices that it lacks a measure in which other images have."""
    measurable = _places(frame, titles, measure)
    found = {}
    for method in titles:
        own = frame[(frame["method"] == method) & frame[measure].isna()]
        # NDCT has no difference from itself: nothing failed.
        nothing = method == "ndct" and measure in AGAINST_NDCT
        found[method] = 0 if nothing else len(measurable & set(_keys(own)))
    return found


def _places(
    frame: pd.DataFrame, titles: Mapping[str, str], measure: str
) -> set[tuple[str, str, int]]:
    shown = frame[frame["method"].isin(titles)]
    return set(_keys(shown[shown[measure].notna()]))


def _keys(rows: pd.DataFrame) -> list[tuple[str, str, int]]:
    """Patient, lesion and slice of each row."""
    return list(zip(rows["patient"], rows["lesion"], rows["slice_index"], strict=True))


def lesion_notes(
    frame: pd.DataFrame, protocol: Protocol, scaling: Mapping[str, Any], note: str
) -> list[str]:
    """What must be known beside the table and the figure, one sentence or two each.

    frame : rows of the lesion bench. scaling : `window` and `clip` of the networks' input. note :
        data, dose and budget.
    """
    lower, upper = protocol.window
    window = f"[{lower:g}, {upper:g}] HU".replace("-", "−")
    lines = [f"{note}."]
    if frame.empty:
        return [*lines, "No annotated lesion lies in the test slices."]
    measured = frame.drop_duplicates(["patient", "slice_index", "lesion"])
    lesions = measured.groupby(["patient", "lesion"]).ngroups
    patients = measured["patient"].nunique()
    few = "" if patients >= FEWEST_PATIENTS else "; they say nothing of other patients"
    lines.append(
        f"{len(measured)} slices of {lesions} lesion{'s' if lesions > 1 else ''} of "
        f"{patients} patient{'s' if patients > 1 else ''}{few}. Not every measure can be taken in "
        "all of them: the number stands with each."
    )
    if protocol.clip:
        outside = int((measured["outside_window"] > OUTSIDE_SHARE).sum())
        lines.append(
            f"All images are clipped to {window} first. "
            + (
                f"{outside} of {len(measured)} lesion slices have a background outside that window "
                "(lung): their contrast is to its bound, and their edge is its part in the window."
                if outside
                else ""
            )
        )
    blind = scaling["clip"] and (lower < scaling["window"][0] or upper > scaling["window"][1])
    if blind or (scaling["clip"] and not protocol.clip):
        seen = "[{:g}, {:g}] HU".format(*scaling["window"]).replace("-", "−")
        lines.append(f"Networks see {seen} alone: outside it their values mean nothing.")
    reasons = measured["note"].str.split("; ").explode()
    reasons = reasons[(reasons != "") & ~reasons.str.contains("outside the window", na=False)]
    if len(reasons):
        found = "; ".join(f"{text} ({count})" for text, count in _counts(reasons).items())
        lines.append(f"Not measured, with the number of lesion slices: {found}.")
    return lines


def _counts(reasons: pd.Series) -> pd.Series:
    """Reasons without what stands in brackets, and how often each occurs."""
    return reasons.str.replace(r" \(.*\)$", "", regex=True).value_counts()


def _means(
    values: pd.DataFrame, counts: Mapping[str, tuple[int, int]], titles: Mapping[str, str]
) -> PlainTable:
    cells = values.set_index(["method", "measure"])
    rows = [["n slices / n lesions", *("{} / {}".format(*counts[measure]) for measure in HEADS)]]
    for method, title in titles.items():
        row = [title]
        for measure, (_, digits) in HEADS.items():
            found = cells.loc[(method, measure)]
            text = with_bounds(found["mean"], found["lower"], found["upper"], digits)
            row.append(text + _failures(measure, found["n_failed"]))
        rows.append(row)
    head = ["Method", *(name for name, _ in HEADS.values())]
    return PlainTable("Mean over lesion slices", head, rows)


def _failures(measure: str, count: int) -> str:
    if not count:
        return ""
    return f" ({count} without {'an edge' if measure == 'edge_width_mm' else 'a value'})"


def _per_lesion(frame: pd.DataFrame, titles: Mapping[str, str]) -> list[PlainTable]:
    """Contrast retention and CNR of every lesion: means over its slices."""
    if frame.empty:
        return []
    groups = frame.groupby(["patient", "lesion", "method"], sort=True)
    sections = []
    for measure in ("contrast_retention", "cnr"):
        means = groups[measure].mean().unstack("method").reindex(columns=list(titles))
        name, digits = HEADS[measure]
        rows = [
            [f"{patient}, lesion {lesion}", *(number(value, digits) for value in line)]
            for (patient, lesion), line in zip(means.index, means.to_numpy(), strict=True)
            if not np.isnan(line).all()
        ]
        if rows:
            title = f"{name[0].upper()}{name[1:]} of each lesion, mean over its slices"
            sections.append(PlainTable(title, ["Lesion", *titles.values()], rows))
    return sections
