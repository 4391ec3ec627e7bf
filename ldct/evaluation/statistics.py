"""What the scores of a run say with their uncertainty: intervals, differences, the best rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ldct.errors import InputError
from ldct.evaluation.protocol import Protocol
from ldct.evaluation.uncertainty import (
    MEAN,
    POOLED_PSNR,
    POOLED_RMSE,
    Averaging,
    Interval,
    PairedDifference,
    holm,
    mean_interval,
    paired_difference,
)

HIGHER_IS_BETTER = {"psnr": True, "ssim": True, "rmse_hu": False}


@dataclass(frozen=True)
class MetricStatistics:
    """All methods under one metric and protocol.

    intervals : by method. differences : every other method minus the reference; their p values are
    one family, `p_holm` are those corrected for it.
    """

    intervals: Mapping[str, Interval]
    differences: Sequence[PairedDifference]
    p_holm: Sequence[float]


def metric_statistics(
    scores: pd.DataFrame,
    protocol: Protocol,
    metric: str,
    reference: str,
    *,
    confidence: float = 0.95,
) -> MetricStatistics:
    """Statistics of one column of score rows under one protocol.

    scores : rows as `score_predictions` writes them; rows of other protocols are left out.
    reference : method that the others are compared with. A method with an undefined (NaN) score has
        no mean and no interval, as in `summarise`. InputError where the reference has no scores.
    """
    rows = scores[scores["protocol"] == protocol.name]
    undefined = rows[metric].isna().groupby(rows["method"]).transform("any")
    rows = rows.assign(**{metric: rows[metric].where(~undefined)})
    options: dict[str, Any] = {
        "confidence": confidence,
        "averaging": averaging_of(protocol, metric),
    }
    intervals = {
        str(name): mean_interval(own, metric, **options)
        for name, own in rows.groupby("method", sort=False)
    }
    if reference not in intervals:
        raise InputError(
            f"statistics: no scores of the reference {reference}; found {', '.join(intervals)}"
        )
    differences = [
        paired_difference(rows, metric, name, reference, **options)
        for name in intervals
        if name != reference
    ]
    return MetricStatistics(intervals, differences, holm([each.p_value for each in differences]))


def averaging_of(protocol: Protocol, metric: str) -> Averaging:
    """How a protocol turns values of slices into one: SSIM has no pooled form."""
    if protocol.averaging == "pooled":
        return {"psnr": POOLED_PSNR, "rmse_hu": POOLED_RMSE}.get(metric, MEAN)
    return MEAN


def choose_reference(summary: pd.DataFrame, wanted: str) -> str:
    """The method that others are compared with: `wanted`, or the highest PSNR where it has no row.

    summary : as `ldct.evaluation.scores.summarise` returns it.
    """
    if wanted in summary.index:
        return wanted
    return str(summary["psnr"].idxmax() if summary["psnr"].notna().any() else summary.index[0])


def best_and_near(
    values: Mapping[str, float], margin: float, *, higher_is_better: bool = True
) -> dict[str, str]:
    """Name to "best" for the best value and to "near" for those within `margin` of it.

    Values without a number (NaN) have no place; equal values share one.
    """
    goodness = pd.Series(values, dtype=float).dropna() * (1 if higher_is_better else -1)
    best = goodness.max()
    marks = dict.fromkeys(goodness.index[goodness >= best - margin], "near")
    return marks | dict.fromkeys(goodness.index[goodness == best], "best")


def differences_frame(
    statistics: Mapping[str, Mapping[str, MetricStatistics]],
) -> pd.DataFrame:
    """One row per protocol, metric and method: difference from the reference, and p values.

    statistics : by protocol, then by metric.
    """
    return pd.DataFrame(
        [
            {
                "protocol": protocol,
                "metric": metric,
                "method": pair.method,
                "reference": pair.reference,
                "difference": pair.interval.estimate,
                "lower": pair.interval.lower,
                "upper": pair.interval.upper,
                "sd": pair.interval.sd,
                "confidence": pair.interval.confidence,
                "p_value": pair.p_value,
                "p_holm": p_holm,
                "n_patients": pair.interval.n_patients,
                "n_slices": pair.interval.n_slices,
                "n_seeds": pair.interval.n_seeds,
            }
            for protocol, metrics in statistics.items()
            for metric, found in metrics.items()
            for pair, p_holm in zip(found.differences, found.p_holm, strict=True)
        ]
    )
