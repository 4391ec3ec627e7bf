"""Intervals, paired differences and ranks of per-slice measures (docs/statistics.md)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from ldct.errors import InputError
from ldct.evaluation.intervals import (
    MEAN,
    POOLED_PSNR,
    POOLED_RMSE,
    Averaging,
    Cells,
    Interval,
    cells_of,
    estimate_of,
    interval_of,
)

__all__ = [
    "MEAN",
    "POOLED_PSNR",
    "POOLED_RMSE",
    "Averaging",
    "Interval",
    "PairedDifference",
    "holm",
    "mean_interval",
    "paired_difference",
    "pairwise_differences",
    "rank_intervals",
    "ranks_from_pairs",
    "resolved_pairs",
]


@dataclass(frozen=True)
class PairedDifference:
    """Method minus reference on the same slices; `p_value` is two-sided, NaN without interval."""

    method: str
    reference: str
    interval: Interval
    p_value: float


def mean_interval(
    frame: pd.DataFrame,
    value: str,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
    averaging: Averaging = MEAN,
) -> Interval:
    """Mean of one method's values over slices, then over seeds, with its interval.

    frame : rows of ONE method (and one protocol) with columns method, seed, patient, slice_index
        (lesion too where there are several rows in a slice) and `value`; NaN values are left out.
    With three or more patients the interval is that of the patients: patients are resampled, then
    blocks of neighbouring slices within them. With one or two it is that of their slices alone and
    its `unit` says so. Seeds are resampled with either. The interval is the estimate plus and minus
    Student's t times the bootstrap's standard error. Raises InputError where a row stands twice or
    where the frame holds several methods or protocols.
    """
    cells = cells_of(frame, value)
    if len(cells.values) != 1:
        raise InputError(f"interval of {value}: found {len(cells.values)} methods, expected one")
    ((_, values),) = cells.values.items()
    return interval_of([values], cells, averaging, confidence, resamples, seed)


def paired_difference(
    frame: pd.DataFrame,
    value: str,
    method: str,
    reference: str,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
    averaging: Averaging = MEAN,
) -> PairedDifference:
    """Mean difference `method` minus `reference` on the same slices, with interval and p value.

    frame : rows of several methods, as for `mean_interval`; both methods on the same rows.
    Rows where either value is NaN are left out. Methods with the same seeds are paired by seed; a
    method with one seed (or none) is compared with all seeds of the other. The p value belongs to
    the interval: it is below 1 - confidence exactly where the interval leaves out 0.
    Raises InputError where a method is missing or where rows or seeds do not pair.
    """
    cells = cells_of(frame, value)
    for name in (method, reference):
        if name not in cells.values:
            raise InputError(
                f"paired difference of {value}: no rows of method {name}; "
                f"found {', '.join(cells.values)}"
            )
    return _paired(cells, method, reference, averaging, confidence, resamples, seed)


def pairwise_differences(
    frame: pd.DataFrame,
    value: str,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
    averaging: Averaging = MEAN,
) -> list[PairedDifference]:
    """`paired_difference` of every two methods of `frame`, the former as the method."""
    cells = cells_of(frame, value)
    return [
        _paired(cells, *pair, averaging, confidence, resamples, seed)
        for pair in combinations(cells.values, 2)
    ]


def holm(p_values: Sequence[float]) -> list[float]:
    """p values corrected for their number by Holm's step-down rule (Scand J Stat 6:65-70, 1979).

    In the order given. A NaN (no test was possible) stays NaN and counts as a test of the family.
    """
    found = np.asarray(p_values, dtype=float)
    order = np.argsort(found)  # NaN last
    steps = found[order] * np.arange(len(found), 0, -1)
    corrected = np.empty_like(found)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return corrected.tolist()


def rank_intervals(
    frame: pd.DataFrame,
    value: str,
    *,
    higher_is_better: bool = True,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
    averaging: Averaging = MEAN,
) -> pd.DataFrame:
    """Rank of every method with an interval, from all paired differences, corrected by Holm.

    A method's best rank is one more than the number of methods resolved to be better; its worst
    leaves room for every method not resolved to be worse. All intervals hold together at the
    given confidence (Mohamad, Goeman & van Zwet, Biometrika 109:821-828, 2022).
    Returns a frame indexed by method, in the order of rank: estimate, rank (1 = best; ties share
    the better), lower, upper.
    """
    options = {"confidence": confidence, "resamples": resamples, "seed": seed}
    cells = cells_of(frame, value)
    estimates = pd.Series(
        {name: estimate_of(values, averaging) for name, values in cells.values.items()},
        name="estimate",
    )
    pairs = pairwise_differences(frame, value, averaging=averaging, **options)
    return ranks_from_pairs(estimates, pairs, higher_is_better, confidence)


def ranks_from_pairs(
    estimates: pd.Series,
    pairs: Sequence[PairedDifference],
    higher_is_better: bool = True,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Rank intervals (see `rank_intervals`) from the differences of all pairs of methods.

    estimates : by method; pairs : every two methods once, either way round.
    """
    sign = 1 if higher_is_better else -1
    better = pd.Series(0, index=estimates.index)
    worse = better.copy()
    for pair, winner, loser in resolved_pairs(pairs, confidence):
        if sign * pair.interval.estimate < 0:
            winner, loser = loser, winner
        better[loser] += 1
        worse[winner] += 1
    frame = pd.DataFrame({"estimate": estimates})
    frame["rank"] = estimates.rank(ascending=not higher_is_better, method="min")
    frame["lower"] = 1 + better
    frame["upper"] = len(estimates) - worse
    frame = frame.rename_axis("method").sort_values("rank", kind="stable")
    return frame.astype({"rank": "Int64"})


def resolved_pairs(
    pairs: Sequence[PairedDifference], confidence: float = 0.95
) -> Iterator[tuple[PairedDifference, str, str]]:
    """Pairs whose difference is resolved after Holm's correction: (pair, method, reference)."""
    for pair, p_value in zip(pairs, holm([pair.p_value for pair in pairs]), strict=True):
        if p_value < 1 - confidence:
            yield pair, pair.method, pair.reference


def _paired(
    cells: Cells,
    method: str,
    reference: str,
    averaging: Averaging,
    confidence: float,
    resamples: int,
    seed: int,
) -> PairedDifference:
    first, second = cells.values[method], cells.values[reference]
    seeds = cells.seeds[method], cells.seeds[reference]
    if seeds[0] != seeds[1] and 1 not in map(len, seeds):
        raise InputError(
            f"paired difference {method} minus {reference}: found seeds {seeds[0]} and {seeds[1]}, "
            "expected the same seeds, or one seed for one of them"
        )
    interval = interval_of([first, second], cells, averaging, confidence, resamples, seed)
    return PairedDifference(method, reference, interval, _p_value(interval))


def _p_value(interval: Interval) -> float:
    if np.isnan(interval.std_error):
        return float("nan")
    if interval.estimate == 0:
        return 1.0
    if interval.std_error == 0:
        return 0.0
    return float(2 * stats.t.sf(abs(interval.estimate) / interval.std_error, interval.df))
