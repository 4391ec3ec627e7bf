"""What the page says in words: what a run rests on, its claims, and its methods."""

from collections.abc import Mapping
from itertools import groupby
from typing import Any

import pandas as pd

from ldct.claims import page as ledger_page
from ldct.front_page.intervals import claim_drawing
from ldct.front_page.results import Results
from ldct.rendering.numbers import counted, number
from ldct.table1.tables import STATISTICS

KINDS = {"identity": "no method", "external": "program of its own"}


def facts(results: Results, table: pd.DataFrame | None) -> dict[str, str]:
    """Five lines that a reader needs before any number. table : table1.csv."""
    settings, ledger = results.settings, results.json("claims.json")
    shares = shares_of_budget(results, ledger)
    seeds = len(settings["seeds"])
    protocol = ledger["context"]["protocol"] if ledger else settings["protocol"]
    lines = {
        "Data": _data(settings["dataset"], table),
        "Budget": settings["budget_text"] + _share(*shares),
        "Protocol": protocol,
        "Units": f"patients and trainings, never slices: {_units(settings, seeds, table)}",
        "Does not follow": _limits(settings["dataset"]["simulated"], shares[1], seeds),
    }
    return {name: f"{sentence(text)}." for name, text in lines.items()}


def _data(dataset: Mapping[str, Any], table: pd.DataFrame | None) -> str:
    parts = [dataset["title"]]
    parts += ["quarter dose simulated"] * (dataset["simulated"] and "simulated" not in parts[0])
    if table is not None:
        columns = ["n_slices", "n_patients", "kept_tiles", "published_tiles"]
        slices, patients, kept, theirs = map(int, table[columns].max())
        parts.append(f"{counted(slices, 'test slice')} of {counted(patients, 'patient')}")
        parts.append(f"{kept:,} training tiles (paper: {theirs:,})")
    return "; ".join(parts)


def _share(low: float, high: float) -> str:
    """How much of the paper's budget a stage had, from least to most, in percent."""
    least, most = (f"{share:.2g}" for share in (low, high))
    share = most if least == most else f"{least} to {most}"
    return f": a stage saw {share} % of the tiles that the paper's saw" if high else ""


def _units(settings: Mapping[str, Any], seeds: int, table: pd.DataFrame | None) -> str:
    trainings = f"{counted(seeds, 'seed')} of each network"
    if table is None:
        return trainings
    patients = int(table["n_patients"].max())
    if patients < 3:
        return f"{trainings}, {counted(patients, 'patient')}, so no interval (three are needed)"
    confidence = (STATISTICS | settings.get("statistics", {}))["confidence"]
    return f"{trainings}; brackets: {confidence:.0%} intervals over {patients} patients"


def _limits(simulated: bool, share: float, seeds: int) -> str:
    """What no reader may conclude. share : of the paper's tiles, percent; 0 where it is unknown."""
    no = ["diagnosis"]
    no += ["AAPM data", "a scanner's own low dose"] if simulated else []
    no += ["trainings as long as the paper's"] if 0 < share < 10 else []
    no += ["other seeds"] if seeds == 1 else []
    return f"anything about {', '.join(no[:-1])}{' or ' * (len(no) > 1)}{no[-1]}"


def shares_of_budget(results: Results, ledger: Mapping[str, Any] | None) -> tuple[float, float]:
    """Least and most of the tiles of a stage in the paper that a stage saw, in percent; else 0."""
    stages = (results.json("tables/cost.json") or {}).get("stages", {}).values()
    if ledger is None:
        return 0.0, 0.0
    paper = ledger["rule"]["tile_presentations"]["paper"]
    seen = [100 * each["steps"] * each["batch"] / paper for each in stages if each["steps"]]
    return min(seen, default=0.0), max(seen, default=0.0)


def claims(results: Results) -> dict[str, Any] | None:
    """Counts of verdicts in words, and the lines of all claims below their headings."""
    ledger = results.json("claims.json")
    if ledger is None:
        return None
    found = [(each["heading"], _claim(each, results.titles)) for each in ledger["claims"]]
    return {
        "counts": ledger_page.caption(ledger)[0],
        "groups": {
            heading: [line for _, line in group]
            for heading, group in groupby(found, lambda pair: pair[0])
        },
        "checks": [
            (ledger_page.STATES[check["state"]], check["statement"], check["state"])
            for check in ledger["checks"]
        ],
        "rule": ledger["rule"]["verdicts"],
        "source": ledger["source"],
    }


def _claim(claim: ledger_page.Claim, titles: ledger_page.Titles) -> dict[str, Any]:
    told = ("id", "statement", "quotation", "place", "verdict")
    decided = claim["verdict"] not in ("not measured", "not testable") and claim["comparisons"]
    by = ledger_page.deciding(claim) if decided else None
    return {
        **{key: claim[key] for key in told},
        "sign": ledger_page.SIGNS[claim["verdict"]],
        "measure": ledger_page.measure_text(by) if by else "",
        "number": ledger_page.value_text(by) if by else claim["verdict"],
        "drawing": claim_drawing(by) if by else None,
        "reading": ledger_page.reading_text(claim),
        "measured": ledger_page.measured_lines(claim, titles),
        "why": sentence(ledger_page.verdict_text(claim)),
    }


def cards(results: Results) -> list[dict[str, Any]]:
    """One card for each method: what it is, how its stages were trained, where it departs."""
    settings = results.settings
    return [
        {
            "name": name,
            "title": card["title"],
            "kind": KINDS.get(card["kind"], card["kind"]),
            "source": card.get("source", ""),
            "stages": [
                stage_text(settings["models"][model]) for model in settings["chains"].get(name, [])
            ],
            "departures": card.get("departures", []),
        }
        for name, card in settings["cards"].items()
    ]


def stage_text(stage: Mapping[str, Any]) -> str:
    """A trained stage in one line: network, target, loss, and how long.

    stage : of the resolved `models`.
    """
    recipe = stage["recipe"]
    terms = ", ".join(f"{term} {_weight(value)}" for term, value in stage["loss"].items())
    steps = f"{counted(recipe['steps'], 'step')} of batch {recipe['batch']}"
    return (
        f"{stage['model']}: network {stage['network']['name']}, target {stage['target']}; "
        f"loss {terms}; {steps}, rate {recipe['learning_rate']:g}"
    )


def _weight(value: float | Mapping[str, Any]) -> str:
    weight = value["weight"] if isinstance(value, Mapping) else value
    if isinstance(weight, Mapping):  # found on the first batches
        key, size = next(iter(weight.items()))
        return f"({key.replace('_', ' ')} {number(size, 0)})"
    return f"× {weight:g}"


def sentence(text: str) -> str:
    """The text with a capital."""
    return text[:1].upper() + text[1:]
