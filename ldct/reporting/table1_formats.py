"""Table I as Markdown, LaTeX and HTML: one table of plain text in, escaped markup out."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_lowercase

NOT_RUN = "not run"
OTHER_ROWS = "Not in the paper's table"
SUPERSCRIPT = {1: "¹", 2: "²"}
TIE_SUPERSCRIPT = "⁼"
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


@dataclass(frozen=True)
class Cell:
    """One number as printed; mark 1 is the best and 2 the second best of the paper's rows.

    tied : the place is shared, since the data do not decide; such a cell bears no colour.
    interval : e.g. "30.91, 35.44", without brackets. spread : standard deviation over seeds.
    """

    text: str
    mark: int = 0
    tied: bool = False
    interval: str = ""
    spread: str = ""

    @property
    def uncertainty(self) -> str:
        """Interval and spread as one text, e.g. "[30.91, 35.44] ± 0.03"."""
        interval = f"[{self.interval}]" if self.interval else ""
        return f"{interval} ± {self.spread}".strip() if self.spread else interval


@dataclass(frozen=True)
class TableRow:
    """One method; `reason` set means that it was not run and that `ours` holds no number.

    differences : this run minus published, or empty in a table without these columns.
    """

    title: str
    ours: Sequence[Cell]
    published: Sequence[Cell]
    differences: Sequence[Cell]
    reason: str | None


@dataclass(frozen=True)
class Table:
    """Table I as plain text, before any markup.

    test : how it was decided which places are shared, for the legend.
    """

    title: str
    caption: Sequence[str]
    test: str
    paper_rows: Sequence[TableRow]
    other_rows: Sequence[TableRow]
    difference_note: str
    attribution: str
    run: str

    @property
    def with_differences(self) -> bool:
        """Whether the table has the columns of differences from the published values."""
        return any(row.differences for row in [*self.paper_rows, *self.other_rows])

    @property
    def columns(self) -> int:
        """All columns, that of the methods included."""
        return 7 if self.with_differences else 5

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
        rows.append(f"| *{escape_markdown(OTHER_ROWS)}* {'| ' * (table.columns - 1)}|")
        rows += [_markdown_row(row, table.notes) for row in table.other_rows]
    names = ["Method", "PSNR", "SSIM", "PSNR, published", "SSIM, published"]
    names += ["PSNR, difference†", "SSIM, difference†"] if table.with_differences else []
    header = [f"| {' | '.join(names)} |", f"|:--{'|--:' * (len(names) - 1)}|"]
    dagger = "† " if table.with_differences else ""
    blocks = [
        f"**Table I. {escape_markdown(table.title)}.**",
        "\n".join(header + rows),
        escape_markdown(" ".join(table.caption)),
        "**Bold**¹ marks the best and *italics*² the second best of the paper's rows, but only "
        f"where they differ from all others ({escape_markdown(table.test)}); ⁼¹ and ⁼² mark rows "
        "that share the place, since these data do not decide between them. Marks of the published "
        "columns are as printed in the paper, which gives no spread.",
        f"{dagger}{escape_markdown(table.difference_note)}",
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
    emphasis = "" if cell.tied else {0: "", 1: "**", 2: "*"}[cell.mark]
    superscript = (TIE_SUPERSCRIPT if cell.tied else "") + SUPERSCRIPT.get(cell.mark, "")
    number = f"{emphasis}{cell.text}{emphasis}{superscript}"
    return f"{number} {cell.uncertainty}".strip()


def to_latex(table: Table) -> str:
    """LaTeX fragment with booktabs rules; best in red, second best in blue, with a superscript."""
    rows = [_latex_row(row, table.notes) for row in table.paper_rows]
    if table.other_rows:
        apart = rf"\multicolumn{{{table.columns}}}{{l}}{{\textit{{{escape_latex(OTHER_ROWS)}}}}} \\"
        rows += [r"\midrule", apart, *(_latex_row(row, table.notes) for row in table.other_rows)]
    notes = [
        rf"\textsuperscript{{{mark}}}~Not run: {escape_latex(why)}."
        for why, mark in table.notes.items()
    ]
    caption = " ".join(map(escape_latex, [f"{table.title}.", *table.caption]))
    differences, last_rule, names, dagger = "", "", "", ""
    if table.with_differences:
        differences = r" & \multicolumn{2}{c}{Difference\textsuperscript{\dag}}"
        last_rule, names = r" \cmidrule(lr){6-7}", " & PSNR & SSIM"
        dagger = r"\textsuperscript{\dag}~"
    return "\n".join(
        [
            r"% Needs \usepackage{booktabs} and \usepackage{xcolor}.",
            r"\begin{table*}",
            r"\centering",
            rf"\caption[{escape_latex(table.title)}]{{{caption} {_latex_legend(table)}}}",
            r"\label{tab:psnr-ssim}",
            r"\par\medskip\footnotesize",
            rf"\begin{{tabular}}{{l{'r' * (table.columns - 1)}}}",
            r"\toprule",
            r" & \multicolumn{2}{c}{This run} & \multicolumn{2}{c}{Published}"
            + rf"{differences} \\",
            r"\cmidrule(lr){2-3} \cmidrule(lr){4-5}" + last_rule,
            rf"Method & PSNR & SSIM & PSNR & SSIM{names} \\",
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\par\smallskip",
            r"\begin{minipage}{0.95\textwidth}",
            f"{dagger}{escape_latex(table.difference_note)}",
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
    if cell.tied:
        text = rf"{text}\rlap{{\textsuperscript{{={cell.mark}}}}}"
    elif cell.mark:
        colour = {1: "red", 2: "blue"}[cell.mark]
        text = rf"\textcolor{{{colour}}}{{{text}\rlap{{\textsuperscript{{{cell.mark}}}}}}}"
    if not cell.uncertainty:
        return text
    # The top line stands on the row's baseline.
    below = rf"{{\scriptsize {escape_latex(cell.uncertainty)}}}"
    return rf"\begin{{tabular}}[t]{{@{{}}r@{{}}}}{text}\\[-2pt]{below}\end{{tabular}}"


def _latex_legend(table: Table) -> str:
    return (
        r"\textcolor{red}{Red\textsuperscript{1}} marks the best and "
        r"\textcolor{blue}{blue\textsuperscript{2}} the second best of the paper's rows, but only "
        rf"where they differ from all others ({escape_latex(table.test)}); "
        r"\textsuperscript{=1} and \textsuperscript{=2} mark rows that share the place, since "
        "these data do not decide between them. Colours of the published columns are as printed "
        "in the paper, which gives no spread."
    )
