"""Where one number of a finished run comes from: value, formula, and every file behind it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from shlex import quote
from typing import Any

from ldct import __version__
from ldct.configuration import FIXED
from ldct.errors import InputError
from ldct.evaluation.formulas import formula_of
from ldct.evaluation.run_files import IMAGES
from ldct.explain_cell import (
    choose,
    describe_protocol,
    files_of,
    find_column,
    further_files,
    measured_with,
    protocol_of,
    rows_of,
    unknown,
)
from ldct.explain_value import averaging_of, value_of
from ldct.files import read_yaml, sha256_of_file
from ldct.lineage import Link, find_record, trace
from ldct.provenance import git_revision


def explain(
    run: str, method: str, metric: str, protocol: str | None = None, seed: str | None = None
) -> dict[str, Any]:
    """All that is known of one cell of a run's tables, as plain data.

    run : a folder, or a name below results/. method : of the run, or "ndct" or "ldct", the images
    themselves. metric : a column of scores, image_quality, texture, lesion_bench, detectability or
    cost, or `<table>.<column>` where two tables have it. protocol : name; left out, the run's main
    one. seed : one training seed; left out, all of them.
    Raises InputError with the choices where run, method, metric, protocol or seed is unknown.
    """
    folder = run_folder(run)
    settings = read_yaml(folder / "config.yaml")
    if not isinstance(settings, dict) or "cards" not in settings:
        raise InputError(
            f"{folder / 'config.yaml'}: found no key 'cards', expected the resolved "
            "configuration of a run; name a folder of results/"
        )
    cards = {**settings["cards"], **settings.get("control_cards", {})}
    method = choose("method", method, [*cards, *IMAGES])
    seeds = settings["method_seeds"].get(method, [FIXED])
    if seed is not None:
        seeds = [choose("seed", seed, seeds)]
    settings = {**settings, "method_seeds": {**settings["method_seeds"], method: seeds}}
    table, column = find_column(folder, settings, method, metric)
    rows = rows_of(folder, settings, table, method)
    root = folder.parent.parent
    outputs = [str(path.relative_to(root)) for path in files_of(folder, settings, table, method)]
    records = [record for path in outputs if (record := find_record(root / path)) is not None]
    chosen = protocol_of(rows, table, settings, records, root, protocol)
    if chosen is not None and "protocol" in rows:
        rows = rows[rows["protocol"] == chosen.name]
    further = further_files(folder, settings, table, method)
    links = trace([*outputs, *(path.relative_to(root) for path in further)], root)
    card = cards.get(method)
    return {
        "run": settings["run"],
        "folder": str(folder),
        "method": method,
        "title": IMAGES[method] if card is None else card["title"],
        "kind": "reference" if card is None else card["kind"],
        "metric": f"{table}.{column}",
        "formula": asdict(formula_of(column, table)),
        "averaging": averaging_of(table, column, chosen),
        "measured_with": measured_with(records),
        "protocol": None if chosen is None else describe_protocol(chosen, records),
        "dataset": settings["dataset"]["title"],
        "simulated_dose": settings["dataset"]["simulated"],
        "simulated_discs": table == "detectability",
        "budget": "" if card is None else settings["budget_text"],
        "seeds": seeds,
        "value": value_of(rows, table, method, column, chosen, settings),
        "card": None if card is None else _card(settings, method, card, root),
        "stages": _stages(settings, method, links),
        "configuration": _configuration(settings, folder),
        "files": [_plain(link) for link in links],
        "problems": problems(links),
        "code": [record["code"] for record in records],
        "code_now": {"version": __version__, "git": git_revision()},
        "rebuild": rebuild_command(settings, outputs),
    }


def run_folder(run: str) -> Path:
    """Folder of a run given by name or path. InputError with the known runs otherwise."""
    for folder in (Path(run), Path("results", run)):
        if (folder / "config.yaml").is_file() and folder.name:
            return folder
    known = sorted(path.parent.name for path in Path("results").glob("*/config.yaml"))
    raise InputError(unknown("run", run, known, "a folder of results/ with a config.yaml"))


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


def _configuration(settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The resolved configuration that the run saved, and what it was resolved from."""
    path, call = folder / "config.yaml", settings.get("call", {})
    return {
        "path": str(path),
        "sha256": sha256_of_file(path),
        "files": call.get("configfiles", []),
        "options": call.get("config", {}),
    }


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
