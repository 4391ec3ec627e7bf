"""What the scores of a run say with their uncertainty: intervals, differences, ranks, marks."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
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
    pairwise_differences,
    ranks_from_pairs,
)

HIGHER_IS_BETTER = {"psnr": True, "ssim": True, "rmse_hu": False}


@dataclass(frozen=True)
class MetricStatistics:
    """All methods under one metric and protocol.

    intervals : by method. pairs : every two methods once.
    differences : every method minus the reference. p_holm : corrected p values of `differences`.
    ranks : as `ldct.evaluation.uncertainty.rank_intervals` returns them.
    """

    intervals: Mapping[str, Interval]
    pairs: Sequence[PairedDifference]
    differences: Sequence[PairedDifference]
    p_holm: Sequence[float]
    ranks: pd.DataFrame
    higher_is_better: bool


@dataclass(frozen=True)
class Mark:
    """Best (rank 1) or second best (2); `tied` where the data do not decide between several."""

    rank: int
    tied: bool


def metric_statistics(
    scores: pd.DataFrame,
    protocol: Protocol,
    metric: str,
    reference: str,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> MetricStatistics:
    """Statistics of one column of score rows under one protocol.

    scores : rows as `score_predictions` writes them; rows of other protocols are left out.
    reference : method that the others are compared with. The differences are one family of tests
        for Holm's correction; the ranks, which compare all pairs, are another. A method with an
        undefined (NaN) score has no mean and no interval, as in `summarise`.
    """
    rows = scores[scores["protocol"] == protocol.name]
    undefined = rows[metric].isna().groupby(rows["method"]).transform("any")
    rows = rows.assign(**{metric: rows[metric].where(~undefined)})
    options: dict[str, Any] = {
        "confidence": confidence,
        "resamples": resamples,
        "seed": seed,
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
    pairs = pairwise_differences(rows, metric, **options)
    differences = [
        pair if pair.reference == reference else reversed_difference(pair)
        for pair in pairs
        if reference in (pair.method, pair.reference)
    ]
    estimates = pd.Series({name: found.estimate for name, found in intervals.items()})
    better = HIGHER_IS_BETTER[metric]
    return MetricStatistics(
        intervals,
        pairs,
        differences,
        holm([difference.p_value for difference in differences]),
        ranks_from_pairs(estimates, pairs, better, confidence),
        better,
    )


def averaging_of(protocol: Protocol, metric: str) -> Averaging:
    """How a protocol turns values of slices into one: SSIM has no pooled form."""
    if protocol.averaging == "pooled":
        return {"psnr": POOLED_PSNR, "rmse_hu": POOLED_RMSE}.get(metric, MEAN)
    return MEAN


def reversed_difference(pair: PairedDifference) -> PairedDifference:
    """The same pair with method and reference exchanged."""
    interval = asdict(pair.interval)
    interval |= {
        "estimate": -pair.interval.estimate,
        "lower": -pair.interval.upper,
        "upper": -pair.interval.lower,
    }
    return PairedDifference(pair.reference, pair.method, Interval(**interval), pair.p_value)


def choose_reference(summary: pd.DataFrame, wanted: str) -> tuple[str, str]:
    """The method that others are compared with, and how it was chosen.

    summary : as `ldct.evaluation.scores.summarise` returns it.
    """
    if wanted in summary.index:
        return wanted, "named in the configuration"
    best = str(summary["psnr"].idxmax()) if summary["psnr"].notna().any() else summary.index[0]
    return best, f"the highest PSNR of the run, since {wanted} has no scores in it"


def leader_marks(
    estimates: Mapping[str, float],
    pairs: Sequence[PairedDifference],
    *,
    higher_is_better: bool = True,
    confidence: float = 0.95,
) -> dict[str, Mark]:
    """Best and second best of `estimates`, or the group of rows that share the place.

    pairs : differences of (at least) every two of these methods; Holm's correction is over the
    pairs of these methods. The best row is marked alone where it differs from every other one;
    otherwise it is tied with those it does not differ from, and there is no second best.
    """
    found = {name: value for name, value in estimates.items() if not np.isnan(value)}
    if len(found) < 2:
        return {}
    family = [pair for pair in pairs if pair.method in found and pair.reference in found]
    corrected = holm([pair.p_value for pair in family])
    resolved = {
        frozenset((pair.method, pair.reference))
        for pair, p_value in zip(family, corrected, strict=True)
        if p_value < 1 - confidence
    }
    order = sorted(found, key=lambda name: found[name], reverse=higher_is_better)
    best = _tied_with_first(order, resolved)
    if len(best) > 1:
        return dict.fromkeys(best, Mark(1, True))
    second = _tied_with_first(order[1:], resolved)
    return {best[0]: Mark(1, False)} | dict.fromkeys(second, Mark(2, len(second) > 1))


def _tied_with_first(order: Sequence[str], resolved: set[frozenset[str]]) -> list[str]:
    first, *others = order
    return [first, *(name for name in others if frozenset((first, name)) not in resolved)]


def statistics_json(statistics: MetricStatistics) -> dict[str, Any]:
    """Plain data for statistics.json; null for NaN, "inf" and "-inf" for infinite numbers."""
    ranks = statistics.ranks
    return {
        "higher_is_better": statistics.higher_is_better,
        "intervals": {name: _plain(found) for name, found in statistics.intervals.items()},
        "differences": [
            _plain_difference(pair, p_holm)
            for pair, p_holm in zip(statistics.differences, statistics.p_holm, strict=True)
        ],
        "pairs": [
            _plain_difference(pair, p_holm)
            for pair, p_holm in zip(
                statistics.pairs, holm([p.p_value for p in statistics.pairs]), strict=True
            )
        ],
        "ranks": {
            str(name): {
                "rank": None if pd.isna(row["rank"]) else int(row["rank"]),
                "lower": int(row["lower"]),
                "upper": int(row["upper"]),
            }
            for name, row in ranks.iterrows()
        },
    }


def _plain_difference(pair: PairedDifference, p_holm: float) -> dict[str, Any]:
    return {
        "method": pair.method,
        "reference": pair.reference,
        **_plain(pair.interval),
        "p_value": _number(pair.p_value),
        "p_holm": _number(p_holm),
        "resolved": bool(p_holm < 1 - pair.interval.confidence),
    }


def _plain(interval: Interval) -> dict[str, Any]:
    plain = {key: _number(value) for key, value in asdict(interval).items()}
    return plain | {"note": interval.note}


def _number(value: Any) -> Any:
    if not isinstance(value, float) or np.isfinite(value):
        return value
    return None if np.isnan(value) else str(value)
