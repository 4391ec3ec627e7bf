"""Measured values as CSV, Markdown and HTML, with numbers written for people."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ldct.common.files import write_text
from ldct.common.provenance import recorded
from ldct.rendering.page import Cell, PlainTable, to_html, to_latex, to_markdown

MISSING = "–"


def write_tables(
    stem: Path,
    title: str,
    tables: Sequence[PlainTable],
    values: pd.DataFrame,
    notes: Sequence[str],
    inputs: Sequence[Path],
    intro: Sequence[str] = (),
) -> None:
    """Write `<stem>.csv` (the bare `values`), `<stem>.md`, `.tex` and `.html`, atomically.

    notes, intro : lines below and above the tables; empty ones are left out. inputs : files that
        the records name.
    """
    intro, notes = ([line for line in lines if line] for lines in (intro, notes))
    texts = {
        "csv": values.to_csv(index=False),
        "md": to_markdown(title, intro, tables, notes),
        "tex": to_latex(intro, tables, notes, stem.name),
        "html": to_html(title, intro, tables, notes),
    }
    paths = {stem.with_name(f"{stem.name}.{suffix}"): text for suffix, text in texts.items()}
    with recorded(list(paths), inputs, {"notes": notes}):
        for path, text in paths.items():
            write_text(path, text)


def number(value: float | None, digits: int) -> str:
    """A value for people: fixed digits, thousands apart, a true minus sign, a dash for none."""
    if pd.isna(value):
        return MISSING
    # Adding zero to the rounded value turns −0 into 0.
    text = f"{round(value, digits) + 0:,.{digits}f}" if np.isfinite(value) else f"{value}"
    return text.replace("-", "−").replace("inf", "∞")


def counted(count: int, noun: str) -> str:
    """`1 slice`, `1,200 slices`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def signed(value: float | None, digits: int) -> str:
    """The same with a plus sign where the printed value is above zero."""
    plus = "+" if pd.notna(value) and round(value, digits) > 0 else ""
    return plus + number(value, digits)


def bounds(lower: float, upper: float, digits: int) -> str:
    """`[lower, upper]`; empty where there are no bounds."""
    if pd.isna(lower) or pd.isna(upper):
        return ""
    return f"[{number(lower, digits)}, {number(upper, digits)}]"


def with_bounds(value: float, lower: float, upper: float, digits: int) -> str:
    """`value [lower, upper]`; the value alone where it or its bounds are missing."""
    interval = bounds(lower, upper, digits) if np.isfinite(value) else ""
    return f"{number(value, digits)} {interval}".rstrip()


def cell(found: Any, digits: int) -> Cell:
    """The cell of something with `estimate`, `lower` and `upper`; a dash where it is None."""
    if found is None:
        return Cell(MISSING)
    return Cell(number(found.estimate, digits), bounds(found.lower, found.upper, digits))


def p_text(p_value: float | None) -> str:
    """A p value with three decimals."""
    if pd.isna(p_value):
        return MISSING
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"
