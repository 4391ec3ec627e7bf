"""Tables of all full-image metrics and of HU fidelity by tissue: mean and interval per method."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ldct.evaluation.formulas import formula_of
from ldct.evaluation.image_quality import BLIND, FULL_REFERENCE, without_blind_values
from ldct.evaluation.tissues import MEASURES, TISSUES, tissue_columns
from ldct.evaluation.uncertainty import Interval, mean_interval, patients_text
from ldct.files import write_text
from ldct.reporting.plain_table import PlainTable, to_html, to_markdown

SCORES = ["psnr", "ssim", "rmse_hu"]
DIRECTION = {
    "psnr": "↑",
    "ssim": "↑",
    "rmse_hu": "↓",
    "vif": "↑",
    "gmsd": "↓",
    "lpips": "↓",
    "bias_hu": "→ 0",
    "slope": "→ 1",
    "std_hu": "↓",
}
TITLES = {
    "bias_hu": "Bias (HU): mean of output minus NDCT",
    "slope": "Slope: output over NDCT, means over blocks of 16 x 16 pixels, least squares",
    "std_hu": "Error (HU): standard deviation of output minus NDCT",
}
FLAG, BLIND_MARK, NONE = "⚑", "blind", "–"


def summarise_metrics(
    scores: pd.DataFrame, image_quality: pd.DataFrame, options: Mapping[str, Any]
) -> pd.DataFrame:
    """Mean and interval of every metric of every method, one row each.

    scores, image_quality : rows of one protocol, of the same methods. options : confidence
        of `mean_interval`.
    Columns: method, metric, the fields of `Interval`, and blind (the method does not see the
    tissue, so that no value stands there). Metrics that no method has are left out.
    """
    seen = without_blind_values(image_quality)
    blind = image_quality.groupby("method", sort=False)[BLIND].first()
    rows = []
    for table, metrics in ((scores, SCORES), (seen, [*FULL_REFERENCE, *tissue_columns()])):
        for metric in metrics:
            for method, own in table.groupby("method", sort=False):
                interval = mean_interval(own, metric, **options)
                is_blind = any(metric.startswith(f"{name}_") for name in blind[method].split())
                rows.append(
                    {"method": method, "metric": metric, "blind": is_blind, **vars(interval)}
                )
    frame = pd.DataFrame(rows)
    taken = frame.groupby("metric")["estimate"].transform(lambda values: values.notna().any())
    return frame[taken].reset_index(drop=True)


def render_metrics(
    summary: pd.DataFrame,
    titles: Mapping[str, str],
    flagged: Mapping[str, Mapping[str, Any]],
    context: Mapping[str, str],
    output: Path,
) -> list[Path]:
    """Write metrics.csv, .md and .html into the folder `output`; returns the files.

    summary : of `summarise_metrics`. titles : method to title, in order. flagged : the entry
    "metrics" of controls.json, empty where the run has no controls. context : `note` (data and
    budget), `protocol`, `credit` and `networks_see` (their input window) in words.
    """
    cells = {(row.method, row.metric): row for row in summary.itertuples()}
    present = list(dict.fromkeys(summary["metric"]))
    tables = [_image_table(cells, [m for m in present if m in DIRECTION], titles, flagged)]
    tables += [_tissue_table(cells, measure, present, titles, flagged) for measure in MEASURES]
    page = (
        "Metrics beside Table I",
        _intro(summary, context),
        tables,
        _notes(summary, present, flagged, context),
    )
    files = [output / f"metrics.{suffix}" for suffix in ("csv", "md", "html")]
    write_text(files[0], summary.to_csv(index=False))
    write_text(files[1], to_markdown(*page))
    write_text(files[2], to_html(*page))
    return files


def _image_table(
    cells: Mapping[tuple[str, str], Any],
    metrics: Sequence[str],
    titles: Mapping[str, str],
    flagged: Mapping[str, Mapping[str, Any]],
) -> PlainTable:
    heads = [_head(metric, DIRECTION[metric], flagged) for metric in metrics]
    return PlainTable(
        "Whole image: mean [interval]",
        ["Method", *heads],
        _rows(cells, metrics, titles),
    )


def _tissue_table(
    cells: Mapping[tuple[str, str], Any],
    measure: str,
    present: Sequence[str],
    titles: Mapping[str, str],
    flagged: Mapping[str, Mapping[str, Any]],
) -> PlainTable:
    metrics = [f"{tissue}_{measure}" for tissue in TISSUES if f"{tissue}_{measure}" in present]
    heads = []
    for metric in metrics:
        name = metric.removesuffix(f"_{measure}")
        lower, upper = TISSUES[name]
        sign = f" {FLAG}" if flagged.get(metric, {}).get("flagged") else ""
        heads.append(f"{name.replace('_', ' ')} ({lower:g} to {upper:g} HU){sign}")
    title = f"{TITLES[measure]} {DIRECTION[measure]}"
    return PlainTable(title, ["Method", *heads], _rows(cells, metrics, titles))


def _rows(
    cells: Mapping[tuple[str, str], Any], metrics: Sequence[str], titles: Mapping[str, str]
) -> list[list[str]]:
    return [
        [title, *(_cell(cells.get((method, metric)), metric) for metric in metrics)]
        for method, title in titles.items()
    ]


def _head(metric: str, direction: str, flagged: Mapping[str, Mapping[str, Any]]) -> str:
    formula = formula_of(metric)
    unit = f" ({formula.unit})" if formula.unit else ""
    sign = f" {FLAG}" if flagged.get(metric, {}).get("flagged") else ""
    return f"{formula.title}{unit} {direction}{sign}"


def _cell(interval: Interval | None, metric: str) -> str:
    if interval is None or pd.isna(interval.estimate):
        return BLIND_MARK if interval is not None and interval.blind else NONE
    digits = formula_of(metric).digits
    if pd.isna(interval.lower):
        return f"{interval.estimate:.{digits}f}".replace("-", "−")
    lower, upper = (f"{bound:.{digits}f}" for bound in (interval.lower, interval.upper))
    return f"{interval.estimate:.{digits}f} [{lower}, {upper}]".replace("-", "−")


def _intro(summary: pd.DataFrame, context: Mapping[str, str]) -> list[str]:
    first = summary.iloc[0]
    none = ": no interval" if summary["lower"].isna().all() else ""
    return [
        f"{context['note']}.",
        f"Image metrics under {context['protocol']}; tissues in HU without a window.",
        f"Intervals: {first['confidence']:.0%} over {patients_text(first['n_patients'])}{none}; "
        f"slices: {first['n_slices']}; "
        f"training seeds: {summary['n_seeds'].max()}.",
    ]


def _notes(
    summary: pd.DataFrame,
    present: Sequence[str],
    flagged: Mapping[str, Mapping[str, Any]],
    context: Mapping[str, str],
) -> list[str]:
    lines = []
    if summary["blind"].any():
        lines.append(
            f"{BLIND_MARK}: networks see images clipped to {context['networks_see']}, their output "
            "means nothing in a tissue that reaches beyond it."
        )
    for metric in present:
        entry = flagged.get(metric, {})
        title = formula_of(metric).title
        if entry.get("flagged"):
            lines.append(f"{FLAG} {title} {entry['reason']} (controls.html).")
        if entry.get("noted"):
            lines.append(f"{title} {entry['note']}.")
    if not flagged:
        lines.append("This run has no controls: no metric was put to the test.")
    lines.append(
        "Tissue is told from smoothed NDCT, inside it only. NDCT's own noise puts the slope of any "
        "output without it somewhat below 1. What each metric is and its trap: docs/metrics.md."
    )
    return [*lines, *filter(None, [context["credit"]])]
