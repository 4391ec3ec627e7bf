"""The tables of per-slice values that a finished run holds, read by name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ldct.common.run_files import table_files
from ldct.metrics.scores import KEYS, regular_slices
from ldct.runs.formulas import formula_of

# Columns that say which row it is; all other numbers are values.
KEYS_OF_TABLE = {
    "lesion_bench": (*KEYS, "lesion", "label", "diameter_mm"),
    "detectability": (*KEYS, "contrast_hu", "diameter_mm"),
}
# Values of the table of discs, with the columns of their bounds.
BOUNDS_OF_DISCS = {"d_prime": ("lower", "upper"), "change": ("change_lower", "change_upper")}


class NotMeasuredError(Exception):
    """A value that is not there; the message says why, for people."""


def read_table(run: Path, settings: Mapping[str, Any], table: str, method: str) -> pd.DataFrame:
    """Rows of one table and method that means are made of (`regular_slices`).

    Raises NotMeasuredError where a file is missing.
    """
    files = table_files(run, settings, table, method)
    missing = [path for path in files if not path.is_file()]
    if missing:
        raise NotMeasuredError(f"{missing[0].relative_to(run)} was not made")
    rows = pd.concat([pd.read_parquet(path) for path in files], ignore_index=True)
    return regular_slices(rows)


def read_values(
    run: Path, settings: Mapping[str, Any], table: str, metric: str, method: str, protocol: str
) -> pd.DataFrame:
    """Rows of one method with the key columns and `metric`, under one protocol where it matters.

    Raises NotMeasuredError where the file, the column, or every value is missing.
    """
    rows = read_table(run, settings, table, method)
    if metric not in rows:
        raise NotMeasuredError(f"table {table} has no column {metric}")
    if "protocol" in rows:
        rows = rows[rows["protocol"] == protocol]
    if rows.empty:
        raise NotMeasuredError(f"table {table} has no row of {method} under protocol {protocol}")
    if rows[metric].isna().all():
        title = formula_of(metric, table).title
        raise NotMeasuredError(f"{title} of {method} is undefined in every row, or switched off")
    keys = [key for key in KEYS_OF_TABLE.get(table, KEYS) if key in rows]
    return rows[[*keys, metric]].reset_index(drop=True)


def values_of(rows: pd.DataFrame, table: str) -> list[str]:
    """Columns of a table that hold measured numbers; bounds come with the values of discs."""
    if table == "detectability":
        return [name for name in BOUNDS_OF_DISCS if name in rows]
    numbers = rows.select_dtypes("number").columns
    return [name for name in numbers if name not in KEYS_OF_TABLE.get(table, KEYS)]
