"""One interval from the values of one method, or from the difference of two, on the same rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from ldct.errors import InputError
from ldct.evaluation.resampling import (
    FEWEST_PATIENTS,
    block_length,
    degrees_of_freedom,
    has_spread,
    seed_weights,
    slice_weights,
)

# docs/statistics.md has the simulation. Said wherever an interval is over slices.
FEW_SLICES = (
    "with few correlated slices holds less often than stated, 74 % for 26 of correlation 0.8"
)
# A row is one of these; measures of lesions have several rows in one slice.
UNIT_COLUMNS = ("patient", "slice_index", "lesion")


@dataclass(frozen=True)
class Averaging:
    """How values of slices become one number: a mean of `forward`, taken back by `backward`."""

    forward: Callable[[np.ndarray], np.ndarray]
    backward: Callable[[np.ndarray], np.ndarray]


def _same(values: np.ndarray) -> np.ndarray:
    return values


def _psnr_of_error(error: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):  # identical images: +inf
        return -10 * np.log10(error)


MEAN = Averaging(_same, _same)
POOLED_PSNR = Averaging(lambda psnr: 10 ** (-psnr / 10), _psnr_of_error)
POOLED_RMSE = Averaging(np.square, np.sqrt)


@dataclass(frozen=True)
class Interval:
    """A mean over slices and seeds with its confidence interval.

    unit : what the interval generalises to: other "patients", or only other "slices" of the same.
    block_slices : neighbouring slices drawn together. Bounds are NaN where there is nothing to
        resample (one slice in all, or of one of two patients) and where some, but not all, values
        are infinite.
    """

    estimate: float
    lower: float
    upper: float
    confidence: float
    unit: Literal["patients", "slices"]
    n_patients: int
    n_slices: int
    n_seeds: int
    std_error: float = float("nan")
    df: float = float("nan")
    block_slices: int = 1

    @property
    def scope(self) -> str:
        """What the interval generalises to, for captions."""
        return scope_text(self.unit, self.n_patients)

    @property
    def note(self) -> str:
        """`scope`, and what the interval says of other trainings."""
        if self.n_seeds > 1:
            return f"{self.scope}; {self.n_seeds} training seeds"
        return f"{self.scope}; one training seed: says nothing of other seeds"


def scope_text(unit: str, n_patients: int) -> str:
    """What an interval generalises to, and how far to trust it, in words."""
    if unit == "patients":
        return f"patients (n = {n_patients})"
    count = {1: "one patient", 2: "two patients"}.get(n_patients, "no patient")
    return f"slices of {count}: says nothing of other patients, and {FEW_SLICES}"


@dataclass(frozen=True)
class Cells:
    """Values of methods on the same rows: [seed, row], rows by patient and z."""

    values: dict[str, np.ndarray]
    seeds: dict[str, tuple[int, ...]]
    patients: np.ndarray
    slices: np.ndarray


def cells_of(frame: pd.DataFrame, value: str) -> Cells:
    """Arrays of the frame's methods over the rows that any of them has."""
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
        table = table.sort_index().sort_index(axis="columns")
    except ValueError:
        raise InputError(
            f"{value}: a row of {', '.join(units)} stands twice for a method"
        ) from None
    names = list(dict.fromkeys(frame["method"]))
    return Cells(
        {name: table[name].to_numpy(dtype=float).T for name in names},
        {name: tuple(map(int, table[name].columns)) for name in names},
        table.index.get_level_values("patient").to_numpy(),
        table.index.get_level_values("slice_index").to_numpy(),
    )


def interval_of(
    values: Sequence[np.ndarray],
    cells: Cells,
    averaging: Averaging,
    confidence: float,
    resamples: int,
    seed: int,
) -> Interval:
    """Interval of one method's mean, or of the mean difference of two."""
    values = np.broadcast_arrays(*values)
    found = ~np.isnan(values).any(axis=0)
    rows = found.any(axis=0)
    patients = cells.patients[rows]
    transformed = _transform(values, found, averaging, rows)
    per_seed = _means_of_seeds(transformed, averaging)
    estimate = _estimate(per_seed)
    names, sizes = np.unique(patients, return_counts=True)
    slices = [len(np.unique(cells.slices[rows][patients == name])) for name in names]
    counts = {
        "n_patients": len(names),
        "n_slices": sum(slices),
        "n_seeds": len(per_seed),
    }
    unit = "patients" if len(names) >= FEWEST_PATIENTS else "slices"
    if not np.isfinite(estimate) or not has_spread(slices):
        bound = estimate if np.isinf(values[0][:, rows]).all() else np.nan
        return Interval(estimate, bound, bound, confidence, unit, **counts)
    series = _mean_series(transformed)
    length = block_length(np.split(series, np.cumsum(sizes)[:-1]))
    weights = slice_weights(tuple(map(int, sizes)), length, resamples, seed)
    replicates = _replicates(transformed, weights, averaging)
    replicates = (replicates * seed_weights(len(per_seed), resamples, seed)).sum(axis=1)
    std_error = float(np.nanstd(replicates, ddof=1))
    df = _degrees_of_freedom(std_error, per_seed, sizes, length)
    half = float(stats.t.ppf((1 + confidence) / 2, df)) * std_error
    return Interval(
        estimate,
        estimate - half,
        estimate + half,
        confidence,
        unit,
        **counts,
        std_error=std_error,
        df=df,
        block_slices=length,
    )


def estimate_of(values: np.ndarray, averaging: Averaging) -> float:
    """Mean over rows, then over seeds. values : [seed, row]; NaN is left out."""
    return _estimate(_means_of_seeds([averaging.forward(values)], averaging))


def _transform(
    values: Sequence[np.ndarray], found: np.ndarray, averaging: Averaging, rows: np.ndarray
) -> list[np.ndarray]:
    """Values ready to be averaged, NaN where either is missing; equal infinities cancel."""
    results = [np.where(found, averaging.forward(each), np.nan)[:, rows] for each in values]
    if len(results) == 2:
        cancel = np.isinf(results[0]) & (results[0] == results[1])
        results = [np.where(cancel, 0.0, each) for each in results]
    return results


def _means_of_seeds(transformed: Sequence[np.ndarray], averaging: Averaging) -> np.ndarray:
    """Per seed: the mean over all rows, or the difference of two means."""
    weights = np.ones((1, transformed[0].shape[1]))
    return _replicates(transformed, weights, averaging)[0]


def _replicates(
    transformed: Sequence[np.ndarray], weights: np.ndarray, averaging: Averaging
) -> np.ndarray:
    """Weighted means taken back by the averaging: [resample, seed]; first minus second of two."""
    found = ~np.isnan(transformed[0])
    with np.errstate(invalid="ignore", divide="ignore"):  # a resample may hold no value: NaN
        totals = weights.sum(axis=1)[:, None] if found.all() else weights @ found.T.astype(float)
        means = [
            averaging.backward(weights @ np.where(found, each, 0).T / totals)
            for each in transformed
        ]
        return means[0] if len(means) == 1 else means[0] - means[1]


def _estimate(per_seed: np.ndarray) -> float:
    per_seed = per_seed[~np.isnan(per_seed)]
    return float(per_seed.mean()) if len(per_seed) else float("nan")


def _mean_series(transformed: Sequence[np.ndarray]) -> np.ndarray:
    """One value per row for the choice of the block length: the mean over seeds."""
    each = transformed[0] if len(transformed) == 1 else transformed[0] - transformed[1]
    return np.nanmean(each, axis=0)


def satterthwaite(std_error: float, per_seed: np.ndarray, df: float) -> float:
    """Degrees of freedom of a standard error that holds the spread of training seeds.

    std_error : of the mean over seeds, the seeds' own variance of it included. per_seed : one value
    of each seed, NaN where it has none. df : of what the variance holds beside the seeds.
    `df` itself for one seed. Source: Satterthwaite, Biometrics Bulletin 2:110-114, 1946.
    """
    if len(per_seed) == 1 or std_error == 0:
        return df
    total = std_error**2
    of_seeds = min(total, float(np.nanvar(per_seed, ddof=1)) / len(per_seed))
    return total**2 / ((total - of_seeds) ** 2 / df + of_seeds**2 / (len(per_seed) - 1))


def _degrees_of_freedom(
    std_error: float, per_seed: np.ndarray, sizes: np.ndarray, length: int
) -> float:
    """From the variance of the seeds and that of patients or slices."""
    if len(sizes) >= FEWEST_PATIENTS:
        df = len(sizes) - 1.0
    else:
        df = degrees_of_freedom([int(size) for size in sizes], length)
    return satterthwaite(std_error, per_seed, df)
