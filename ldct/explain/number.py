"""Where one number of a finished run comes from: value, formula, and every file behind it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from shlex import quote
from typing import Any

from ldct.common.errors import InputError
from ldct.common.files import read_yaml
from ldct.common.run_files import FIXED, IMAGES
from ldct.runs.cell import find_cell, value_of
from ldct.runs.formulas import formula_of
from ldct.runs.lineage import Link, trace
from ldct.runs.place import choose, find_run
from ldct.runs.version import check_readable
from ldct.statistics.adversary import adversary_auc


def explain_number(
    run: str, method: str, metric: str, protocol: str | None = None
) -> dict[str, Any]:
    """All that is known of one cell of a run's tables, as plain data.

    run : a folder, or a name below results/. method : of the run, or "ndct" or "ldct", the images
    themselves. metric : a column of scores, image_quality, texture, lesion_bench, detectability or
    cost, or `<table>.<column>` where two tables have it. protocol : name; left out, the run's main
    one. Raises InputError with the choices where run, method, metric or protocol is unknown.
    """
    folder, settings = open_run(run)
    cards = {**settings["cards"], **settings.get("control_cards", {})}
    method = choose("method", method, [*cards, *IMAGES])
    cell = find_cell(folder, settings, method, metric, protocol)
    root = folder.parent.parent
    outputs, behind = (
        [str(path.relative_to(root)) for path in paths]
        for paths in (cell.files, [*cell.behind, folder / "config.yaml"])
    )
    links = trace([*outputs, *behind], root)
    card = cards.get(method, {"title": IMAGES.get(method), "kind": "reference"})
    return {
        "run": settings["run"],
        "method": method,
        "title": card["title"],
        "kind": card["kind"],
        "metric": f"{cell.table}.{cell.column}",
        "formula": asdict(formula_of(cell.column, cell.table)),
        "protocol": cell.describe_protocol(),
        "dataset": settings["dataset"]["title"],
        "simulated_dose": settings["dataset"]["simulated"] or cell.table == "detectability",
        "budget": settings["budget_text"] if method in cards else "",
        "seeds": settings["method_seeds"].get(method, [FIXED]),
        "critic_auc": adversary_auc(folder, settings, method),
        "value": value_of(cell, settings),
        "files": [asdict(link) for link in links],
        "problems": problems(links),
        "rebuild": rebuild_command(settings, outputs),
    }


def open_run(run: str) -> tuple[Path, dict[str, Any]]:
    """Folder and resolved configuration of a run given by name or path.

    Raises InputError with the known runs where there is none, or where another version made it.
    """
    folder = find_run(run)
    settings = read_yaml(folder / "config.yaml")
    if not isinstance(settings, dict) or "cards" not in settings:
        raise InputError(
            f"{folder / 'config.yaml'}: found no key 'cards', expected the resolved "
            "configuration of a run; name a folder of results/"
        )
    check_readable(settings, folder)
    return folder, settings


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
