"""Measured values as CSV, Markdown and HTML, with numbers written for people."""

import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ldct.files import atomic_path, write_text
from ldct.inputs import read_frame
from ldct.provenance import write_record
from ldct.reporting.plain_table import PlainTable, to_html, to_markdown

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
) -> None:
    """Write `<stem>.csv` (the bare `values`), `<stem>.md` and `<stem>.html`, atomically."""
    started = time.perf_counter()
    notes = [note for note in notes if note]
    paths = {suffix: stem.with_name(f"{stem.name}.{suffix}") for suffix in ("csv", "md", "html")}
    with atomic_path(paths["csv"]) as temporary:
        values.to_csv(temporary, index=False)
    write_text(paths["md"], to_markdown(title, [], tables, notes))
    write_text(paths["html"], to_html(title, [], tables, notes))
    for path in paths.values():
        write_record(path, inputs=inputs, settings={"notes": notes}, started=started)


def number(value: float, digits: int) -> str:
    """A value for people: fixed digits, a true minus sign, a dash where there is none."""
    if pd.isna(value):
        return MISSING
    # Adding zero to the rounded value turns −0 into 0.
    return (
        "∞" if value == float("inf") else f"{round(value, digits) + 0:.{digits}f}".replace("-", "−")
    )


def with_bounds(value: float, lower: float, upper: float, digits: int) -> str:
    """`value [lower, upper]`; the value alone where there are no bounds."""
    text = number(value, digits)
    if pd.isna(lower) or pd.isna(upper) or text in (MISSING, "∞"):
        return text
    return f"{text} [{number(lower, digits)}, {number(upper, digits)}]"
