"""The tables of per-slice values that a finished run holds, read by name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ldct.evaluation.run_files import table_files

# Columns that say which row it is; all other numbers are values.
KEYS = (
    "method",
    "seed",
    "patient",
    "slice_index",
    "z_mm",
    "protocol",
    "lesion",
    "label",
    "diameter_mm",
    "contrast_hu",
    "observer",
)


class NotMeasuredError(Exception):
    """A value that is not there; the message says why, for people."""


def read_table(run: Path, settings: Mapping[str, Any], table: str, method: str) -> pd.DataFrame:
    """All rows of one table and method. Raises NotMeasuredError where a file is missing."""
    files = table_files(run, settings, table, method)
    missing = [path for path in files if not path.is_file()]
    if missing:
        raise NotMeasuredError(f"{missing[0].relative_to(run)} was not made")
    return pd.concat([pd.read_parquet(path) for path in files], ignore_index=True)


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
        raise NotMeasuredError(f"{metric} of {method} is undefined in every row of table {table}")
    return rows[[key for key in KEYS if key in rows] + [metric]].reset_index(drop=True)
