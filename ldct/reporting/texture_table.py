"""Table of the texture lab as CSV, Markdown, HTML and JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ldct.evaluation.periodic_peaks import NullLevel
from ldct.evaluation.texture import MEASURES
from ldct.evaluation.texture_summary import MethodTexture, TextureSummary
from ldct.files import atomic_path, write_json, write_text
from ldct.reporting.texture_formats import Cell, Table, to_html, to_markdown

MISSING = "–"
# Measure, heading, decimals.
NOISE_COLUMNS = (
    ("noise_std_hu", "Noise σ (HU)", 1),
    ("mean_frequency", "Mean frequency (1/mm)", 3),
    ("peak_frequency", "Peak frequency (1/mm)", 3),
    ("anisotropy", "Anisotropy", 2),
    ("texture_distance", "Texture distance (1/mm)", 3),
    ("difference_noise_std_hu", "σ of output − NDCT (HU)", 1),
    ("difference_mean_frequency", "Mean frequency of output − NDCT (1/mm)", 3),
)
PEAK_COLUMNS = (
    ("periodic_peak", "Periodic peak", 2),
    ("periodic_peak_all", "Periodic peak, all squares", 2),
    ("periodic_peak_pooling", "Peak at pooling frequencies", 2),
)
STRONGEST = "Strongest peak"
MARKS = {"above": " (above)", "above NDCT": " (above NDCT)", "undecided": " (undecided)"}
# Where the squares of each score lie, or at which frequencies it looks.
PLACES = {
    "periodic_peak": "flatter half",
    "periodic_peak_pooling": "pooling frequencies",
    "periodic_peak_all": "all squares",
}
GROUPS = (("reference", "References"), ("method", "Methods"), ("control", "Controls"))


def write_texture_tables(
    summary: TextureSummary, facts: Mapping[str, Any], context: str, credit: str, folder: Path
) -> list[Path]:
    """Write texture.csv (all measures), .md, .html and .json into `folder`; returns the paths.

    facts : content of squares.json. context : data, dose and budget in words.
    """
    rows = [_row(found) for found in summary.methods]
    stem = folder / "texture"
    paths = [stem.with_suffix(suffix) for suffix in (".csv", ".md", ".html", ".json")]
    with atomic_path(paths[0]) as temporary:
        pd.DataFrame([{k: v for k, v in row.items() if k != "peak"} for row in rows]).to_csv(
            temporary, index=False
        )
    tables = _tables(summary)
    notes = [*_notes(summary, facts, context), *([credit] if credit else [])]
    write_text(paths[1], to_markdown(tables, notes))
    write_text(paths[2], to_html(tables, notes))
    content = {
        "null_levels": {name: null.level for name, null in summary.null_levels.items()},
        "null_level_parts": {
            name: {**asdict(null), "applied": null.applied}
            for name, null in summary.null_levels.items()
        },
        "squares": facts,
        "context": context,
        "n_slices": summary.n_slices,
        "methods": rows,
    }
    write_json(paths[3], _without_nan(content))
    return paths


def _row(found: MethodTexture) -> dict[str, Any]:
    row: dict[str, Any] = {"method": found.method, "title": found.title, "kind": found.kind}
    for name in MEASURES:
        interval = found.intervals.get(name)
        row[name] = interval.estimate if interval else np.nan
        row[f"{name}_lower"] = interval.lower if interval else np.nan
        row[f"{name}_upper"] = interval.upper if interval else np.nan
    row |= {f"{name}_exceeds_null": verdict for name, verdict in found.exceeds.items()}
    row |= {f"{name}_exceeds_ndct": verdict for name, verdict in found.exceeds_ndct.items()}
    row |= {"pattern": found.pattern, "pattern_ndct": found.pattern_ndct, "peak": found.peak}
    row |= {f"strongest_{key}": value for key, value in (found.peak or {}).items()}
    any_interval = next(iter(found.intervals.values()), None)
    if any_interval:
        row |= {
            "confidence": any_interval.confidence,
            "n_patients": any_interval.n_patients,
            "n_slices": any_interval.n_slices,
            "n_seeds": any_interval.n_seeds,
        }
    return row


def _tables(summary: TextureSummary) -> list[Table]:
    noise = {found.method: _cells(found, NOISE_COLUMNS) for found in summary.methods}
    peak = {
        found.method: [*_cells(found, PEAK_COLUMNS), Cell(describe_peak(found.peak))]
        for found in summary.methods
    }
    heads = [head for _, head, _ in NOISE_COLUMNS], [head for _, head, _ in PEAK_COLUMNS]
    return [
        Table("Noise power", heads[0], _groups(summary, noise)),
        Table("Periodic peaks", [*heads[1], STRONGEST], _groups(summary, peak)),
    ]


def _groups(
    summary: TextureSummary, cells: Mapping[str, Sequence[Cell]]
) -> list[tuple[str, list[tuple[str, Sequence[Cell]]]]]:
    groups = []
    for kind, title in GROUPS:
        members = [found for found in summary.methods if _group_of(found) == kind]
        if members:
            groups.append((title, [(found.title, cells[found.method]) for found in members]))
    return groups


def _group_of(found: MethodTexture) -> str:
    return found.kind if found.kind in ("reference", "control") else "method"


def _cells(found: MethodTexture, columns: Sequence[tuple[str, str, int]]) -> list[Cell]:
    cells = []
    for name, _, decimals in columns:
        interval = found.intervals.get(name)
        if interval is None:
            cells.append(Cell(MISSING))
            continue
        spread = ""
        if np.isfinite(interval.lower):
            bounds = (_number(bound, decimals) for bound in (interval.lower, interval.upper))
            spread = "{} to {}".format(*bounds)
        mark = _mark(found, name)
        value = _number(interval.estimate, decimals) + MARKS.get(mark, "")
        cells.append(Cell(value, spread, mark))
    return cells


def _mark(found: MethodTexture, score: str) -> str:
    """Most that is true of a score of periodic peaks; empty where nothing is."""
    if found.exceeds.get(score) == "yes":
        return "above"
    if found.exceeds_ndct.get(score) == "yes":
        return "above NDCT"
    return "undecided" if found.exceeds.get(score) == "undecided" else ""


def describe_peak(peak: Mapping[str, float] | None) -> str:
    """`(0.31, −0.16) c/px, 0.7 HU`: place of the highest excess (row, column) and its strength."""
    if peak is None:
        return MISSING
    place = ", ".join(_number(peak[f"{axis}_frequency"], 2) for axis in ("row", "column"))
    return f"({place}) c/px, {peak['rms_hu']:.1f} HU"


def _number(value: float, decimals: int) -> str:
    text = f"{value:.{decimals}f}"
    return (text[1:] if float(text) == 0 and text[0] == "-" else text).replace("-", "−")


def _notes(summary: TextureSummary, facts: Mapping[str, Any], context: str) -> list[str]:
    intervals = [i for found in summary.methods for i in found.intervals.values()]
    interval = max(intervals, key=lambda one: one.n_seeds, default=None)
    if interval is None:
        return [
            f"Data: {context}.",
            "Nothing was measured: no slice has enough squares of soft tissue.",
        ]
    side, window = facts["side_px"], facts["window_hu"]
    halves = facts["ndct_halves_distance"]
    return [
        f"Data: {context}.",
        f"{facts['n_squares']} squares of {side}x{side} pixels in {summary.n_slices} slices, the "
        "flatter half of all squares of soft tissue, chosen by rule on NDCT and the same for all "
        f"images; output minus NDCT: {facts['n_difference_squares']} squares. "
        f"{100 * facts['ldct_share_outside_window']:.2g} % of LDCT pixels in them lie outside "
        f"[{window[0]:g}, {window[1]:g}] HU, beyond which networks see nothing.".replace("-", "−"),
        f"Below each mean: {100 * interval.confidence:g} % interval over {interval.note}.",
        "Peak frequency: where the radial spectrum is highest, interpolated between bins of "
        f"{summary.methods[0].frequency[0]:.3f} 1/mm; in the lowest bin it may be anatomy.",
        "Texture distance: Wasserstein distance of the normalised radial spectra to that of NDCT"
        + (f"; between halves of NDCT's own squares it is {halves:.3f} 1/mm." if halves else "."),
        "Periodic peak: excess (1 = twice the smooth background) at the frequency that stands out "
        "in the other half of the slices. Pooling frequencies: multiples of 1/8, 1/4 and 1/2 "
        "cycles per pixel, where max-pooling leaves traces.",
        *_level_notes(summary.null_levels),
        "The interval is that at the frequencies picked and does not cover the picking: the score "
        "is given in the flatter half and in all squares, and where the two disagree nothing is "
        "settled.",
        "Strongest peak: of the mean spectrum, as (row, column) frequency, and the root mean "
        "square of the pattern; every spectrum has one, whether above the null level or not.",
    ]


def _level_notes(levels: Mapping[str, NullLevel]) -> list[str]:
    """NDCT's own level, the floor, which of them applied, and what the marks mean."""
    if any(null.applied is None for null in levels.values()):
        return ["Null level: NDCT has too few squares to give one."]
    floor = max(null.floor for null in levels.values())
    applied = {"floor": "the floor", "ndct_quantile": "NDCT's own"}
    found = "; ".join(
        f"{PLACES[name]} {_number(null.ndct_quantile, 2)}, {_number(null.level, 2)} "
        f"({applied[null.applied]})"
        for name, null in levels.items()
    )
    return [
        "Null level: the higher of NDCT's own level, the 95th percentile of its excess, and a "
        f"floor of {floor:.2f}, what the background fit may miss. NDCT's own and the null level: "
        f"{found}.",
        "“Above”: the whole interval lies above the null level; “above NDCT”: above NDCT's own "
        "level, but not above the null level; “undecided”: neither, but the mean lies above the "
        "null level; no mark: none of these.",
    ]


def _without_nan(content: Any) -> Any:
    """JSON has no NaN: null instead."""
    if isinstance(content, Mapping):
        return {key: _without_nan(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_without_nan(value) for value in content]
    return None if isinstance(content, float) and not np.isfinite(content) else content
