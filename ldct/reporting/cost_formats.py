"""Cost of a run as CSV, Markdown and HTML: methods, stages, and the paired micro-benchmark."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment

from ldct.reporting.plain_table import escape_markdown

MISSING = "–"
# A classical method has none of these; 0 would read as free.
LEARNED_ONLY = ("parameters", "multiply_adds", "training")
HTML = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Cost – {{ run }}</title>
<style>
body { margin: 2rem auto; max-width: 76rem; padding: 0 1rem; background: #fff; color: #111;
  font: 16px/1.45 "Times New Roman", Times, "Liberation Serif", serif; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin: .8rem 0 1.6rem;
  font-variant-numeric: tabular-nums; border-top: 2px solid #111; border-bottom: 2px solid #111; }
h1 { font-size: 1.3rem; } h2 { font-size: 1.05rem; margin: 0; }
th, td { padding: .22rem .6rem; text-align: right; vertical-align: bottom; }
th { font-weight: normal; font-style: italic; }
thead th { border-bottom: 1px solid #111; }
th.text, td.text { text-align: left; }
td { vertical-align: top; }
td.short { white-space: nowrap; }
p { margin: .35rem 0; font-size: .9rem; max-width: 60rem; }
</style>
</head>
<body>
<h1>Cost of run {{ run }}</h1>
<p>{{ caption }}</p>
{% for table in tables %}
<h2>{{ table.title }}</h2>
<div class="wide"><table>
<thead><tr>{% for column in table.columns %}
<th{% if column.text %} class="text"{% endif %}>{{ column.head }}</th>
{% endfor %}</tr></thead>
<tbody>
{% for row in table.cells %}
<tr>{% for column, cell in row %}
<td class="{{ 'text' if column.text else 'short' }}">{{ cell }}</td>
{% endfor %}</tr>
{% endfor %}
</tbody>
</table></div>
{% endfor %}
{% for note in notes %}
<p>{{ note }}</p>
{% endfor %}
</body>
</html>
"""


@dataclass(frozen=True)
class Column:
    """A column: its key in the rows, its head, how a value is printed, and whether it is text.

    optional : left out where no row has a value.
    """

    key: str
    head: str
    show: Callable[[Any], str]
    text: bool = False
    optional: bool = False


@dataclass(frozen=True)
class CostTable:
    """One of the tables, as plain text before any markup."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Any]]

    @property
    def cells(self) -> list[list[tuple[Column, str]]]:
        """Every row as (column, printed value)."""
        return [
            [(column, printed(column, row.get(column.key))) for column in self.columns]
            for row in self.rows
        ]


def printed(column: Column, value: Any) -> str:
    """One value as text; a dash where there is none."""
    return MISSING if value is None or value == [] else column.show(value)


def significant(value: float) -> str:
    """Three significant figures, without an exponent."""
    if value == 0:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def ratio(value: float) -> str:
    """A ratio with two decimals."""
    return f"{value:.2f}"


def whole(value: float) -> str:
    """A whole number with thousands apart."""
    return f"{value:,.0f}"


def billions(value: float) -> str:
    """Billions, three significant figures."""
    return significant(value / 1e9)


def listed(value: Sequence[str]) -> str:
    """Names in a row."""
    return ", ".join(value)


METHOD_COLUMNS = [
    Column("title", "Method", str, text=True),
    Column("parameters", "Parameters", whole),
    Column("multiply_adds_per_slice", "Multiply-adds a slice, 10⁹", billions),
    Column("tuning_cpu_seconds", "Tuning, CPU s", significant, optional=True),
    Column("training_cpu_seconds", "Training, CPU s", whole),
    Column("training_seconds", "Training, s on the clock", whole),
    Column("training_peak_memory_mb", "Training peak, MiB", whole),
    Column("training_peak_gpu_memory_mb", "Training GPU peak, MiB", whole, optional=True),
    Column("inference_seconds_per_slice", "Inference, s a slice", significant),
    Column("inference_peak_memory_mb", "Inference peak, MiB", whole),
    Column("inference_peak_gpu_memory_mb", "Inference GPU peak, MiB", whole, optional=True),
]
STAGE_COLUMNS = [
    Column("name", "Stage", str, text=True),
    Column("parameters", "Parameters", whole),
    Column("critic_parameters", "Critic’s parameters", whole),
    Column("multiply_adds_per_slice", "Multiply-adds a slice, 10⁹", billions),
    Column("steps", "Steps", whole),
    Column("tiles", "Tiles", whole),
    Column("training_cpu_seconds", "CPU s", whole),
    Column("training_seconds", "s on the clock", whole),
    Column("tiles_per_second", "Tiles a second", significant),
    Column("peak_memory_mb", "Peak, MiB", whole),
    Column("peak_gpu_memory_mb", "GPU peak, MiB", whole, optional=True),
    Column("device", "Device", str, text=True),
    Column("inference_seconds_per_slice", "Inference, s a slice", significant),
    Column("used_by", "Part of", listed, text=True),
]
PAIR_COLUMNS = [
    Column("variant_a", "This", str, text=True),
    Column("variant_b", "over this", str, text=True),
    Column("time_ratio", "Time ratio", ratio),
    Column("interval", "95 % interval", str),
    Column("memory_ratio", "Memory ratio", ratio),
    Column("added_memory_ratio", "Ratio of added memory", ratio),
    Column("conditions", "Conditions", str, text=True),
]


def cost_tables(cost: Mapping[str, Any]) -> list[CostTable]:
    """The three tables of a cost.json."""
    stages = [
        {
            "name": name + (f" (resumed {stage['restarts']} x)" if stage["restarts"] else ""),
            **stage,
            "critic_parameters": stage["critic_parameters"] or None,
        }
        for name, stage in cost["stages"].items()
    ]
    methods = [
        row
        if row["stages"]
        else {key: value for key, value in row.items() if not key.startswith(LEARNED_ONLY)}
        for row in cost["methods"].values()
    ]
    pairs = [
        {**pair, "interval": f"{pair['lower']:.2f} to {pair['upper']:.2f}"}
        for pair in cost["micro"].values()
    ]
    return [
        CostTable("Methods", shown(METHOD_COLUMNS, methods), methods),
        CostTable("Stages, each trained once", shown(STAGE_COLUMNS, stages), stages),
        CostTable("Pairs that differ in one thing, timed in turns", PAIR_COLUMNS, pairs),
    ]


def shown(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> list[Column]:
    """The columns without optional ones that no row has a value of."""
    return [
        column
        for column in columns
        if not column.optional or any(row.get(column.key) is not None for row in rows)
    ]


def cost_csv(cost: Mapping[str, Any]) -> str:
    """One row per method and per stage, with all plain numbers of cost.json."""
    rows = [
        {"what": what, "name": name, **plain_values(row)}
        for what, rows in (("method", cost["methods"]), ("stage", cost["stages"]))
        for name, row in rows.items()
    ]
    fields = list(dict.fromkeys(key for row in rows for key in row))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def plain_values(row: Mapping[str, Any]) -> dict[str, Any]:
    """The values that fit in one cell; lists are joined, mappings left out."""
    joined = {key: " ".join(v) if isinstance(v, list) else v for key, v in row.items()}
    return {key: value for key, value in joined.items() if not isinstance(value, Mapping)}


def cost_markdown(cost: Mapping[str, Any], run: str, caption: str) -> str:
    """The tables as Markdown."""
    blocks = [f"# Cost of run {escape_markdown(run)}", escape_markdown(caption)]
    for table in cost_tables(cost):
        heads = [escape_markdown(column.head) for column in table.columns]
        rules = [":--" if column.text else "--:" for column in table.columns]
        rows = [[escape_markdown(cell) for _, cell in row] for row in table.cells]
        lines = [f"| {' | '.join(cells)} |" for cells in [heads, rules, *rows]]
        blocks += [f"## {table.title}", "\n".join(lines)]
    return "\n\n".join(blocks + [escape_markdown(note) for note in cost["notes"]]) + "\n"


def cost_html(cost: Mapping[str, Any], run: str, caption: str) -> str:
    """The tables as one self-contained page."""
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(HTML).render(
        tables=cost_tables(cost), notes=cost["notes"], run=run, caption=caption
    )
