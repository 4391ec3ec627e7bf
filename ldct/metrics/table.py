"""Tables of all full-image metrics and of HU fidelity by tissue: mean and interval per method."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ldct.common.scaling import OUTSIDE_WINDOW
from ldct.metrics.columns import COLUMNS, FULL_REFERENCE, IMAGE_QUALITY, SCORES
from ldct.metrics.scores import scored
from ldct.metrics.tissues import TISSUES
from ldct.rendering.numbers import cell, counted, write_tables
from ldct.rendering.page import PlainTable
from ldct.statistics.uncertainty import mean_interval


def summarise_metrics(
    scores: pd.DataFrame, image_quality: pd.DataFrame, options: Mapping[str, Any]
) -> pd.DataFrame:
    """Mean and interval of every metric of every method, one row each.

    scores, image_quality : rows of one protocol, of the same methods. options : of `mean_interval`.
    Columns: method, metric and the fields of `Interval`. Metrics that no method has are left out.
    """
    scored(scores)
    frame = pd.DataFrame(
        [
            {
                "method": method,
                "metric": metric,
                **vars(mean_interval(own, metric, limits=COLUMNS[metric].limits, **options)),
            }
            for table, metrics in ((scores, SCORES), (image_quality, IMAGE_QUALITY))
            for metric in metrics
            for method, own in table.groupby("method", sort=False)
        ]
    )
    measured = frame.groupby("metric")["estimate"].transform("count") > 0
    return frame[measured].reset_index(drop=True)


def write_metrics(
    summary: pd.DataFrame,
    titles: Mapping[str, str],
    context: Mapping[str, Any],
    stem: Path,
    inputs: Sequence[Path],
) -> None:
    """Write `<stem>.csv` (all metrics), `.md` and `.html` with their records.

    summary : of `summarise_metrics`. titles : method to title, in order. context : `note` (data and
    budget), `protocol` and `credit` in words, and `slices`: `notes_of_slices`.
    """
    found = {(row.method, row.metric): row for row in summary.itertuples()}
    shown = summary["metric"].unique()
    image = [metric for metric in SCORES | FULL_REFERENCE if metric in shown]
    tables = [_table("Whole image", image, found, titles)]
    for tissue, (lower, upper) in TISSUES.items():
        own = [metric for metric in shown if metric.startswith(f"{tissue}_")]
        name = tissue.replace("_", " ").capitalize()
        if own:
            title = f"{name}, {lower:g} to {upper:g} HU".replace("-", "−")
            tables.append(_table(title, own, found, titles))
    notes = [
        f"Mean over up to {summary['n_slices'].max()} slices of "
        f"{counted(summary['n_patients'].max(), 'patient')}, with its "
        f"{summary['confidence'].iloc[0]:.0%} interval over patients where there are three.",
        f"Whole image: {context['protocol']}. Tissues: HU as they are. {OUTSIDE_WINDOW}",
        *context.get("slices", []),
        f"Data: {context['note']}.",
        context["credit"],
    ]
    write_tables(stem, "Metrics", tables, summary, notes, inputs)


def _table(
    title: str,
    metrics: Sequence[str],
    found: Mapping[tuple[str, str], Any],
    titles: Mapping[str, str],
) -> PlainTable:
    heads = ["Method", *(COLUMNS[metric].head for metric in metrics)]
    rows = [
        [name, *(cell(found[method, metric], COLUMNS[metric].digits) for metric in metrics)]
        for method, name in titles.items()
    ]
    return PlainTable(title, heads, rows)
