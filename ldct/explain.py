"""Where one number of a finished run comes from: value, formula, and every file behind it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from shlex import quote
from typing import Any

import pandas as pd

from ldct import __version__
from ldct.errors import InputError
from ldct.evaluation.formulas import formula_of
from ldct.evaluation.intervals import MEAN, POOLED_PSNR, POOLED_RMSE
from ldct.evaluation.protocol import Protocol, load_protocol
from ldct.evaluation.run_files import TABLES, table_files
from ldct.evaluation.run_tables import KEYS, NotMeasuredError, read_table
from ldct.evaluation.uncertainty import mean_interval
from ldct.files import read_json, read_yaml
from ldct.lineage import Link, trace
from ldct.provenance import git_revision

# Measured numbers of the table of discs, with the columns of their bounds.
BOUNDS_OF_DISCS = {"d_prime": ("lower", "upper"), "change": ("change_lower", "change_upper")}
POOLED = {"psnr": POOLED_PSNR, "rmse_hu": POOLED_RMSE}


def explain(
    run: str, method: str, metric: str, protocol: str | None = None, seed: str | None = None
) -> dict[str, Any]:
    """All that is known of one cell of a run's tables, as plain data.

    run : a folder, or a name below results/. metric : a column of scores, image_quality, texture,
    lesion_bench or detectability, or `<table>.<column>` where two tables have it. protocol : name;
    left out, the run's main one. seed : one training seed; left out, all of them.
    Raises InputError with the choices where run, method, metric, protocol or seed is unknown.
    """
    folder = run_folder(run)
    settings = read_yaml(folder / "config.yaml")
    cards = {**settings["cards"], **settings.get("control_cards", {})}
    method = _choose("method", method, list(cards))
    seeds = settings["method_seeds"][method]
    if seed is not None:
        seeds = [_choose("seed", seed, seeds)]
    settings = {**settings, "method_seeds": {method: seeds}}
    table, column = _find_column(folder, settings, method, metric)
    chosen = _protocol(folder, settings, table, method, protocol)
    rows = read_table(folder, settings, table, method)
    if chosen is not None and "protocol" in rows:
        rows = rows[rows["protocol"] == chosen.name]
    files = table_files(folder, settings, table, method)
    root = folder.parent.parent
    outputs = [str(path.relative_to(root)) for path in files]
    links = trace(outputs, root)
    formula = formula_of(column)
    return {
        "run": settings["run"],
        "folder": str(folder),
        "method": method,
        "title": cards[method]["title"],
        "kind": cards[method]["kind"],
        "metric": f"{table}.{column}",
        "formula": asdict(formula),
        "protocol": None if chosen is None else _describe(chosen, links),
        "dataset": settings["dataset"]["title"],
        "simulated_dose": settings["dataset"]["simulated"],
        "simulated_discs": table == "detectability",
        "budget": settings["budget_text"],
        "seeds": seeds,
        "value": _value(rows, column, table, chosen, settings.get("statistics", {})),
        "card": _card(settings, method, cards[method], root),
        "stages": _stages(settings, method, links),
        "files": [_plain(link) for link in links],
        "problems": problems(links),
        "code_now": {"version": __version__, "git": git_revision()},
        "rebuild": rebuild_command(settings, outputs),
    }


def run_folder(run: str) -> Path:
    """Folder of a run given by name or path. InputError with the known runs otherwise."""
    for folder in (Path(run), Path("results", run)):
        if (folder / "config.yaml").is_file() and folder.name:
            return folder
    known = sorted(path.parent.name for path in Path("results").glob("*/config.yaml"))
    raise InputError(_unknown("run", run, known, "a folder of results/ with a config.yaml"))


def _choose(what: str, name: str, known: Sequence[str]) -> str:
    if name not in known:
        raise InputError(_unknown(what, name, known, "one of this run's"))
    return name


def _unknown(what: str, name: str, known: Sequence[str], expected: str) -> str:
    close = get_close_matches(name, known, n=1)
    hint = f" (did you mean '{close[0]}'?)" if close else ""
    choices = ", ".join(known) or "none"
    return f"unknown {what} '{name}'{hint}; expected {expected}; known: {choices}"


def _find_column(
    folder: Path, settings: Mapping[str, Any], method: str, metric: str
) -> tuple[str, str]:
    """Table and column of a metric among the tables that the method has."""
    columns = {}
    for table in TABLES:
        try:
            columns[table] = values_of(read_table(folder, settings, table, method), table)
        except NotMeasuredError:
            continue
    known = [f"{table}.{name}" for table, names in columns.items() for name in names]
    plain = [name.partition(".")[2] for name in known]
    if metric in known:
        table, _, column = metric.partition(".")
        return table, column
    if metric not in plain:
        _refuse_cost(folder, metric)
        raise InputError(_unknown("metric", metric, list(dict.fromkeys(plain)), f"one of {method}"))
    found = [name for name in known if name.partition(".")[2] == metric]
    if len(found) > 1:
        raise InputError(f"metric '{metric}' stands in several tables: write {' or '.join(found)}")
    return found[0].partition(".")[0], metric


def _refuse_cost(folder: Path, metric: str) -> None:
    """A cost has no rows to walk back from: say where it stands. InputError for such a metric."""
    path = folder / "tables/cost.json"
    content = read_json(path) if path.is_file() else {}
    numbers = {
        key
        for entry in content.get("methods", {}).values()
        for key, value in entry.items()
        if value is None or isinstance(value, int | float)
    }
    if metric in numbers:
        raise InputError(
            f"metric '{metric}' is a cost of the run, not a value of slices or discs: it stands in "
            f"{path}, for people in {path.with_suffix('.md')}"
        )


def values_of(rows: pd.DataFrame, table: str) -> list[str]:
    """Columns of a table that hold measured numbers; their bounds come with them."""
    if table == "detectability":
        return [name for name in BOUNDS_OF_DISCS if name in rows]
    numbers = rows.select_dtypes("number").columns
    return [name for name in numbers if name not in KEYS]


def _protocol(
    folder: Path, settings: Mapping[str, Any], table: str, method: str, name: str | None
) -> Protocol | None:
    """The protocol of the cell, None where the table has none."""
    rows = read_table(folder, settings, table, method)
    if "protocol" not in rows:
        if name is not None:
            raise InputError(f"table {table} has no protocols; leave --protocol out")
        return None
    root = folder.parent.parent
    files = settings.get("protocol_files", [settings["protocol_file"]])
    protocols = {each.name: each for each in (load_protocol(root / path) for path in files)}
    scored = [each for each in protocols if each in set(rows["protocol"])]
    return protocols[_choose("protocol", name or next(iter(protocols)), scored)]


def _describe(protocol: Protocol, links: Sequence[Link]) -> dict[str, str]:
    """Name and text of the protocol, and whether the values were made under it as it now reads."""
    now = json.loads(json.dumps(asdict(protocol)))
    records = [link.record["settings"] for link in links if link.record is not None]
    used = [each for record in records for each in record.get("protocols", [])]
    used = [each for each in used if each["name"] == protocol.name]
    same = all({**now, **each} == now for each in used)
    state = (
        "unknown" if not used else "as recorded" if same else "changed since the values were made"
    )
    return {"name": protocol.name, "text": protocol.describe(), "state": state}


def _value(
    rows: pd.DataFrame,
    column: str,
    table: str,
    protocol: Protocol | None,
    statistics: Mapping[str, Any],
) -> dict[str, Any]:
    """Mean with its interval; of discs the conditions one by one, each with its own."""
    if table == "detectability":
        names = dict(
            zip(("value", "lower", "upper"), (column, *BOUNDS_OF_DISCS[column]), strict=True)
        )
        keys = ["seed", "contrast_hu", "diameter_mm", "observer"]
        conditions = rows[keys].assign(**{key: rows[name] for key, name in names.items()})
        return {
            "conditions": conditions.to_dict("records"),
            "confidence": statistics.get("confidence", 0.95),
            "n_places": int(rows["n_signals"].max()) if len(rows) else 0,
        }
    if rows[column].isna().all():
        return {"estimate": None, "why": "undefined in every row"}
    pooled = table == "scores" and protocol is not None and protocol.averaging == "pooled"
    averaging = POOLED.get(column, MEAN) if pooled else MEAN
    options = {key: statistics[key] for key in ("confidence", "resamples") if key in statistics}
    interval = mean_interval(rows, column, averaging=averaging, **options)
    left_out = int(rows[column].isna().sum())
    return {**asdict(interval), "note": interval.note, "rows_left_out": left_out}


def _card(
    settings: Mapping[str, Any], method: str, used: Mapping[str, Any], root: Path
) -> dict[str, Any]:
    """Whether the method's card still is what the run was configured with."""
    path = Path(settings["folders"][method], "method.yaml")
    if not (root / path).is_file():
        return {"path": str(path), "state": "missing"}
    same = read_yaml(root / path) == used
    return {"path": str(path), "state": "as configured" if same else "changed since the run"}


def _stages(
    settings: Mapping[str, Any], method: str, links: Sequence[Link]
) -> list[dict[str, Any]]:
    """Trained levels of the method, and whether their weights are of the stage as configured."""
    trained = {
        link.path: link.record["settings"].get("stage")
        for link in links
        if link.record is not None and Path(link.path).name == "weights.safetensors"
    }
    stages = []
    for model in settings["chains"].get(method, []):
        stage = settings["models"][model]
        found = [used for path, used in trained.items() if Path(path).parent.parent.name == model]
        state = "as configured" if found and all(used == stage for used in found) else "unknown"
        if any(used != stage for used in found):
            state = "trained with other settings"
        keys = ("model", "target", "loss", "recipe")
        stages.append(
            {key: stage[key] for key in keys}
            | {"network": stage["network"]["name"], "state": state}
        )
    return stages


def _plain(link: Link) -> dict[str, Any]:
    """A link as data: the record without the list of inputs, which are links themselves."""
    record = dict(link.record or {})
    record.pop("inputs", None)
    return {
        "path": link.path,
        "state": link.state,
        "needed_by": link.needed_by,
        "changed_since": link.changed_since,
        "now": dict(link.found),
        "record": record or None,
    }


def problems(links: Sequence[Link]) -> list[str]:
    """What does not hold of the chain, one line each; empty where all of it does."""
    lines = []
    for link in links:
        if link.state == "changed":
            since = [
                "it was made" if user == link.path else f"{user} was made from it"
                for user in link.changed_since
            ]
            lines.append(f"{link.path}: changed since {' and since '.join(since)}")
        elif link.state == "missing":
            lines.append(f"{link.path}: missing")
    return lines


def rebuild_command(settings: Mapping[str, Any], targets: Sequence[str]) -> str:
    """The command that makes the files of the cell, with the configuration of the run."""
    call = settings.get("call", {})
    words = ["snakemake", "--cores", "all", *targets]
    if call.get("configfiles"):
        words += ["--configfile", *call["configfiles"]]
    if call.get("config"):
        words += ["--config", *(f"{key}={value}" for key, value in call["config"].items())]
    return " ".join(map(quote, words))
