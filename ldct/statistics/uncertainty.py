"""Means of per-slice measures and their differences, with intervals over patients."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ldct.common.errors import InputError
from ldct.rendering.numbers import counted
from ldct.statistics.units import UnitMean

# A row is one of these; measures of lesions have several rows in one slice.
UNIT_COLUMNS = ("patient", "slice_index", "lesion")
UNLIMITED = (-np.inf, np.inf)


@dataclass(frozen=True)
class Averaging:
    """How values of slices become one number: a mean of `forward`, taken back by `backward`."""

    forward: Callable[[np.ndarray], np.ndarray]
    backward: Callable[[pd.DataFrame | pd.Series], pd.DataFrame | pd.Series]


def _psnr_of_error(error):
    with np.errstate(divide="ignore"):  # identical images: +inf
        return -10 * np.log10(error)


MEAN = Averaging(np.positive, np.positive)
POOLED_PSNR = Averaging(lambda psnr: 10 ** (-psnr / 10), _psnr_of_error)
POOLED_RMSE = Averaging(np.square, np.sqrt)


@dataclass(frozen=True)
class Interval:
    """A mean over slices and seeds, with its interval over patients.

    estimate : mean over all slices, then over seeds. lower, upper, std_error, df : of the mean over
        patients; NaN with fewer than three patients and where a value is infinite.
    sd : standard deviation (n - 1) over the slices of all patients, of the mean over seeds.
    """

    estimate: float
    lower: float
    upper: float
    sd: float
    n_slices: int
    n_patients: int
    n_seeds: int
    confidence: float
    std_error: float = float("nan")
    df: float = float("nan")

    @property
    def note(self) -> str:
        """The patients behind the number, and whether they give an interval, for captions."""
        patients = counted(self.n_patients, "patient")
        return patients if np.isfinite(self.lower) else f"{patients}: no interval"

    @property
    def spread(self) -> float:
        """Standard deviation over patients where there are three, else over slices."""
        return self.std_error * self.n_patients**0.5 if np.isfinite(self.std_error) else self.sd


@dataclass(frozen=True)
class PairedDifference:
    """Method minus reference on the same slices; units : a row per patient, a column per seed."""

    method: str
    reference: str
    interval: Interval
    units: pd.DataFrame

    @property
    def patients(self) -> UnitMean:
        """Over patients, each the mean over seeds."""
        return UnitMean.of(self.units.mean(axis=1))

    @property
    def trainings(self) -> UnitMean:
        """Over seeds, each the mean over patients."""
        return UnitMean.of(self.units.mean())

    @property
    def p_value(self) -> float:
        """Two-sided, of no difference over patients; NaN without interval."""
        return self.patients.p_value()

    def counts(self, sign: int = 1) -> dict[str, tuple[int, int]]:
        """In how many of how many patients and trainings it is above 0 (sign 1) or below (-1).

        A training counts once for every patient that it is tested on.
        """
        patients, trainings = self.units.mean(axis=1) * sign > 0, self.units.to_numpy() * sign > 0
        return {
            "patients": (int(patients.sum()), patients.size),
            "trainings": (int(trainings.sum()), trainings.size),
        }


def mean_interval(
    frame: pd.DataFrame,
    value: str,
    *,
    confidence: float = 0.95,
    averaging: Averaging = MEAN,
    limits: tuple[float, float] = UNLIMITED,
) -> Interval:
    """Mean of one method's values with the t interval of its patients' means.

    frame : rows of ONE method (and one protocol) with columns method, seed, patient, slice_index
        (lesion too where there are several rows in a slice) and `value`; NaN values are left out.
    limits : between which the value can lie; the interval stays there (`within_limits`).
    Each patient's number is the mean over its slices, then over seeds; slices and seeds are no
    units of the interval.
    Raises InputError where a row stands twice or where the frame holds several methods or
    protocols.

    >>> rows = pd.DataFrame({"method": "drl", "seed": 0, "patient": list("abc"), "slice_index": 0})
    >>> found = mean_interval(rows.assign(psnr=[29.0, 30.0, 31.0]), "psnr")
    >>> round(found.lower, 2), found.estimate, round(found.upper, 2)
    (27.52, 30.0, 32.48)
    """
    table = _table(frame, value)
    methods = table.columns.unique("method")
    if len(methods) != 1:
        raise InputError(f"interval of {value}: found {len(methods)} methods, expected one")
    return _interval([table[methods[0]]], averaging, confidence, limits)[0]


def paired_difference(
    frame: pd.DataFrame,
    value: str,
    method: str,
    reference: str,
    *,
    confidence: float = 0.95,
    averaging: Averaging = MEAN,
) -> PairedDifference:
    """Mean difference `method` minus `reference` on the same rows, with interval and p value.

    frame : rows of several methods, as for `mean_interval`. Rows where either value is NaN are left
        out; equal infinite values differ by 0. Methods with the same seeds are paired by seed; a
        method with one seed (or none) is compared with all seeds of the other.
    The p value is below 1 - confidence exactly where the interval leaves out 0.
    Raises InputError where a method is missing or seeds do not pair.

    >>> rows = pd.DataFrame({"method": "drl", "seed": 0, "patient": list("abc"), "slice_index": 0})
    >>> both = [rows.assign(psnr=[29, 30, 31]), rows.assign(method="bm3d", psnr=[28, 29, 30])]
    >>> paired_difference(pd.concat(both), "psnr", "drl", "bm3d").interval.estimate
    1.0
    """
    table = _table(frame, value)
    methods = table.columns.unique("method")
    for name in (method, reference):
        if name not in methods:
            raise InputError(
                f"paired difference of {value}: no rows of method {name}; "
                f"found {', '.join(methods)}"
            )
    pair = [table[method], table[reference]]
    seeds = [tuple(map(int, own.columns)) for own in pair]
    if seeds[0] != seeds[1] and 1 not in map(len, seeds):
        raise InputError(
            f"paired difference {method} minus {reference}: found seeds {seeds[0]} and {seeds[1]}, "
            "expected the same seeds, or one seed for one of them"
        )
    return PairedDifference(method, reference, *_interval(pair, averaging, confidence))


def within_limits(
    mean: UnitMean, confidence: float, limits: tuple[float, float]
) -> tuple[float, float]:
    """Interval of a mean that cannot leave `limits`: on a log or logit axis about the mean.

    The standard error goes to that axis by its slope at the mean (delta method).

    >>> noise = UnitMean.of([1.0, 2.0, 9.0])
    >>> tuple(round(bound, 1) for bound in within_limits(noise, 0.95, (0, np.inf)))
    (0.3, 59.9)
    """
    low, high = limits
    below, above = mean.mean - low, high - mean.mean
    if not (np.isfinite(low) or np.isfinite(high)) or not mean.std_error > 0:
        return mean.bounds(confidence)
    if below <= 0 or above <= 0:  # a mean on its limit with a spread: not a value of this measure
        return float("nan"), float("nan")
    slope = 1 / below + 1 / above
    reach = UnitMean(0.0, mean.n, mean.std_error * slope, mean.df).bounds(confidence)[1]
    if np.isfinite(low) and np.isfinite(high):
        odds = below / above * np.exp([-reach, reach])
        return tuple(float(bound) for bound in low + (high - low) * odds / (1 + odds))
    if np.isfinite(low):
        return float(low + below * np.exp(-reach)), float(low + below * np.exp(reach))
    return float(high - above * np.exp(reach)), float(high - above * np.exp(-reach))


def _table(frame: pd.DataFrame, value: str) -> pd.DataFrame:
    """Values with a row per patient, slice (and lesion) and a column per method and seed."""
    missing = [
        key for key in ("method", "seed", "patient", "slice_index", value) if key not in frame
    ]
    if missing:
        raise InputError(f"{value}: column {', '.join(missing)} not found")
    if "protocol" in frame and frame["protocol"].nunique() > 1:
        found = ", ".join(sorted(frame["protocol"].unique()))
        raise InputError(f"{value}: found rows of protocols {found}, expected those of one")
    units = [key for key in UNIT_COLUMNS if key in frame]
    try:
        table = frame.pivot(index=units, columns=["method", "seed"], values=value)
    except ValueError:
        raise InputError(
            f"{value}: a row of {', '.join(units)} stands twice for a method"
        ) from None
    return table.sort_index().sort_index(axis="columns").astype(float)


def _interval(
    values: Sequence[pd.DataFrame],
    averaging: Averaging,
    confidence: float,
    limits: tuple[float, float] = UNLIMITED,
) -> tuple[Interval, pd.DataFrame]:
    """Interval of one method's mean, or of the mean difference of two; its units.

    Units: a row per patient and a column per seed.
    """
    index = values[0].index
    arrays = np.broadcast_arrays(*(own.to_numpy() for own in values))
    found = ~np.isnan(arrays).any(axis=0)
    if len(arrays) == 2:  # identical images in both: no difference
        same = np.isinf(arrays[0]) & (arrays[0] == arrays[1])
        arrays = [np.where(same, 0.0, each) for each in arrays]
    tables = [pd.DataFrame(np.where(found, each, np.nan), index) for each in arrays]
    tables = [each[found.any(axis=1)] for each in tables]
    with np.errstate(invalid="ignore"):  # infinite minus infinite
        sd = _difference([each.mean(axis=1) for each in tables]).std()
        errors = [averaging.forward(each) for each in tables]
        whole = _difference([averaging.backward(each.mean()) for each in errors]).mean()
        by_patient = [each.groupby(level="patient").mean() for each in errors]
        units = _difference([averaging.backward(each) for each in by_patient])
        patients = UnitMean.of(units.mean(axis=1))
    lower, upper = within_limits(patients, confidence, limits)
    rows = tables[0].index.to_frame()
    slices = len(rows.drop_duplicates(["patient", "slice_index"]))
    counts = slices, len(units), arrays[0].shape[1]
    spread = patients.std_error, patients.df
    return Interval(float(whole), lower, upper, float(sd), *counts, confidence, *spread), units


def _difference(values: Sequence) -> pd.DataFrame | pd.Series:
    return values[0] if len(values) == 1 else values[0] - values[1]
