"""Measured values as CSV, Markdown and HTML, with numbers written for people."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ldct.common.files import write_text
from ldct.common.inputs import read_frame
from ldct.common.provenance import write_record
from ldct.rendering.page import PlainTable, to_html, to_markdown

MISSING = "–"


def read_tables(paths: Sequence[Path], columns: Sequence[str]) -> pd.DataFrame:
    """All rows of parquet files with at least `columns`. InputError where a file is none."""
    frames = [read_frame(path, columns) for path in paths]
    # Tables without rows would change the types of columns.
    return pd.concat([frame for frame in frames if len(frame)] or frames[:1], ignore_index=True)


def write_tables(
    stem: Path,
    title: str,
    tables: Sequence[PlainTable],
    values: pd.DataFrame,
    notes: Sequence[str],
    inputs: Sequence[Path],
    intro: Sequence[str] = (),
) -> None:
    """Write `<stem>.csv` (the bare `values`), `<stem>.md` and `<stem>.html`, atomically.

    notes, intro : lines below and above the tables; empty ones are left out. inputs : files that
        the records name.
    """
    started = time.perf_counter()
    intro, notes = ([line for line in lines if line] for lines in (intro, notes))
    texts = {
        "csv": values.to_csv(index=False),
        "md": to_markdown(title, intro, tables, notes),
        "html": to_html(title, intro, tables, notes),
    }
    for suffix, text in texts.items():
        path = stem.with_name(f"{stem.name}.{suffix}")
        write_text(path, text)
        write_record(path, inputs=inputs, settings={"notes": notes}, started=started)


def number(value: float | None, digits: int) -> str:
    """A value for people: fixed digits, thousands apart, a true minus sign, a dash for none."""
    if pd.isna(value):
        return MISSING
    # Adding zero to the rounded value turns −0 into 0.
    text = f"{round(value, digits) + 0:,.{digits}f}" if np.isfinite(value) else f"{value}"
    return text.replace("-", "−").replace("inf", "∞")


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


def p_text(p_value: float | None) -> str:
    """A p value with three decimals."""
    if pd.isna(p_value):
        return MISSING
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"
