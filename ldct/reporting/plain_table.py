"""Plain tables of text as Markdown and HTML."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment

MARKDOWN_SPECIAL = re.compile(r"([\\`*_\[\]|#~$<>])")
HTML = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
body { margin: 2rem auto; max-width: 76rem; padding: 0 1rem; background: #fff; color: #111;
  font: 16px/1.45 "Times New Roman", Times, "Liberation Serif", serif; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .4rem 0 1.4rem; font-variant-numeric: tabular-nums;
  border-top: 2px solid #111; border-bottom: 2px solid #111; font-size: .92rem; }
h1 { font-size: 1.2rem; margin: 0 0 .5rem; }
h2 { font-size: 1rem; margin: 1rem 0 0; }
th, td { padding: .2rem .55rem; text-align: right; white-space: nowrap; vertical-align: top; }
td.words { text-align: left; white-space: normal; min-width: 14rem; }
th { font-weight: normal; }
thead th { font-style: italic; border-bottom: 1px solid #111; }
th:first-child { text-align: left; }
p { margin: .35rem 0; font-size: .9rem; }
</style>
</head>
<body>
<h1>{{ title }}</h1>
{% for line in intro %}<p>{{ line }}</p>
{% endfor %}
{% for table in tables %}
<h2>{{ table.title }}</h2>
<div class="wide"><table>
<thead><tr>{% for head in table.heads %}<th>{{ head }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in table.rows %}
<tr><th scope="row">{{ row[0] }}</th>
{%- for cell in row[1:] %}
<td{% if loop.index in table.words %} class="words"{% endif %}>{{ cell }}</td>
{%- endfor %}
</tr>
{% endfor %}
</tbody>
</table></div>
{% endfor %}
{% for line in notes %}<p>{{ line }}</p>
{% endfor %}
</body>
</html>
"""


@dataclass(frozen=True)
class PlainTable:
    """One table: its heads, rows of cells (the first names the row), columns that hold words."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: Sequence[int] = ()


def to_html(
    title: str, intro: Sequence[str], tables: Sequence[PlainTable], notes: Sequence[str]
) -> str:
    """A page with a title, lines of text, tables, and notes below; all text is escaped."""
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(HTML)
    return template.render(title=title, intro=intro, tables=tables, notes=notes)


def to_markdown(
    title: str, intro: Sequence[str], tables: Sequence[PlainTable], notes: Sequence[str]
) -> str:
    """The same page as Markdown."""
    parts = [f"# {_escape(title)}", *map(_escape, intro)]
    for table in tables:
        left = {0, *table.words}
        rule = ["|:--" if column in left else "|--:" for column in range(len(table.heads))]
        lines = [_markdown_row(table.heads), "".join(rule) + "|", *map(_markdown_row, table.rows)]
        parts += [f"## {_escape(table.title)}", "\n".join(lines)]
    return "\n\n".join([*parts, *map(_escape, notes)]) + "\n"


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_escape(cell) for cell in cells) + " |"


def _escape(text: str) -> str:
    return MARKDOWN_SPECIAL.sub(r"\\\1", " ".join(str(text).split()))
