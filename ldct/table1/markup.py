"""A table as a LaTeX fragment."""

from collections.abc import Sequence

from ldct.rendering.page import Cell, PlainTable, Row, escape_latex


def latex_table(table: PlainTable, caption: str, about: Sequence[str]) -> str:
    """LaTeX with booktabs rules. caption, about : plain text, above and below the table."""
    columns = len(table.heads)
    lines = [_row(table.heads)]
    for group, rows in table.groups.items():
        lines.append(r"\midrule")
        if group:
            lines.append(rf"\multicolumn{{{columns}}}{{l}}{{\textit{{{escape_latex(group)}}}}} \\")
        lines += map(_row, rows)
    return "\n".join(
        [
            r"% Needs \usepackage{booktabs}.",
            r"\begin{table*}",
            r"\centering",
            rf"\caption[{escape_latex(table.title)}]{{{escape_latex(caption)}}}",
            r"\label{tab:psnr-ssim}",
            r"\par\medskip\footnotesize",
            rf"\begin{{tabular}}{{l{'r' * (columns - 1)}}}",
            r"\toprule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            r"\par\smallskip",
            r"\begin{minipage}{0.95\textwidth}",
            *map(escape_latex, about),
            r"\end{minipage}",
            r"\end{table*}",
            "",
        ]
    )


def _row(cells: Row) -> str:
    return rf"{' & '.join(map(_cell, cells))} \\"


def _cell(cell: str | Cell) -> str:
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
