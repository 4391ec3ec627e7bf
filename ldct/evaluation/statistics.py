"""What the scores of a run say with their uncertainty: intervals, and paired differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

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
        no mean and no interval, as in `summarise`. InputError where the reference has none.
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
