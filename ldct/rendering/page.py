"""Pages of tables as Markdown and HTML, a table as LaTeX, and the escapes of all printed text."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

ABOUT = "About this run"
MARKDOWN_SPECIAL = re.compile(r"([\\`*_\[\]|#~$])")
TEXT_NAMES = ["backslash", "asciicircum", "less", "greater", "bar"]
MATH_NAMES = ["sim", "pm", "times", "to", "leq", "geq", "infty", "uparrow", "downarrow", "cdot"]
MATH_NAMES += ["emptyset", "circ"]
LATEX = (
    {sign: f"\\{sign}" for sign in "{}$&#%_"}
    | {sign: rf"\text{name}{{}}" for sign, name in zip("\\^<>|", TEXT_NAMES, strict=True)}
    | {sign: rf"$\{name}$" for sign, name in zip("~±×→≤≥∞↑↓·∅○", MATH_NAMES, strict=True)}
    # A bare bracket behind \\ would be an optional argument.
    | {"†": r"\dag{}", "−": "$-$", "–": "--", "[": "{[}", "]": "{]}"}
    | {"“": "``", "”": "''", "’": "'", "✓": "+", "✗": "$-$", "⇄": r"$\leftrightarrow$"}
    | {"²": r"\textsuperscript{2}", "³": r"\textsuperscript{3}"}
)
LAST_LATIN = "\u0180"  # letters up to here are in every LaTeX font
GREEK = re.compile("GREEK (SMALL|CAPITAL) LETTER ([A-Z]+)")
STYLE = """\
body { margin: 2rem auto; max-width: 76rem; padding: 0 1rem; background: #fff; color: #111;
  font: 16px/1.45 "Times New Roman", Times, "Liberation Serif", serif; }
h1 { font-size: 1.3rem; margin: 0 0 .5rem; }
h2 { font-size: 1.05rem; margin: 1.2rem 0 0; }
p { margin: .35rem 0; font-size: .9rem; max-width: 60rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .4rem 0 1.4rem; font-variant-numeric: tabular-nums;
  border-top: 2px solid #111; border-bottom: 2px solid #111; font-size: .92rem; }
th, td { padding: .2rem .6rem; text-align: right; white-space: nowrap; vertical-align: top; }
th { font-weight: normal; }
thead th { font-style: italic; vertical-align: bottom; border-bottom: 1px solid #111; }
th:first-child, .words { text-align: left; }
td.words { white-space: normal; min-width: 14rem; }
tbody + tbody { border-top: 1px solid #111; }
.group { font-style: italic; }
.group, .below { color: #444; }
.below { display: block; font-size: .8em; line-height: 1.15; }
.mark { display: inline-block; width: 0; }
"""


@dataclass(frozen=True)
class Cell:
    """A printed value; mark: a sign beside it; below: its interval, in small type."""

    text: str
    below: str = ""
    mark: str = ""
    bold: bool = False


Row = Sequence[str | Cell]


@dataclass(frozen=True)
class PlainTable:
    """One table: its heads, rows of cells (the first names the row), columns that hold words.

    rows : a mapping gives groups of rows, each below its name.
    """

    title: str
    heads: Sequence[str]
    rows: Sequence[Row] | Mapping[str, Sequence[Row]]
    words: Sequence[int] = ()

    @property
    def groups(self) -> Mapping[str, Sequence[Row]]:
        """Rows by the name of their group; all below "" where there are no groups."""
        return self.rows if isinstance(self.rows, Mapping) else {"": self.rows}


def html_page(title: str, body: str, style: str = "") -> str:
    """One self-contained page. title : plain text. body : markup. style : further CSS."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{STYLE}{style}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def to_html(
    title: str, intro: Sequence[str], tables: Sequence[PlainTable], notes: Sequence[str]
) -> str:
    """A page with a title, lines of text, tables, and notes below; all text is escaped."""
    parts = [f"<h1>{escape(title)}</h1>", *map(html_line, intro)]
    for table in tables:
        parts += [f"<h2>{escape(table.title)}</h2>", html_table(table)]
    parts += [f"<h2>{ABOUT}</h2>"] if notes else []
    return html_page(title, "\n".join([*parts, *map(html_line, notes)]))


def html_line(text: str) -> str:
    """A paragraph of plain text."""
    return f"<p>{escape(text)}</p>"


def html_table(table: PlainTable) -> str:
    """The table alone, without its title."""
    kinds = [' class="words"' if n in table.words else "" for n in range(len(table.heads))]
    heads = [
        f'<th scope="col"{kind}>{escape(head)}</th>'
        for kind, head in zip(kinds, table.heads, strict=True)
    ]
    # Wide tables scroll within their place; a keyboard can do so where it can go there.
    region = f'tabindex="0" role="region" aria-label="{escape(table.title)}"'
    lines = [f'<div class="wide" {region}><table>', f"<thead><tr>{''.join(heads)}</tr></thead>"]
    for group, rows in table.groups.items():
        lines.append("<tbody>")
        if group:
            span = f'class="group" colspan="{len(kinds)}"'
            lines.append(f"<tr><th {span}>{escape(group)}</th></tr>")
        for name, *cells in rows:
            row = [f'<th scope="row">{_html_cell(name)}</th>']
            row += [
                f"<td{kind}>{_html_cell(cell)}</td>"
                for kind, cell in zip(kinds[1:], cells, strict=True)
            ]
            lines.append(f"<tr>{''.join(row)}</tr>")
        lines.append("</tbody>")
    return "\n".join([*lines, "</table></div>"])


def _html_cell(cell: str | Cell) -> str:
    if isinstance(cell, str):
        return escape(cell)
    text = f"<b>{escape(cell.text)}</b>" if cell.bold else escape(cell.text)
    mark = f'<span class="mark">{escape(cell.mark)}</span>' if cell.mark else ""
    below = f'<span class="below">{escape(cell.below)}</span>' if cell.below else ""
    return text + mark + below


def to_markdown(
    title: str, intro: Sequence[str], tables: Sequence[PlainTable], notes: Sequence[str]
) -> str:
    """The same page as Markdown."""
    parts = [f"# {escape_markdown(title)}", *map(escape_markdown, intro)]
    for table in tables:
        parts += [f"## {escape_markdown(table.title)}", markdown_table(table)]
    parts += [f"## {ABOUT}"] if notes else []
    return "\n\n".join([*parts, *map(escape_markdown, notes)]) + "\n"


def markdown_table(table: PlainTable) -> str:
    """The table alone, without its title; the interval stands behind its value."""
    left = {0, *table.words}
    rule = "".join("|:--" if n in left else "|--:" for n in range(len(table.heads)))
    lines = [_markdown_row(table.heads), f"{rule}|"]
    for group, rows in table.groups.items():
        if group:
            lines.append(f"| *{escape_markdown(group)}* " + "| " * (len(table.heads) - 1) + "|")
        lines += map(_markdown_row, rows)
    return "\n".join(lines)


def _markdown_row(cells: Row) -> str:
    return "| " + " | ".join(map(_markdown_cell, cells)) + " |"


def _markdown_cell(cell: str | Cell) -> str:
    if isinstance(cell, str):
        return escape_markdown(cell)
    text, *others = map(escape_markdown, (cell.text, cell.mark, cell.below))
    return " ".join(filter(None, [f"**{text}**" if cell.bold else text, *others]))


def to_latex(
    intro: Sequence[str], tables: Sequence[PlainTable], notes: Sequence[str], name: str
) -> str:
    """All tables, to be read by a document: intro above the first, notes below the last.

    name : of the labels: `tab:<name>`, then `tab:<name>-2`. A table too wide is made smaller.
    """
    parts = [r"% Needs \usepackage{booktabs,graphicx}."]
    for number, table in enumerate(tables, 1):
        label = f"tab:{name}{f'-{number}' if number > 1 else ''}"
        above = intro if number == 1 else ()
        parts.append(_latex_table(table, above, notes if number == len(tables) else (), label))
    return "\n".join(parts)


def _latex_table(table: PlainTable, intro: Sequence[str], notes: Sequence[str], label: str) -> str:
    columns = len(table.heads)
    lines = [_latex_row(table.heads)]
    for group, rows in table.groups.items():
        lines.append(r"\midrule")
        if group:
            lines.append(rf"\multicolumn{{{columns}}}{{l}}{{\textit{{{escape_latex(group)}}}}} \\")
        lines += map(_latex_row, rows)
    form = "".join("p{14em}" if n in table.words else "r" for n in range(1, columns))
    caption = " ".join([f"{table.title}.", *intro])
    return "\n".join(
        [
            r"\begin{table*}",
            r"\centering",
            rf"\caption[{escape_latex(table.title)}]{{{escape_latex(caption)}}}",
            rf"\label{{{label}}}",
            r"\par\medskip\footnotesize",
            r"\resizebox{\ifdim\width>\textwidth\textwidth\else\width\fi}{!}{%",
            rf"\begin{{tabular}}{{l{form}}}",
            r"\toprule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}}",
            r"\par\smallskip",
            r"\begin{minipage}{0.95\textwidth}",
            *map(escape_latex, notes),
            r"\end{minipage}",
            r"\end{table*}",
            "",
        ]
    )


def _latex_row(cells: Row) -> str:
    return rf"{' & '.join(map(_latex_cell, cells))} \\"


def _latex_cell(cell: str | Cell) -> str:
    if isinstance(cell, str):
        return escape_latex(cell)
    text = escape_latex(cell.text)
    if cell.bold:
        text = rf"\textbf{{{text}}}"
    if cell.mark:
        text += rf"\rlap{{ {escape_latex(cell.mark)}}}"
    if not cell.below:
        return text
    # The top line stands on the row's baseline.
    below = rf"{{\scriptsize {escape_latex(cell.below)}}}"
    return rf"\begin{{tabular}}[t]{{@{{}}r@{{}}}}{text}\\[-2pt]{below}\end{{tabular}}"


def escape_markdown(text: str) -> str:
    """Text that Markdown (and the HTML inside it) shows as it is, on one line."""
    return MARKDOWN_SPECIAL.sub(r"\\\1", escape(" ".join(text.split()), quote=False))


def escape_latex(text: str) -> str:
    """Text that LaTeX typesets as it is; a sign that it has no name for becomes a question mark."""
    return "".join(map(_latex_sign, " ".join(text.split())))


def _latex_sign(sign: str) -> str:
    if sign in LATEX or sign < LAST_LATIN:
        return LATEX.get(sign, sign)
    if greek := GREEK.fullmatch(unicodedata.name(sign, "")):
        size, name = greek.groups()
        name = name.lower().replace("lamda", "lambda")
        return rf"$\{name if size == 'SMALL' else name.capitalize()}$"
    kind, *codes = unicodedata.decomposition(sign).split() or [""]
    text = escape_latex("".join(chr(int(code, 16)) for code in codes)) or "?"
    place = {"<super>": "superscript", "<sub>": "subscript"}.get(kind)
    return rf"\text{place}{{{text}}}" if place else text
