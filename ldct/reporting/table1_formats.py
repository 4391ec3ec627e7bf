"""Table I as Markdown, LaTeX and HTML: one table of plain text in, escaped markup out."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_lowercase

from jinja2 import Environment

NOT_RUN = "not run"
OTHER_ROWS = "Not in the paper's table"
SUPERSCRIPT = {1: "¹", 2: "²"}
MARKDOWN_SPECIAL = re.compile(r"([\\`*_\[\]|#~$])")
LATEX_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",  # an optional argument after \\ otherwise
    "]": "{]}",
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "→": r"$\to$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "σ": r"$\sigma$",
    "∞": r"$\infty$",
    "–": "--",
}

LATEX_LEGEND = (
    r"\textcolor{red}{Red\textsuperscript{1}} marks the best and "
    r"\textcolor{blue}{blue\textsuperscript{2}} the second best of the paper's rows."
)
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
.spread, .difference { color: #444; }
.missing { text-align: center; font-style: italic; color: #444; }
.spread { margin-left: .3em; }
sup { line-height: 0; font-size: .7em; }
td sup { display: inline-block; width: 0; }
p { margin: .35rem 0; font-size: .9rem; }
</style>
</head>
<body>
{% macro number(cell) %}
{% set kind = {1: "best", 2: "second"}.get(cell.mark, "") %}
<span{% if kind %} class="{{ kind }}"{% endif %}>{{ cell.text -}}
{% if kind %}<sup>{{ cell.mark }}</sup>{% endif %}</span>
{%- if cell.spread %} <span class="spread">± {{ cell.spread }}</span>{% endif %}
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
<span class="second">blue<sup>2</sup></span> the second best of the paper’s rows.</p>
<div class="wide"><table>
<thead>
<tr><th></th><th class="group" colspan="2"><span>This run</span></th>
<th class="group" colspan="2"><span>Published</span></th>
<th class="group" colspan="2"><span>Difference<sup>†</sup></span></th></tr>
<tr><th class="method">Method</th>
<th>PSNR</th><th>SSIM</th><th>PSNR</th><th>SSIM</th><th>PSNR</th><th>SSIM</th></tr>
</thead>
<tbody>
{{ body(table.paper_rows) }}
</tbody>
{% if table.other_rows %}
<tbody>
<tr><th class="apart" scope="rowgroup" colspan="7">{{ other_rows }}</th></tr>
{{ body(table.other_rows) }}
</tbody>
{% endif %}
</table></div>
<p><sup>†</sup> {{ table.difference_note }}</p>
{% for reason, mark in notes.items() %}
<p><sup>{{ mark }}</sup> Not run: {{ reason }}.</p>
{% endfor %}
<p>{{ table.attribution }} Run: {{ table.run }}.</p>
</body>
</html>
"""


@dataclass(frozen=True)
class Cell:
    """One number as printed; mark 1 is the best and 2 the second best of the paper's rows."""

    text: str
    mark: int = 0
    spread: str = ""


@dataclass(frozen=True)
class TableRow:
    """One method; `reason` set means that it was not run and that `ours` holds no number."""

    title: str
    ours: Sequence[Cell]
    published: Sequence[Cell]
    differences: Sequence[Cell]
    reason: str | None


@dataclass(frozen=True)
class Table:
    """Table I as plain text, before any markup."""

    title: str
    caption: Sequence[str]
    paper_rows: Sequence[TableRow]
    other_rows: Sequence[TableRow]
    difference_note: str
    attribution: str
    run: str

    @property
    def notes(self) -> dict[str, str]:
        """Letters of the reasons why methods were not run, in order of appearance."""
        reasons = dict.fromkeys(r.reason for r in [*self.paper_rows, *self.other_rows] if r.reason)
        return {reason: _letter(number) for number, reason in enumerate(reasons)}


def _letter(number: int) -> str:
    return ascii_lowercase[number % 26] * (number // 26 + 1)


def escape_markdown(text: str) -> str:
    """Text that Markdown (and the HTML inside it) shows as it is."""
    text = " ".join(text.split())
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return MARKDOWN_SPECIAL.sub(r"\\\1", text)


def escape_latex(text: str) -> str:
    """Text that LaTeX typesets as it is."""
    return "".join(LATEX_SPECIAL.get(character, character) for character in " ".join(text.split()))


def to_markdown(table: Table) -> str:
    """Markdown: best in bold, second best in italics, both with a superscript."""
    rows = [_markdown_row(row, table.notes) for row in table.paper_rows]
    if table.other_rows:
        rows.append(f"| *{escape_markdown(OTHER_ROWS)}* | | | | | | |")
        rows += [_markdown_row(row, table.notes) for row in table.other_rows]
    header = [
        "| Method | PSNR | SSIM | PSNR, published | SSIM, published "
        "| PSNR, difference† | SSIM, difference† |",
        "|:--|--:|--:|--:|--:|--:|--:|",
    ]
    blocks = [
        f"**Table I. {escape_markdown(table.title)}.**",
        "\n".join(header + rows),
        escape_markdown(" ".join(table.caption)),
        "**Bold**¹ marks the best and *italics*² the second best of the paper's rows.",
        f"† {escape_markdown(table.difference_note)}",
        *(
            f"<sup>{mark}</sup> Not run: {escape_markdown(why)}."
            for why, mark in table.notes.items()
        ),
        f"{escape_markdown(table.attribution)} Run: {escape_markdown(table.run)}.",
    ]
    return "\n\n".join(blocks) + "\n"


def _markdown_row(row: TableRow, notes: Mapping[str, str]) -> str:
    ours = [_markdown_cell(cell) for cell in row.ours]
    if row.reason:
        ours = [f"{NOT_RUN} <sup>{notes[row.reason]}</sup>"] * len(ours)
    others = [_markdown_cell(cell) for cell in [*row.published, *row.differences]]
    return f"| {' | '.join([escape_markdown(row.title), *ours, *others])} |"


def _markdown_cell(cell: Cell) -> str:
    emphasis = {0: "", 1: "**", 2: "*"}[cell.mark]
    spread = f" ± {cell.spread}" if cell.spread else ""
    return f"{emphasis}{cell.text}{emphasis}{SUPERSCRIPT.get(cell.mark, '')}{spread}"


def to_latex(table: Table) -> str:
    """LaTeX fragment with booktabs rules; best in red, second best in blue, with a superscript."""
    rows = [_latex_row(row, table.notes) for row in table.paper_rows]
    if table.other_rows:
        apart = rf"\multicolumn{{7}}{{l}}{{\textit{{{escape_latex(OTHER_ROWS)}}}}} \\"
        rows += [r"\midrule", apart, *(_latex_row(row, table.notes) for row in table.other_rows)]
    notes = [
        rf"\textsuperscript{{{mark}}}~Not run: {escape_latex(why)}."
        for why, mark in table.notes.items()
    ]
    caption = " ".join(map(escape_latex, [f"{table.title}.", *table.caption]))
    return "\n".join(
        [
            r"% Needs \usepackage{booktabs} and \usepackage{xcolor}.",
            r"\begin{table*}",
            r"\centering",
            rf"\caption[{escape_latex(table.title)}]{{{caption} {LATEX_LEGEND}}}",
            r"\label{tab:psnr-ssim}",
            r"\par\medskip\footnotesize",
            r"\begin{tabular}{lrrrrrr}",
            r"\toprule",
            r" & \multicolumn{2}{c}{This run} & \multicolumn{2}{c}{Published}"
            r" & \multicolumn{2}{c}{Difference\textsuperscript{\dag}} \\",
            r"\cmidrule(lr){2-3} \cmidrule(lr){4-5} \cmidrule(lr){6-7}",
            r"Method & PSNR & SSIM & PSNR & SSIM & PSNR & SSIM \\",
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\par\smallskip",
            r"\begin{minipage}{0.95\textwidth}",
            rf"\textsuperscript{{\dag}}~{escape_latex(table.difference_note)}",
            *notes,
            f"{escape_latex(table.attribution)} Run: {escape_latex(table.run)}.",
            r"\end{minipage}",
            r"\end{table*}",
            "",
        ]
    )


def _latex_row(row: TableRow, notes: Mapping[str, str]) -> str:
    ours = [_latex_cell(cell) for cell in row.ours]
    if row.reason:
        missing = rf"\textit{{{NOT_RUN}}}\textsuperscript{{{notes[row.reason]}}}"
        ours = [rf"\multicolumn{{2}}{{c}}{{{missing}}}"]
    others = [_latex_cell(cell) for cell in [*row.published, *row.differences]]
    return rf"{' & '.join([escape_latex(row.title), *ours, *others])} \\"


def _latex_cell(cell: Cell) -> str:
    text = escape_latex(cell.text)
    if cell.mark:
        colour = {1: "red", 2: "blue"}[cell.mark]
        text = rf"\textcolor{{{colour}}}{{{text}\rlap{{\textsuperscript{{{cell.mark}}}}}}}"
    return rf"{text} \,$\pm$ {cell.spread}" if cell.spread else text


def to_html(table: Table) -> str:
    """One self-contained page; best in red, second best in blue, both with a superscript."""
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(HTML).render(
        table=table, notes=table.notes, not_run=NOT_RUN, other_rows=OTHER_ROWS
    )
