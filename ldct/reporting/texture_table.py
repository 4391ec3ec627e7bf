"""Table of the texture lab as CSV, Markdown and HTML."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ldct.evaluation.texture import MEASURES
from ldct.evaluation.texture_summary import MethodTexture, TextureSummary
from ldct.reporting.bench_tables import MISSING, with_bounds, write_tables
from ldct.reporting.plain_table import PlainTable

# Measure, heading, decimals; the CSV has the other measures too.
COLUMNS = (
    ("noise_std_hu", "Noise σ (HU)", 1),
    ("mean_frequency", "Mean frequency (1/mm)", 3),
    ("texture_distance", "Distance to NDCT (1/mm)", 3),
    ("lattice_ratio", "Lattice ratio", 2),
)


def write_texture_tables(
    summary: TextureSummary,
    facts: Mapping[str, Any],
    context: str,
    credit: str,
    folder: Path,
    inputs: Sequence[Path],
) -> None:
    """Write texture.csv (all measures), .md and .html into `folder`, with their records.

    facts : content of squares.json. context : data, dose and budget in words.
    """
    values = pd.DataFrame([_values(found) for found in summary.methods])
    rows = [[found.title, *_cells(found)] for found in summary.methods]
    table = PlainTable("Mean over slices", ["Image", *(head for _, head, _ in COLUMNS)], rows)
    notes = [*_notes(summary, facts), f"Data: {context}.", credit]
    write_tables(folder / "texture", "Texture of flat soft tissue", [table], values, notes, inputs)


def _values(found: MethodTexture) -> dict[str, Any]:
    row: dict[str, Any] = {"method": found.method, "title": found.title, "kind": found.kind}
    for name in MEASURES:
        interval = found.intervals.get(name)
        row |= {
            f"{name}{suffix}": getattr(interval, part, None)
            for suffix, part in (("", "estimate"), ("_lower", "lower"), ("_upper", "upper"))
        }
    counted = next(iter(found.intervals.values()), None)
    parts = ("confidence", "n_patients", "n_slices", "n_seeds")
    return row | {part: getattr(counted, part, None) for part in parts}


def _cells(found: MethodTexture) -> list[str]:
    intervals = [(found.intervals.get(name), digits) for name, _, digits in COLUMNS]
    return [
        with_bounds(one.estimate, one.lower, one.upper, digits) if one else MISSING
        for one, digits in intervals
    ]


def _notes(summary: TextureSummary, facts: Mapping[str, Any]) -> list[str]:
    intervals = [one for found in summary.methods for one in found.intervals.values()]
    if not intervals:
        return ["Nothing was measured: no slice has enough squares of soft tissue."]
    interval = max(intervals, key=lambda one: one.n_seeds)
    side, halves = summary.side, facts["ndct_halves_distance"]
    own = f" (between halves of NDCT's own squares: {halves:.3f})" if halves else ""
    return [
        f"{facts['n_squares']} squares of {side}x{side} pixels in {summary.n_slices} slices, the "
        "flatter half of all squares of soft tissue, chosen on NDCT. "
        f"Intervals: {interval.confidence:.0%}; {interval.note}.",
        f"Distance: of the radial noise spectra, whatever their strength{own}. Lattice ratio: noise "
        "power at multiples of 1/8 cycle per pixel over that between them; a pattern left by "
        "pooling puts it above the ratio of NDCT.",
    ]
