"""From score rows to everything under results/<run>/tables that rests on them alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ldct.evaluation.protocol import Protocol
from ldct.evaluation.scores import summarise
from ldct.evaluation.statistics import (
    HIGHER_IS_BETTER,
    MetricStatistics,
    choose_reference,
    metric_statistics,
    statistics_json,
)
from ldct.files import write_json
from ldct.reporting.paired import ProtocolSection, render_paired
from ldct.reporting.table1 import render_table1
from ldct.stages import LEARNED

STATISTICS = {"reference": "proposed", "confidence": 0.95, "resamples": 2000}
FAMILIES = (
    "p is corrected by Holm's rule over the methods of a column; ranks (in brackets, where the "
    "data leave them) rest on all pairs of methods of a column, corrected likewise."
)


def write_score_tables(
    scores: pd.DataFrame,
    protocols: Sequence[Protocol],
    published: Mapping[str, Any],
    settings: Mapping[str, Any],
    kept_tiles: int,
    folder: str | Path,
) -> list[Path]:
    """Write table1.*, statistics.json and paired.*, and <protocol>/table1.* of further protocols.

    scores : rows as `score_predictions` writes them, of all methods of the table.
    protocols : the main one first. published : content of config/published.yaml.
    settings : of the resolved run: run, dataset, budget_text, seeds, test, methods, cards, broken,
        scaling, statistics; `failed` (methods without scores, to message) after a failure.
    Returns the paths written.
    """
    folder = Path(folder)
    options = STATISTICS | dict(settings.get("statistics") or {})
    wanted = options.pop("reference")
    summaries = [summarise(scores, protocol) for protocol in protocols]
    reference, how = choose_reference(summaries[0], wanted)
    statistics = [
        {
            metric: metric_statistics(scores, protocol, metric, reference, **options)
            for metric in HIGHER_IS_BETTER
        }
        for protocol in protocols
    ]
    methods = methods_of_table(settings, published["rows"])
    notes = [window_notes(protocol, settings) for protocol in protocols]
    written = []
    for number, protocol in enumerate(protocols):
        context = {
            **_context(settings, kept_tiles),
            "protocol": f"{protocol.name}: {protocol.describe()}"
            if number
            else protocol.describe(),
            "published_protocol": number == 0,
            "comparable": not notes[number],
            "notes": notes[number],
        }
        written += render_table1(
            summaries[number],
            statistics[number],
            methods,
            published,
            context,
            folder / protocol.name if number else folder,
        )
    titles = {method["id"]: method["title"] for method in methods}
    facts = _facts(settings, reference, how, statistics[0])
    sections = [
        ProtocolSection(protocol.name, [f"Its settings: {protocol.describe()}.", *note], found)
        for protocol, note, found in zip(protocols, notes, statistics, strict=True)
    ]
    context = {
        "run": settings["run"],
        "attribution": attribution(settings["dataset"]),
        "notes": [*facts["notes"], FAMILIES, "Bold: resolved."],
    }
    written += render_paired(sections, titles, reference, context, folder)
    content = {**facts, **options, "family": FAMILIES, "protocols": {}}
    for protocol, note, found in zip(protocols, notes, statistics, strict=True):
        content["protocols"][protocol.name] = {
            "description": protocol.describe(),
            "notes": note,
            "metrics": {metric: statistics_json(own) for metric, own in found.items()},
        }
    write_json(folder / "statistics.json", content)
    return [*written, folder / "statistics.json"]


def window_notes(protocol: Protocol, settings: Mapping[str, Any]) -> list[str]:
    """What must be said where a protocol looks at HU that the networks never saw; else nothing.

    settings : `scaling` and `cards` of the resolved run.
    """
    scaling = settings["scaling"]
    (lower, upper), (low, high) = scaling["window"], protocol.window
    if not scaling["clip"] or (protocol.clip and lower <= low and high <= upper):
        return []
    learned = [card["title"] for card in settings["cards"].values() if card["kind"] in LEARNED]
    if not learned:
        return []
    return [
        f"The networks saw images clipped to [{lower:g}, {upper:g}] HU, and this protocol looks "
        f"outside that window, where their output means nothing: the rows of {', '.join(learned)} "
        "must not be compared with the other rows here, and no row of this run is marked as best."
    ]


def methods_of_table(
    settings: Mapping[str, Any], published_rows: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The table's methods in the run's order, those without a value with the reason.

    settings : `methods` (names in order), `cards`, `broken` (folders with a fault, to message) and,
        in a table made after a failure, `failed` (methods without scores, to message).
    """
    reasons = {**settings["broken"], **settings.get("failed", {})}
    rows = []
    for name in settings["methods"]:
        card = settings["cards"].get(name, {})
        title = card.get("title") or published_rows.get(name, {}).get("title") or name
        rows.append({"id": name, "title": title, "in_paper": name in published_rows})
        if name in reasons:
            rows[-1]["missing"] = reasons[name]
    return rows


def describe_test(test: str | Mapping[str, int]) -> str:
    """The rule by which test slices were chosen."""
    if test == "all" or test["every"] == 1:
        return "all slices"
    return f"one slice in {test['every']} and every slice with an annotated lesion"


def attribution(dataset: Mapping[str, Any]) -> str:
    """The credit of a data set, or its title where it asks for none."""
    return dataset.get("credit", dataset["title"] + ".")


def _context(settings: Mapping[str, Any], kept_tiles: int) -> dict[str, Any]:
    """What the captions of all tables share."""
    dataset = settings["dataset"]
    return {
        "run": settings["run"],
        "dataset": dataset["title"],
        "simulated": dataset["simulated"],
        "attribution": attribution(dataset),
        "budget": settings["budget_text"],
        "test_slices": describe_test(settings["test"]),
        "seeds": settings["seeds"],
        "kept_tiles": kept_tiles,
    }


def _facts(
    settings: Mapping[str, Any],
    reference: str,
    how: str,
    statistics: Mapping[str, MetricStatistics],
) -> dict[str, Any]:
    """What the statistics belong to, as data and as sentences."""
    dataset = settings["dataset"]
    interval = next(iter(statistics["psnr"].intervals.values()))
    dose = "simulated by this suite" if dataset["simulated"] else "the data set's own"
    seeds = ", ".join(map(str, settings["seeds"]))
    return {
        "run": settings["run"],
        "dataset": dataset["title"],
        "simulated": dataset["simulated"],
        "reference": reference,
        "reference_note": how,
        "unit": interval.unit,
        "notes": [
            f"Data: {dataset['title']}; the quarter dose is {dose}.",
            f"Budget: {settings['budget_text']}; seeds: {seeds}.",
            f"Every method minus the reference ({reference}: {how}) on the same slices.",
            f"Brackets: {interval.confidence:.0%} interval over {interval.scope}.",
        ],
    }
