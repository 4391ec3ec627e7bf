"""Which cell of a run's tables a name means: its column, rows, files and protocol."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pandas as pd

from ldct.configuration import FIXED
from ldct.errors import InputError
from ldct.evaluation.image_quality import BLIND
from ldct.evaluation.protocol import Protocol, load_protocol
from ldct.evaluation.run_files import TABLES, table_files
from ldct.evaluation.run_tables import NotMeasuredError, read_table, values_of
from ldct.files import read_json

COST_FILE = "tables/cost.json"
LOW_DOSE = "ldct"  # what the change of a disc's d' is measured from
# What a record's settings say beside how a value was measured.
NOT_OF_MEASURE = ("method", "seed", "protocol", "protocols", "undefined", BLIND)


def choose(what: str, name: str, known: Sequence[str]) -> str:
    """`name` where it is known. InputError with the choices otherwise."""
    if name not in known:
        raise InputError(unknown(what, name, known, "one of this run's"))
    return name


def unknown(what: str, name: str, known: Sequence[str], expected: str) -> str:
    """Message of a name that is not known, with the nearest one that is."""
    close = get_close_matches(name, known, n=1)
    hint = f" (did you mean '{close[0]}'?)" if close else ""
    choices = ", ".join(known) or "none"
    return f"unknown {what} '{name}'{hint}; expected {expected}; known: {choices}"


def find_column(
    folder: Path, settings: Mapping[str, Any], method: str, metric: str
) -> tuple[str, str]:
    """Table and column of a metric, named alone or `<table>.<column>`.

    Raises InputError where no table of the method has it, or where several have.
    """
    tables: dict[str, list[str]] = {}
    for table in (*TABLES, "cost"):
        try:
            rows = rows_of(folder, settings, table, method)
        except NotMeasuredError:
            continue
        for column in values_of(rows, table):
            tables.setdefault(column, []).append(table)
    table, _, column = metric.rpartition(".")
    if table in tables.get(column, []):
        return table, column
    found = tables.get(metric, [])
    if len(found) == 1:
        return found[0], metric
    if found:
        names = " or ".join(f"{table}.{metric}" for table in found)
        raise InputError(f"metric '{metric}' stands in several tables: write {names}")
    known = [
        name
        for column, places in tables.items()
        for name in ([column] if len(places) == 1 else [f"{table}.{column}" for table in places])
    ]
    raise InputError(unknown("metric", metric, known, f"a measured value of {method}"))


def rows_of(folder: Path, settings: Mapping[str, Any], table: str, method: str) -> pd.DataFrame:
    """All rows of one table and method; of discs those of LDCT, too; of the cost one row.

    A cost is NaN where its table has a dash. Raises NotMeasuredError where there are no rows.
    """
    if table == "detectability":
        names = dict.fromkeys([method, LOW_DOSE])
        frames = [read_table(folder, settings, table, name) for name in names]
        return pd.concat(frames, ignore_index=True)
    if table != "cost":
        return read_table(folder, settings, table, method)
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


def files_of(folder: Path, settings: Mapping[str, Any], table: str, method: str) -> list[Path]:
    """Files that hold the rows."""
    if table == "cost":
        return [folder / COST_FILE]
    return table_files(folder, settings, table, method)


def further_files(folder: Path, settings: Mapping[str, Any], table: str, method: str) -> list[Path]:
    """Files behind the cell that the records of its rows do not name, where they are there."""
    if table == "detectability":
        found = table_files(folder, settings, table, LOW_DOSE)
    elif table == "cost":
        found = _files_of_jobs(folder, settings, method)
    else:
        found = []
    return [path for path in found if path.is_file()]


def _files_of_jobs(folder: Path, settings: Mapping[str, Any], method: str) -> list[Path]:
    """What a method's cost is read from: files with the records of its jobs, and benchmarks."""
    seeds, patients = settings["method_seeds"][method], settings["test_patients"]
    trained = [f"{model}/{seed}" for model in settings["chains"].get(method, []) for seed in seeds]
    denoised = [f"{method}/{seed}/{patient}" for seed in seeds for patient in patients]
    names = [
        *(f"models/{job}/weights.safetensors" for job in trained),
        *(f"models/{job}/training.json" for job in trained),
        *(f"benchmarks/train/{job}.tsv" for job in trained),
        f"models/{method}/{FIXED}/parameters.json",
        *(f"predictions/{job}.npy" for job in denoised),
        *(f"benchmarks/denoise/{job}.tsv" for job in denoised),
    ]
    return [folder / name for name in names]


def protocol_of(
    rows: pd.DataFrame,
    table: str,
    settings: Mapping[str, Any],
    records: Sequence[Mapping[str, Any]],
    root: Path,
    name: str | None,
) -> Protocol | None:
    """The protocol of the cell: `name`, or the first of the run that its table has.

    records : of the files that hold the rows. None where the table has no protocol. Raises
    InputError where the table has none of that name.
    """
    files = settings.get("protocol_files", [settings["protocol_file"]])
    protocols = {each.name: each for each in (load_protocol(root / path) for path in files)}
    if "protocol" in rows:
        used = set(rows["protocol"])
    else:
        used = {each["name"] for each in _recorded_protocols(records)}
        # The one measure without the column, where its record is lost.
        used |= {next(iter(protocols))} if table == "lesion_bench" and not used else set()
    if not used:
        if name is not None:
            raise InputError(f"table {table} has no protocols; leave --protocol out")
        return None
    scored = [each for each in protocols if each in used]
    return protocols[choose("protocol", name or next(iter(scored), min(used)), scored)]


def describe_protocol(protocol: Protocol, records: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Name and text of the protocol, and whether the values were made under it as it now reads."""
    now = json.loads(json.dumps(asdict(protocol)))
    used = [each for each in _recorded_protocols(records) if each["name"] == protocol.name]
    same = all({**now, **each} == now for each in used)
    state = (
        "unknown" if not used else "as recorded" if same else "changed since the values were made"
    )
    return {"name": protocol.name, "text": protocol.describe(), "state": state}


def _recorded_protocols(records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Protocols in the settings of records: one, or several in one file."""
    found = []
    for record in records:
        found += record["settings"].get("protocols", [])
        found += [record["settings"]["protocol"]] if "protocol" in record["settings"] else []
    return found


def measured_with(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Further settings of the measure, as the records of its files name them."""
    return {
        key: value
        for record in records
        for key, value in record["settings"].items()
        if key not in NOT_OF_MEASURE and value is not None and not isinstance(value, Mapping)
    }
