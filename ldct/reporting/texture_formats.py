"""Tables of the texture lab as Markdown and HTML."""

from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment

from ldct.reporting.plain_table import escape_markdown

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
h1 { font-size: 1.2rem; } h2 { font-size: 1rem; margin: 1.2rem 0 0; }
th, td { padding: .22rem .6rem; text-align: right; vertical-align: top; }
thead th { vertical-align: bottom; }
th { font-weight: normal; } thead th { font-style: italic; border-bottom: 1px solid #111; }
th:first-child { text-align: left; }
tbody + tbody { border-top: 1px solid #111; } .group { font-style: italic; color: #444; }
td { white-space: nowrap; }
td span { color: #444; font-size: .85em; display: block; }
.above { color: #c00000; font-weight: bold; }
p { margin: .35rem 0; font-size: .9rem; max-width: 60rem; }
</style>
</head>
<body>
<h1>Texture of flat soft tissue</h1>
{% for table in tables %}
<h2>{{ table.title }}</h2>
<div class="wide"><table>
<thead><tr><th>Method</th>{% for head in table.heads %}<th>{{ head }}</th>{% endfor %}</tr></thead>
{% for title, rows in table.groups %}
<tbody>
<tr><th class="group" colspan="{{ table.heads | length + 1 }}">{{ title }}</th></tr>
{% for name, cells in rows %}
<tr><th>{{ name }}</th>
{% for cell in cells %}
<td{% if cell.mark == "above" %} class="above"{% endif %}>{{ cell.value }}
{%- if cell.interval %}<span>{{ cell.interval }}</span>{% endif %}</td>
{% endfor %}</tr>
{% endfor %}
</tbody>
{% endfor %}
</table></div>
{% endfor %}
{% for note in notes %}
<p>{{ note }}</p>
{% endfor %}
</body>
</html>
"""


@dataclass(frozen=True)
class Cell:
    """One printed value: the number with its mark, the interval below it, and the mark."""

    value: str
    interval: str = ""
    mark: str = ""


@dataclass(frozen=True)
class Table:
    """One printed table: title, column heads, and (group title, [(method title, cells)])."""

    title: str
    heads: Sequence[str]
    groups: Sequence[tuple[str, Sequence[tuple[str, Sequence[Cell]]]]]


def to_html(tables: Sequence[Table], notes: Sequence[str]) -> str:
    """A page of the tables with notes below; all text is escaped."""
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(HTML).render(tables=tables, notes=notes)


def to_markdown(tables: Sequence[Table], notes: Sequence[str]) -> str:
    """The tables one below the other as Markdown, notes below; names and notes are escaped."""
    parts = ["**Texture of flat soft tissue.**"]
    for table in tables:
        heads = ["Method", *table.heads]
        lines = [f"| {' | '.join(heads)} |", "|:--|" + "--:|" * (len(heads) - 1)]
        for title, rows in table.groups:
            lines.append(f"| *{title}* |" + " |" * (len(heads) - 1))
            lines += [
                f"| {' | '.join([escape_markdown(name), *map(_markdown_cell, cells)])} |"
                for name, cells in rows
            ]
        parts += [f"**{table.title}.**", "\n".join(lines)]
    return "\n\n".join([*parts, *map(escape_markdown, notes)]) + "\n"


def _markdown_cell(cell: Cell) -> str:
    value = f"**{cell.value}**" if cell.mark == "above" else cell.value
    return value + (f" [{cell.interval}]" if cell.interval else "")
