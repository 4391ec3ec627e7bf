"""What the scores of a run say with their uncertainty: intervals, and paired differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ldct.common.errors import InputError
from ldct.metrics.columns import SCORES
from ldct.metrics.protocol import Protocol
from ldct.metrics.scores import METRICS, mean_over_slices, scored
from ldct.statistics.uncertainty import (
    MEAN,
    POOLED_PSNR,
    POOLED_RMSE,
    Averaging,
    Interval,
    PairedDifference,
    mean_interval,
    paired_difference,
)

LOW_DOSE = "low_dose"


@dataclass(frozen=True)
class MetricStatistics:
    """All methods under one metric: intervals by method; differences from the reference.

    gains : of every other method over the low dose; none where the run has no low dose.
    """

    intervals: Mapping[str, Interval]
    differences: Sequence[PairedDifference]
    gains: Mapping[str, PairedDifference]


def metric_statistics(
    scores: pd.DataFrame,
    protocol: Protocol,
    metric: str,
    reference: str,
    *,
    confidence: float = 0.95,
) -> MetricStatistics:
    """Statistics of one column of score rows under one protocol.

    scores : rows as `score_predictions` writes them; rows of other protocols are left out, and
        slices that are equal in both doses.
    reference : method that the others are compared with. A method with an undefined (NaN) score has
        no mean and no interval, as in `summarise`. InputError where the reference has none.
    """
    rows = scored(scores[scores["protocol"] == protocol.name])
    undefined = rows[metric].isna().groupby(rows["method"]).transform("any")
    rows = rows.assign(**{metric: rows[metric].where(~undefined)})
    options: dict[str, Any] = {
        "confidence": confidence,
        "averaging": averaging_of(protocol, metric),
    }
    intervals = {
        str(name): mean_interval(own, metric, limits=SCORES[metric].limits, **options)
        for name, own in rows.groupby("method", sort=False)
    }

    def over(other: str) -> list[PairedDifference]:
        names = [name for name in intervals if name != other]
        return [paired_difference(rows, metric, name, other, **options) for name in names]

    gains = over(LOW_DOSE) if LOW_DOSE in intervals else []
    return MetricStatistics(intervals, over(reference), {each.method: each for each in gains})


def averaging_of(protocol: Protocol, metric: str) -> Averaging:
    """How a protocol turns values of slices into one: SSIM has no pooled form."""
    if protocol.averaging == "pooled":
        return {"psnr": POOLED_PSNR, "rmse_hu": POOLED_RMSE}.get(metric, MEAN)
    return MEAN


def summarise(scores: pd.DataFrame, protocol: Protocol) -> pd.DataFrame:
    """One row per method: mean over slices by the protocol's rule, then over seeds.

    scores : rows as `score_predictions` writes them, of any number of methods, seeds and patients.
    Returns a frame indexed by method (order of first appearance) with columns
        protocol, psnr, ssim, rmse_hu : means over slices, then over seeds;
        <metric>_std : standard deviation over slices (n - 1) of the seeds' mean per slice;
        <metric>_std_seeds : standard deviation over seeds (n - 1) of the means; NaN for one seed;
        n_slices, n_patients, n_seeds, and seeds (joined by a space).
    Slices weigh equally. With averaging "pooled", PSNR and RMSE come from the squared error
    averaged over all slices; SSIM has no pooled form and stays the mean. Slices that are equal in
    both doses count for no method. A mean over slices that
    contains an infinite PSNR is infinite and its standard deviation is NaN. A mean that contains an
    undefined (NaN) score is NaN: leaving the slice out would compare methods on different slices.
    Raises InputError where a slice is scored twice, or where seeds or methods were not scored on
    the same slices: means over different slices do not compare.
    """
    rows = scores[scores["protocol"] == protocol.name]
    if rows.empty:
        known = ", ".join(sorted(scores["protocol"].unique())) or "none"
        raise InputError(f"scores: protocol {protocol.name} not found; scored protocols: {known}")
    rows = scored(rows)
    _check_same_slices(rows)
    table = {
        method: _summary_row(own, protocol) for method, own in rows.groupby("method", sort=False)
    }
    return pd.DataFrame.from_dict(table, orient="index").rename_axis("method")


def _summary_row(rows: pd.DataFrame, protocol: Protocol) -> dict[str, Any]:
    by_seed = rows.groupby("seed")
    per_seed = pd.DataFrame([mean_over_slices(own, protocol) for _, own in by_seed])
    per_slice = rows.groupby(["patient", "slice_index"])[METRICS].mean()
    found = {}
    with np.errstate(invalid="ignore"):  # infinite PSNR has no standard deviation: NaN
        for metric in METRICS:
            found[metric] = per_seed[metric].mean(skipna=False)
            found[f"{metric}_std"] = per_slice[metric].std()
            found[f"{metric}_std_seeds"] = per_seed[metric].std()
    return found | {
        "n_slices": len(per_slice),
        "n_patients": rows["patient"].nunique(),
        "n_seeds": len(by_seed),
        "seeds": " ".join(map(str, by_seed.groups)),
        "protocol": protocol.name,
    }


def _check_same_slices(rows: pd.DataFrame) -> None:
    reference, reference_name = None, ""
    for (method, seed), own in rows.groupby(["method", "seed"], sort=False):
        name = f"method {method} seed {seed}"
        slices = list(zip(own["patient"], own["slice_index"], strict=True))
        if len(set(slices)) < len(slices):
            raise InputError(f"scores of {name}: a slice is scored twice; score each file once")
        if reference is None:
            reference, reference_name = set(slices), name
        if set(slices) != reference:
            raise InputError(
                f"scores of {name}: found {len(slices)} slices, expected the same "
                f"{len(reference)} slices as {reference_name}; score all on one test set"
            )
