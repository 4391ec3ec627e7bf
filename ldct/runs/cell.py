"""One cell of a finished run's tables: its rows, files and protocol, and its value as printed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ldct.common.errors import InputError
from ldct.common.files import read_json
from ldct.common.provenance import record_path
from ldct.common.run_files import TABLES, table_files
from ldct.detectability.detection import DISC
from ldct.detectability.table import LOW_DOSE, detectability_summary
from ldct.metrics.protocol import Protocol, load_protocol
from ldct.runs.formulas import formula_of
from ldct.runs.lineage import find_record, place_of
from ldct.runs.place import choose
from ldct.runs.tables import BOUNDS_OF_DISCS, NotMeasuredError, read_table, values_of
from ldct.statistics.uncertainty import MEAN, mean_interval
from ldct.table1.statistics import averaging_of

COST_FILE = "tables/cost.json"


@dataclass(frozen=True)
class Cell:
    """A method's values in one column of a table.

    rows : all of them, of one protocol; of discs those of LDCT, too. files : that hold the rows.
    behind : further files that the rows were made from and that the records do not name.
    """

    table: str
    column: str
    method: str
    rows: pd.DataFrame
    files: Sequence[Path]
    behind: Sequence[Path]
    protocol: Protocol | None

    def describe_protocol(self) -> dict[str, str] | None:
        """Name and text of the protocol, and whether the values were made under it as it reads."""
        if self.protocol is None:
            return None
        recorded = [record["settings"] for path in self.files if (record := find_record(path))]
        used = [
            protocol
            for settings in recorded
            for protocol in settings.get("protocols", [settings.get("protocol", {})])
            if protocol.get("name") == self.protocol.name
        ]
        now = json.loads(json.dumps(asdict(self.protocol)))
        same = all({**now, **each} == now for each in used)
        state = "as recorded" if same else "changed since the values were made"
        name, text = self.protocol.name, self.protocol.describe()
        return {"name": name, "text": text, "state": state if used else "unknown"}


def find_cell(
    folder: Path, settings: Mapping[str, Any], method: str, metric: str, protocol: str | None
) -> Cell:
    """The cell of a metric, named alone or `<table>.<column>`.

    Raises InputError where no table of the method has it, where several have, or where its table
    has no such protocol.
    """
    rows_of: dict[str, pd.DataFrame] = {}
    tables_of: dict[str, list[str]] = {}
    for table in (*TABLES, "cost"):
        try:
            rows_of[table] = _rows(folder, settings, table, method)
        except NotMeasuredError:
            continue
        for name in values_of(rows_of[table], table):
            tables_of.setdefault(name, []).append(table)
    named, _, column = metric.rpartition(".")
    found = [table for table in tables_of.get(column, []) if named in ("", table)]
    if not tables_of:
        raise InputError(f"{folder}: holds no values of {method} by slice; expected a whole run")
    if not found:
        choose("metric", metric, list(tables_of), f"a measured value of {method}")
    if len(found) > 1:
        names = " or ".join(f"{table}.{metric}" for table in found)
        raise InputError(f"metric '{metric}' stands in several tables: write {names}")
    table = found[0]
    rows = rows_of[table]
    chosen = _choose_protocol(rows, table, settings, folder.parent.parent, protocol)
    if chosen is not None and "protocol" in rows:
        rows = rows[rows["protocol"] == chosen.name]
    return Cell(table, column, method, rows, *_files(folder, settings, table, method), chosen)


def _rows(folder: Path, settings: Mapping[str, Any], table: str, method: str) -> pd.DataFrame:
    """All rows of one table and method; of the cost one row."""
    if table != "cost":
        names = dict.fromkeys([method, LOW_DOSE] if table == "detectability" else [method])
        frames = [read_table(folder, settings, table, name) for name in names]
        return pd.concat(frames, ignore_index=True)
    path = folder / COST_FILE
    entry = read_json(path)["methods"].get(method) if path.is_file() else None
    if entry is None:
        raise NotMeasuredError(f"{COST_FILE} was not made, or {method} is not in it")
    numbers = {
        key: value
        for key, value in entry.items()
        if value is None or isinstance(value, int | float)
    }
    return pd.DataFrame([numbers]).astype(float)


def _files(
    folder: Path, settings: Mapping[str, Any], table: str, method: str
) -> tuple[list[Path], list[Path]]:
    """Files that hold the rows, and those behind them that no record names."""
    if table == "cost":
        folders = [f"predictions/{method}", f"benchmarks/denoise/{method}", f"models/{method}"]
        for model in settings["chains"].get(method, []):
            folders += [f"models/{model}", f"benchmarks/train/{model}"]
        found = {path for name in folders for path in (folder / name).rglob("*")}
        jobs = [each for each in found if each.suffix == ".tsv" or record_path(each).is_file()]
        return [folder / COST_FILE], sorted(jobs)
    low_dose = table_files(folder, settings, table, LOW_DOSE) if table == "detectability" else []
    behind = [path for path in low_dose if path.is_file()]
    return table_files(folder, settings, table, method), behind


def _choose_protocol(
    rows: pd.DataFrame, table: str, settings: Mapping[str, Any], root: Path, name: str | None
) -> Protocol | None:
    """`name`, or the first protocol of the run that the table has; None where it has none."""
    files = settings.get("protocol_files", [settings["protocol_file"]])
    found = [load_protocol(place_of(root, path)) for path in files]
    protocols = {each.name: each for each in found}
    if "protocol" in rows:
        used = [each for each in protocols if each in set(rows["protocol"])]
    else:  # lesions have the main one alone
        used = list(protocols)[:1] if table == "lesion_bench" else []
    if not used and name is None:
        return None
    if not used:
        raise InputError(f"table {table} has no protocols; leave --protocol out")
    return protocols[choose("protocol", name or used[0], used)]


def value_of(cell: Cell, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Mean with its interval, as the tables print it; of discs one by one, as `conditions`.

    `estimate` is None, with `why`, where the tables show none.
    """
    confidence = settings.get("statistics", {}).get("confidence", 0.95)
    rows, column = cell.rows, cell.column
    if cell.table == "detectability":
        names = [*DISC, column, *BOUNDS_OF_DISCS[column]]
        found = detectability_summary(rows, {cell.method: cell.method}, confidence)[names]
        conditions = found.set_axis([*DISC, "value", "lower", "upper"], axis="columns")
        return {"conditions": conditions.to_dict("records"), "confidence": confidence}
    left_out = int(rows[column].isna().sum())
    if left_out == len(rows):
        return {"estimate": None, "why": "undefined or switched off"}
    if cell.table == "cost":
        return {"estimate": float(rows[column].iloc[0])}
    averaging = MEAN if cell.protocol is None else averaging_of(cell.protocol, column)
    limits = formula_of(column, cell.table).limits
    interval = mean_interval(
        rows, column, confidence=confidence, averaging=averaging, limits=limits
    )
    return {**asdict(interval), "note": interval.note, "rows_left_out": left_out}
