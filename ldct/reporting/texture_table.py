"""Table of the texture lab as CSV, Markdown, HTML and JSON."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment

from ldct.evaluation.texture import MEASURES
from ldct.evaluation.texture_summary import MethodTexture, TextureSummary
from ldct.files import atomic_path, write_json, write_text
from ldct.reporting.table1_formats import escape_markdown

MISSING = "–"
# Measure, heading, decimals.
COLUMNS = (
    ("noise_std_hu", "Noise σ (HU)", 1),
    ("mean_frequency", "Mean frequency (1/mm)", 3),
    ("anisotropy", "Anisotropy", 2),
    ("texture_distance", "Texture distance (1/mm)", 3),
    ("difference_noise_std_hu", "σ of output − NDCT (HU)", 1),
    ("periodic_peak", "Periodic peak", 2),
    ("periodic_peak_all", "Periodic peak, all squares", 2),
    ("periodic_peak_pooling", "Peak at pooling frequencies", 2),
)
GROUPS = (("reference", "References"), ("method", "Methods"), ("control", "Controls"))
HTML = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Texture</title>
<style>
body { margin: 2rem auto; max-width: 84rem; padding: 0 1rem; background: #fff; color: #111;
  font: 16px/1.45 "Times New Roman", Times, "Liberation Serif", serif; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin: .8rem 0;
  font-variant-numeric: tabular-nums; border-top: 2px solid #111; border-bottom: 2px solid #111; }
h1 { font-size: 1.2rem; }
th, td { padding: .22rem .6rem; text-align: right; vertical-align: bottom; }
th { font-weight: normal; } thead th { font-style: italic; border-bottom: 1px solid #111; }
th:first-child { text-align: left; }
tbody + tbody { border-top: 1px solid #111; } .group { font-style: italic; color: #444; }
td span { color: #444; font-size: .85em; display: block; white-space: nowrap; }
.yes { color: #c00000; font-weight: bold; }
p { margin: .35rem 0; font-size: .9rem; max-width: 60rem; }
</style>
</head>
<body>
<h1>Texture of flat soft tissue</h1>
<div class="wide"><table>
<thead><tr><th>Method</th>{% for head in heads %}<th>{{ head }}</th>{% endfor %}</tr></thead>
{% for title, rows in groups %}
<tbody>
<tr><th class="group" colspan="{{ heads | length + 1 }}">{{ title }}</th></tr>
{% for name, cells in rows %}
<tr><th>{{ name }}</th>
{% for value, interval, mark in cells %}
<td{% if mark == "yes" %} class="yes"{% endif %}>{{ value }}
{%- if interval %}<span>{{ interval }}</span>{% endif %}</td>
{% endfor %}</tr>
{% endfor %}
</tbody>
{% endfor %}
</table></div>
{% for note in notes %}
<p>{{ note }}</p>
{% endfor %}
</body>
</html>
"""


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
    groups = _groups(summary)
    notes = [*_notes(summary, facts, context), *([credit] if credit else [])]
    write_text(paths[1], _markdown(groups, notes))
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    heads = [*(head for _, head, _ in COLUMNS), "Strongest peak"]
    html = environment.from_string(HTML).render(groups=groups, heads=heads, notes=notes)
    write_text(paths[2], html)
    content = {
        "null_levels": summary.null_levels,
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
    row |= {"pattern": found.pattern, "peak": found.peak}
    row |= {f"strongest_{key}": value for key, value in (found.peak or {}).items()}
    any_interval = next(iter(found.intervals.values()), None)
    if any_interval:
        row |= {
            "interval_unit": any_interval.unit,
            "confidence": any_interval.confidence,
            "n_patients": any_interval.n_patients,
            "n_slices": any_interval.n_slices,
            "n_seeds": any_interval.n_seeds,
        }
    return row


def _groups(summary: TextureSummary) -> list[tuple[str, list]]:
    groups = []
    for kind, title in GROUPS:
        members = [found for found in summary.methods if _group_of(found) == kind]
        if members:
            groups.append((title, [(found.title, _cells(found)) for found in members]))
    return groups


def _group_of(found: MethodTexture) -> str:
    return found.kind if found.kind in ("reference", "control") else "method"


def _cells(found: MethodTexture) -> list[tuple[str, str, str]]:
    """(value, interval, verdict) of each column."""
    cells = []
    for name, _, decimals in COLUMNS:
        interval = found.intervals.get(name)
        verdict = found.exceeds.get(name, "")
        if interval is None:
            cells.append((MISSING, "", verdict))
            continue
        value = _number(interval.estimate, decimals)
        if verdict in ("yes", "no", "undecided"):
            value += {"yes": " (above)", "no": "", "undecided": " (undecided)"}[verdict]
        spread = ""
        if np.isfinite(interval.lower):
            bounds = (_number(bound, decimals) for bound in (interval.lower, interval.upper))
            spread = "{} to {}".format(*bounds)
        cells.append((value, spread, verdict))
    return [*cells, (describe_peak(found.peak), "", "")]


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
    interval = next((i for found in summary.methods for i in found.intervals.values()), None)
    if interval is None:
        return [
            f"Data: {context}.",
            "Nothing was measured: no slice has enough squares of soft tissue.",
        ]
    side, window = facts["side_px"], facts["window_hu"]
    halves = facts["ndct_halves_distance"]
    levels = summary.null_levels
    return [
        f"Data: {context}.",
        f"{facts['n_squares']} squares of {side}x{side} pixels in {summary.n_slices} slices, the "
        "flatter half of all squares of soft tissue, chosen by rule on NDCT and the same for all "
        f"images; output minus NDCT: {facts['n_difference_squares']} squares. "
        f"{100 * facts['ldct_share_outside_window']:.2g} % of LDCT pixels in them lie outside "
        f"[{window[0]:g}, {window[1]:g}] HU, beyond which networks see nothing.".replace("-", "−"),
        f"Below each mean: {100 * interval.confidence:g} % interval over {interval.note}.",
        "Texture distance: Wasserstein distance of the normalised radial spectra to that of NDCT"
        + (f"; between halves of NDCT's own squares it is {halves:.3f} 1/mm." if halves else "."),
        "Periodic peak: excess (1 = twice the smooth background) at the frequency that stands out "
        f"in the other half of the slices. Null level: {levels['periodic_peak']:.2f} anywhere, "
        f"{levels['periodic_peak_pooling']:.2f} at multiples of 1/8, 1/4 and 1/2 cycles per pixel, "
        "where max-pooling leaves traces; the higher of NDCT's 95th percentile and the error of "
        "the background fit. “Above”: the whole interval lies above the null level; “undecided”: "
        "the mean alone does. The interval is that at the frequencies picked and does not cover "
        "the picking: the score is given in the flatter half and in all squares, and where the two "
        "disagree nothing is settled.",
        "Strongest peak: of the mean spectrum, as (row, column) frequency, and the root mean "
        "square of the pattern; every spectrum has one, whether above the null level or not.",
    ]


def _markdown(groups: Sequence[tuple[str, list]], notes: Sequence[str]) -> str:
    heads = ["Method", *(head for _, head, _ in COLUMNS), "Strongest peak"]
    lines = [f"| {' | '.join(heads)} |", "|:--|" + "--:|" * (len(heads) - 1)]
    for title, rows in groups:
        lines.append(f"| *{title}* |" + " |" * (len(heads) - 1))
        for name, cells in rows:
            texts = [
                f"**{value}**" if mark == "yes" else value + (f" [{spread}]" if spread else "")
                for value, spread, mark in cells
            ]
            texts = [
                text + (f" [{spread}]" if mark == "yes" and spread else "")
                for text, (_, spread, mark) in zip(texts, cells, strict=True)
            ]
            lines.append(f"| {' | '.join([escape_markdown(name), *texts])} |")
    title = "**Texture of flat soft tissue.**"
    return "\n\n".join([title, "\n".join(lines), *map(escape_markdown, notes)]) + "\n"


def _without_nan(content: Any) -> Any:
    """JSON has no NaN: null instead."""
    if isinstance(content, Mapping):
        return {key: _without_nan(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_without_nan(value) for value in content]
    return None if isinstance(content, float) and not np.isfinite(content) else content
