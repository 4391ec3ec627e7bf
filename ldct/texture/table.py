"""Table of the texture lab as CSV, Markdown and HTML."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ldct.rendering.numbers import bounds, number, write_tables
from ldct.rendering.page import Cell, PlainTable
from ldct.texture.columns import TEXTURE
from ldct.texture.measure import MEASURES
from ldct.texture.summary import MethodTexture, TextureSummary

# The CSV has the other measures too.
COLUMNS = {
    name: TEXTURE[name]
    for name in ("noise_std_hu", "mean_frequency", "texture_distance", "lattice_ratio")
}
GROUPS = {"reference": "References", "control": "Controls"}


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
    notes = [*_notes(summary, facts), f"Data: {context}.", credit]
    tables = [texture_table(values)]
    write_tables(folder / "texture", "Texture of flat soft tissue", tables, values, notes, inputs)


def texture_table(values: pd.DataFrame) -> PlainTable:
    """The table for people. values : texture.csv."""
    groups: dict[str, list[list[str | Cell]]] = {}
    for found in values.to_dict("records"):
        row = [found["title"], *(_cell(found, key) for key in COLUMNS)]
        groups.setdefault(GROUPS.get(found["kind"], "Methods"), []).append(row)
    heads = ["Image", *(column.head for column in COLUMNS.values())]
    return PlainTable("Mean over slices", heads, groups)


def _cell(found: Mapping[str, Any], key: str) -> Cell:
    value, *limits = (found[f"{key}{end}"] for end in ("", "_lower", "_upper"))
    return Cell(number(value, COLUMNS[key].digits), bounds(*limits, COLUMNS[key].digits))


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


def _notes(summary: TextureSummary, facts: Mapping[str, Any]) -> list[str]:
    equal = {name: rows for name, rows in facts.get("equal_slices", {}).items() if rows}
    places = [
        f"{name} slice{'s' * (len(rows) > 1)} {', '.join(map(str, rows))}"
        for name, rows in equal.items()
    ]
    left_out = [f"Left out, both doses being equal there: {'; '.join(places)}."] if places else []
    intervals = [one for found in summary.methods for one in found.intervals.values()]
    if not intervals:
        return ["Nothing was measured: no slice has enough squares of soft tissue.", *left_out]
    interval = max(intervals, key=lambda one: one.n_seeds)
    side, halves = summary.side, facts["ndct_halves_distance"]
    own = f" (between halves of NDCT's own squares: {halves:.3f})" if halves else ""
    return [
        f"{facts['n_squares']} squares of {side}x{side} pixels in {summary.n_slices} slices, of "
        "the flatter half of all squares of soft tissue, chosen on the slices of NDCT beside them. "
        f"Intervals ({interval.confidence:.0%}): {interval.note}.",
        f"Distance: of the radial noise spectra, whatever their strength{own}. A pattern left by "
        "pooling raises the lattice ratio (noise power at multiples of 1/8 cycle per pixel over "
        "that between them) above that of NDCT.",
        *left_out,
    ]
