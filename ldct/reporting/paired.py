"""Paired differences from the reference and ranks, as CSV, Markdown and HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment

from ldct.evaluation.statistics import MetricStatistics
from ldct.evaluation.uncertainty import PairedDifference
from ldct.files import atomic_path, write_text
from ldct.reporting.table1_formats import escape_markdown

METRIC_NAMES = {"psnr": "PSNR (dB)", "ssim": "SSIM", "rmse_hu": "RMSE (HU)"}
DIGITS = {"psnr": 3, "ssim": 4, "rmse_hu": 2}
SMALLEST_P = 0.001
HTML = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Paired differences – {{ run }}</title>
<style>
body { margin: 2rem auto; max-width: 64rem; padding: 0 1rem; background: #fff; color: #111;
  font: 16px/1.45 "Times New Roman", Times, "Liberation Serif", serif; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin: .8rem 0; font-variant-numeric: tabular-nums;
  border-top: 2px solid #111; border-bottom: 2px solid #111; }
h1 { font-size: 1.15rem; } h2 { font-size: 1rem; margin: 1.6rem 0 0; }
th, td { padding: .22rem .6rem; text-align: right; white-space: nowrap; vertical-align: baseline; }
th { font-weight: normal; } thead th { font-style: italic; border-bottom: 1px solid #111; }
th:first-child { text-align: left; }
.resolved { font-weight: bold; }
.interval { display: block; color: #444; font-size: .78em; line-height: 1.15; }
p { margin: .35rem 0; font-size: .9rem; }
</style>
</head>
<body>
<h1>Differences from {{ reference }}, and ranks</h1>
<p>{{ notes | join(" ") }}</p>
{% for section in sections %}
<h2>Protocol {{ section.name }}</h2>
<p>{{ section.notes | join(" ") }}</p>
<div class="wide"><table>
<thead><tr><th>Method</th>
{% for name in metrics %}<th>{{ name }}</th><th>p</th><th>rank</th>{% endfor %}</tr></thead>
<tbody>
{% for row in section.rows %}
<tr><th scope="row">{{ row.title }}</th>
{% for cell in row.cells %}
<td><span{% if cell.resolved %} class="resolved"{% endif %}>{{ cell.difference }}</span>
{%- if cell.interval %}<span class="interval">[{{ cell.interval }}]</span>{% endif %}</td>
<td>{{ cell.p_holm }}</td><td>{{ cell.rank }}<span class="interval">{{ cell.ranks }}</span></td>
{% endfor %}
</tr>
{% endfor %}
</tbody></table></div>
{% endfor %}
<p>{{ attribution }} Run: {{ run }}.</p>
</body>
</html>
"""


@dataclass(frozen=True)
class ProtocolSection:
    """One protocol: its name, its sentences, and statistics by metric."""

    name: str
    notes: Sequence[str]
    statistics: Mapping[str, MetricStatistics]


@dataclass(frozen=True)
class _Cell:
    difference: str = "reference"
    interval: str = ""
    p_holm: str = ""
    rank: str = ""
    ranks: str = ""
    resolved: bool = False


def render_paired(
    sections: Sequence[ProtocolSection],
    titles: Mapping[str, str],
    reference: str,
    context: Mapping[str, Any],
    output_dir: str | Path,
) -> list[Path]:
    """Write paired.csv, .md and .html into `output_dir`, each atomically.

    sections : one per protocol, the main one first. titles : by method, in the order of the rows.
    reference : method that the others are compared with.
    context : run, attribution (texts), notes (sentences for the head).
    Returns the three paths.
    """
    csv_path = Path(output_dir, "paired.csv")
    with atomic_path(csv_path) as temporary:
        paired_frame(sections).to_csv(temporary, index=False)
    content = {
        "run": context["run"],
        "attribution": context["attribution"],
        "notes": context["notes"],
        "reference": titles[reference],
        "metrics": list(METRIC_NAMES.values()),
        "sections": [
            {"name": s.name, "notes": s.notes, "rows": _rows(s, titles)} for s in sections
        ],
    }
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    write_text(csv_path.with_suffix(".md"), _markdown(content))
    write_text(csv_path.with_suffix(".html"), environment.from_string(HTML).render(content))
    return [csv_path, csv_path.with_suffix(".md"), csv_path.with_suffix(".html")]


def paired_frame(sections: Sequence[ProtocolSection]) -> pd.DataFrame:
    """One row per protocol, metric and method: difference from the reference, p values and rank."""
    return pd.DataFrame(
        [
            {
                "protocol": section.name,
                "metric": metric,
                "method": pair.method,
                "reference": pair.reference,
                "difference": pair.interval.estimate,
                "lower": pair.interval.lower,
                "upper": pair.interval.upper,
                "confidence": pair.interval.confidence,
                "p_value": pair.p_value,
                "p_holm": p_holm,
                "resolved": p_holm < 1 - pair.interval.confidence,
                "unit": pair.interval.unit,
                "n_patients": pair.interval.n_patients,
                "n_slices": pair.interval.n_slices,
                "n_seeds": pair.interval.n_seeds,
                "block_slices": pair.interval.block_slices,
                **_rank_of(found, pair.method),
            }
            for section in sections
            for metric, found in section.statistics.items()
            for pair, p_holm in zip(found.differences, found.p_holm, strict=True)
        ]
    )


def _rank_of(statistics: MetricStatistics, method: str) -> dict[str, Any]:
    row = statistics.ranks.loc[method]
    return {"rank": row["rank"], "rank_lower": row["lower"], "rank_upper": row["upper"]}


def _rows(section: ProtocolSection, titles: Mapping[str, str]) -> list[dict[str, Any]]:
    known = next(iter(section.statistics.values())).intervals
    return [
        {
            "title": title,
            "cells": [_cell(metric, section.statistics[metric], name) for metric in METRIC_NAMES],
        }
        for name, title in titles.items()
        if name in known
    ]


def _cell(metric: str, statistics: MetricStatistics, method: str) -> _Cell:
    rank = statistics.ranks.loc[method]
    ranks = {
        "rank": "–" if pd.isna(rank["rank"]) else str(int(rank["rank"])),
        "ranks": f"[{int(rank['lower'])}, {int(rank['upper'])}]",
    }
    for pair, p_holm in zip(statistics.differences, statistics.p_holm, strict=True):
        if pair.method == method:
            return _Cell(**ranks, **_difference(pair, p_holm, DIGITS[metric]))
    return _Cell(**ranks)


def _difference(pair: PairedDifference, p_holm: float, digits: int) -> dict[str, Any]:
    found = pair.interval
    bounded = not np.isnan(found.lower)
    return {
        "difference": _signed(found.estimate, digits),
        "interval": f"{_signed(found.lower, digits)}, {_signed(found.upper, digits)}"
        if bounded
        else "",
        "p_holm": _p_text(p_holm),
        "resolved": bool(p_holm < 1 - found.confidence),
    }


def _signed(value: float, digits: int) -> str:
    if np.isnan(value):
        return "–"
    rounded = round(value, digits)
    sign = "−" if rounded < 0 else "+" if rounded > 0 else ""
    return sign + ("∞" if np.isinf(value) else f"{abs(rounded):.{digits}f}")


def _p_text(p_value: float) -> str:
    if np.isnan(p_value):
        return "–"
    return f"< {SMALLEST_P}" if p_value < SMALLEST_P else f"{p_value:.3f}"


def _markdown(content: Mapping[str, Any]) -> str:
    names = ["Method", *(f"{n} | p | rank" for n in content["metrics"])]
    blocks = [
        f"# Differences from {escape_markdown(content['reference'])}, and ranks",
        escape_markdown(" ".join(content["notes"])),
    ]
    for section in content["sections"]:
        lines = [f"| {' | '.join(names)} |", f"|:--{'|--:' * 3 * len(content['metrics'])}|"]
        for row in section["rows"]:
            cells = [_markdown_cell(cell) for cell in row["cells"]]
            lines.append(f"| {' | '.join([escape_markdown(row['title']), *cells])} |")
        blocks += [
            f"## Protocol {escape_markdown(section['name'])}",
            escape_markdown(" ".join(section["notes"])),
            "\n".join(lines),
        ]
    blocks.append(f"{escape_markdown(content['attribution'])} Run: {content['run']}.")
    return "\n\n".join(blocks) + "\n"


def _markdown_cell(cell: _Cell) -> str:
    bold = "**" if cell.resolved else ""
    interval = f" [{cell.interval}]" if cell.interval else ""
    p_holm = escape_markdown(cell.p_holm)
    return f"{bold}{cell.difference}{bold}{interval} | {p_holm} | {cell.rank} {cell.ranks}"
