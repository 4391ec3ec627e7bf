"""From score rows to everything under results/<run>/tables that rests on them alone."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ldct.common.files import write_text
from ldct.metrics.protocol import Protocol
from ldct.metrics.scores import METRICS, notes_of_slices
from ldct.table1.render import render_table1
from ldct.table1.statistics import MetricStatistics, metric_statistics, summarise

STATISTICS = {"reference": "proposed", "confidence": 0.95}


def write_score_tables(
    scores: pd.DataFrame,
    protocols: Sequence[Protocol],
    published: Mapping[str, Any],
    margins: Mapping[str, float],
    settings: Mapping[str, Any],
    kept_tiles: int,
    folder: Path,
) -> list[Path]:
    """Write table1.* and differences.csv, and <protocol>/table1.* of further protocols.

    scores : rows as `score_predictions` writes them, of all methods of the table.
    protocols : the main one first. published : content of config/published.yaml. margins : by
        metric, of config/margins.yaml.
    settings : of the resolved run: run, dataset, budget_text, seeds, test, methods, cards, broken,
        statistics; `apart` (patients in no mean, to the reason); `failed` (methods without scores,
        to message) after a failure; `critic_auc` (methods with an adversary to the AUC of its
        critic).
    Returns the paths written.
    """
    is_apart = scores["patient"].isin(settings.get("apart", {}))
    apart, scores = scores[is_apart], scores[~is_apart]
    options = STATISTICS | dict(settings.get("statistics") or {})
    summaries = [summarise(scores, protocol) for protocol in protocols]
    reference = choose_reference(summaries[0], options["reference"])
    methods = methods_of_table(settings, published["rows"])
    written, statistics = [], {}
    for protocol, summary in zip(protocols, summaries, strict=True):
        found = {
            metric: metric_statistics(
                scores, protocol, metric, reference, confidence=options["confidence"]
            )
            for metric in METRICS
        }
        statistics[protocol.name] = found
        main = protocol is protocols[0]
        context = {
            **settings,
            "kept_tiles": kept_tiles,
            "protocol": protocol.describe() if main else f"{protocol.name}: {protocol.describe()}",
            "published_protocol": main,
            "slices": notes_of_slices(
                scores[scores["protocol"] == protocol.name],
                {method["id"]: method["title"] for method in methods},
            ),
        }
        if not apart.empty:
            context["gains_apart"] = metric_statistics(apart, protocol, "psnr", reference).gains
        target = folder if main else folder / protocol.name
        written += render_table1(summary, found, methods, published, margins, context, target)
    differences = folder / "differences.csv"
    write_text(differences, differences_frame(statistics, margins).to_csv(index=False))
    return [*written, differences]


def choose_reference(summary: pd.DataFrame, wanted: str) -> str:
    """The method that others are compared with: `wanted`; where it has no row, the best PSNR's.

    summary : as `ldct.table1.statistics.summarise` returns it.
    """
    if wanted in summary.index:
        return wanted
    finite = summary.loc[np.isfinite(summary["psnr"]), "psnr"]
    return str(summary.index[0] if finite.empty else finite.idxmax())


def differences_frame(
    statistics: Mapping[str, Mapping[str, MetricStatistics]], margins: Mapping[str, float]
) -> pd.DataFrame:
    """One row per protocol, metric and method: its difference with interval, p value and outcome.

    statistics : by protocol, then by metric. `outcome` : above, below, equal (90 % interval within
    the margin), or open. `patients_above`, `trainings_above` : "8 of 10".
    """
    return pd.DataFrame(
        {
            "protocol": protocol,
            "metric": metric,
            "method": pair.method,
            "reference": pair.reference,
            **asdict(pair.interval),
            "p_value": pair.p_value,
            "margin": margins.get(metric),
            "outcome": pair.patients.outcome(pair.interval.confidence, 0.0, margins.get(metric)),
            **{f"{unit}_above": "{} of {}".format(*found) for unit, found in pair.counts().items()},
        }
        for protocol, metrics in statistics.items()
        for metric, found in metrics.items()
        for pair in found.differences
    )


def methods_of_table(
    settings: Mapping[str, Any], published_rows: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The table's methods in the run's order, those without a value with the reason.

    settings : `methods` (names in order), `cards`, `broken` (folders with a fault, to message) and,
        in a table made after a failure, `failed` (methods without scores, to message);
        `critic_auc` (methods with an adversary to the AUC of its critic).
    """
    reasons = {**settings["broken"], **settings.get("failed", {})}
    rows = []
    for name in settings["methods"]:
        card = settings["cards"].get(name, {})
        title = card.get("title") or published_rows.get(name, {}).get("title") or name
        auc = settings.get("critic_auc", {}).get(name)
        rows.append({"id": name, "title": title, "critic_auc": auc})
        if name in reasons:
            rows[-1]["missing"] = reasons[name]
    return rows
