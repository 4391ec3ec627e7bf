"""Table I as one self-contained HTML page."""

from jinja2 import Environment

from ldct.reporting.table1_formats import NOT_RUN, OTHER_ROWS, Table

HTML = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Table I – {{ table.run }}</title>
<style>
body { margin: 2rem auto; max-width: 56rem; padding: 0 1rem; background: #fff; color: #111;
  font: 16px/1.45 "Times New Roman", Times, "Liberation Serif", serif; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin: .8rem 0; font-variant-numeric: tabular-nums;
  border-top: 2px solid #111; border-bottom: 2px solid #111; }
h1 { font-size: 1.05rem; text-align: center; margin: 0 0 .5rem; }
h1 span { display: block; font-weight: normal; font-variant: small-caps; font-size: 1.1rem; }
th, td { padding: .22rem .6rem; text-align: right; white-space: nowrap; }
th { font-weight: normal; }
thead th { font-style: italic; }
thead tr:first-child th { text-align: center; font-style: normal; }
.group span { display: block; border-bottom: 1px solid #111; }
thead tr:last-child th { border-bottom: 1px solid #111; }
th[scope], th.method { text-align: left; }
tbody + tbody { border-top: 1px solid #111; }
.apart { font-style: italic; color: #444; }
.best { color: #c00000; font-weight: bold; }
.second { color: #0046b8; font-weight: bold; }
.difference { color: #444; }
.uncertainty { display: block; color: #444; font-size: .78em; line-height: 1.15; }
th, td { vertical-align: baseline; }
.missing { text-align: center; font-style: italic; color: #444; }
sup { line-height: 0; font-size: .7em; }
td sup { display: inline-block; width: 0; }
p { margin: .35rem 0; font-size: .9rem; }
</style>
</head>
<body>
{% macro number(cell) %}
{% set kind = "" if cell.tied else {1: "best", 2: "second"}.get(cell.mark, "") %}
<span{% if kind %} class="{{ kind }}"{% endif %}>{{ cell.text -}}
{% if cell.mark %}<sup>{{ "=" if cell.tied }}{{ cell.mark }}</sup>{% endif %}</span>
{%- if cell.uncertainty %}<span class="uncertainty">{{ cell.uncertainty }}</span>{% endif %}
{% endmacro %}
{% macro body(rows) %}
{% for row in rows %}
<tr><th scope="row">{{ row.title }}</th>
{% if row.reason %}
<td class="missing" colspan="2">{{ not_run }}<sup>{{ notes[row.reason] }}</sup></td>
{% else %}
{% for cell in row.ours %}<td>{{ number(cell) }}</td>{% endfor %}
{% endif %}
{% for cell in row.published %}<td>{{ number(cell) }}</td>{% endfor %}
{% for cell in row.differences %}<td class="difference">{{ cell.text }}</td>{% endfor %}
</tr>
{% endfor %}
{% endmacro %}
<h1>Table I <span>{{ table.title }}</span></h1>
<p>{{ table.caption | join(" ") }}
<span class="best">Red<sup>1</sup></span> marks the best and
<span class="second">blue<sup>2</sup></span> the second best of the paper’s rows, but only where
they differ from all others ({{ table.test }}); <sup>=1</sup> and <sup>=2</sup> mark rows that share
the place, since these data do not decide between them. Colours of the published columns are as
printed in the paper, which gives no spread.</p>
<div class="wide"><table>
<thead>
<tr><th></th><th class="group" colspan="2"><span>This run</span></th>
<th class="group" colspan="2"><span>Published</span></th>
{% if table.with_differences %}
<th class="group" colspan="2"><span>Difference<sup>†</sup></span></th>
{% endif %}
</tr>
<tr><th class="method">Method</th>
{% for column in range((table.columns - 1) // 2) %}<th>PSNR</th><th>SSIM</th>{% endfor %}</tr>
</thead>
<tbody>
{{ body(table.paper_rows) }}
</tbody>
{% if table.other_rows %}
<tbody>
<tr><th class="apart" scope="rowgroup" colspan="{{ table.columns }}">{{ other_rows }}</th></tr>
{{ body(table.other_rows) }}
</tbody>
{% endif %}
</table></div>
<p>{% if table.with_differences %}<sup>†</sup> {% endif %}{{ table.difference_note }}</p>
{% for reason, mark in notes.items() %}
<p><sup>{{ mark }}</sup> Not run: {{ reason }}.</p>
{% endfor %}
<p>{{ table.attribution }} Run: {{ table.run }}.</p>
</body>
</html>
"""


def to_html(table: Table) -> str:
    """One self-contained page; best in red, second best in blue, both with a superscript."""
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(HTML).render(
        table=table, notes=table.notes, not_run=NOT_RUN, other_rows=OTHER_ROWS
    )
