"""Bootstrap weights for slices that are not independent: patients, then blocks of neighbours."""

from collections.abc import Sequence
from functools import lru_cache
from math import ceil, log10, sqrt

import numpy as np

# Three patients are the fewest whose spread says anything of other patients.
FEWEST_PATIENTS = 3
# Said wherever a spread is over slices.
FEW_SLICES = (
    "with few correlated slices holds less often than stated, 74 % for 26 of correlation 0.8"
)
# Block lengths are rounded up to one of these, so that few sets of weights serve many series.
LENGTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)


def block_length(series: Sequence[np.ndarray]) -> int:
    """Length of the blocks, in slices, for series that are correlated from slice to slice.

    series : one array per patient, in the order of z; NaN and infinite values are left out.
    The rule of Politis & White (Econometric Reviews 23:53-70, 2004; corrected by Patton, Politis &
    White, 28:372-375, 2009) for the block bootstrap, on the mean autocovariance of the patients,
    but no less than the square root of a series: neighbouring slices are known to be correlated,
    also where a short series cannot show it (the rule alone covers 65 % instead of 95 % for 26
    slices of correlation 0.8). Rounded up to one of LENGTHS; at most half of the shortest
    one: from four slices on, blocks have two or more.
    """
    series = [values[np.isfinite(values)] for values in map(np.asarray, series)]
    series = [values - values.mean() for values in series if len(values) > 3]
    if not series:
        return 1
    shortest = min(map(len, series))
    least = sqrt(sum(map(len, series)) / len(series))
    length = max(least, _optimal_length(series, shortest))
    longer = [known for known in LENGTHS if known >= length]
    return min(longer[0] if longer else LENGTHS[-1], max(1, shortest // 2))


def _optimal_length(series: Sequence[np.ndarray], shortest: int) -> float:
    """The rule itself; 0 where it finds no correlation. Series have mean 0."""
    count = sum(map(len, series))
    steps = max(5, ceil(sqrt(log10(count))))
    lags = min(ceil(sqrt(count)) + steps, shortest - 1)
    covariance = sum(_autocovariance(values, lags) for values in series) / count
    if covariance[0] <= np.finfo(float).tiny:
        return 0
    support = min(2 * _last_correlated_lag(covariance / covariance[0], steps, count), lags)
    lag = np.arange(1, support + 1)
    taper = np.clip(2 * (1 - lag / max(support, 1)), 0, 1)  # flat-top window
    slope = 2 * np.sum(taper * lag * covariance[1 : support + 1])
    spectrum = covariance[0] + 2 * np.sum(taper * covariance[1 : support + 1])
    if spectrum <= 0:
        return 0
    return float((3 * slope**2 / (2 * spectrum**2) * count) ** (1 / 3))


def _autocovariance(values: np.ndarray, lags: int) -> np.ndarray:
    return np.array([values[: len(values) - k] @ values[k:] for k in range(lags + 1)])


def _last_correlated_lag(correlation: np.ndarray, steps: int, count: int) -> int:
    """The lag after which `steps` correlations in a row are no more than noise."""
    noise = 2 * sqrt(log10(count) / count)
    small = np.abs(correlation[1:]) < noise
    for lag in range(len(small)):
        if small[lag : lag + steps].all():
            return lag
    return len(small)


def has_spread(sizes: Sequence[int]) -> bool:
    """Whether resampling can show how far a mean over patients of these many slices may be off.

    A single slice of a patient that is always drawn brings no spread, as if it were certain.
    """
    return len(sizes) >= FEWEST_PATIENTS or min(sizes, default=0) >= 2


def degrees_of_freedom(sizes: Sequence[int], length: int) -> float:
    """Degrees of freedom of the variance that blocks give, summed over patients; at least 1.

    Block variances are those of a triangular lag window, whose equivalent degrees of freedom are
    n over the sum of its squared weights (Priestley, Spectral Analysis and Time Series, 1981,
    section 6.2.4): n for single slices, 1.5 n / length for long blocks; one less for the mean.
    """
    lag = np.arange(1, length)
    return float(max(1.0, sum(sizes) / (1 + 2 * np.sum((1 - lag / length) ** 2)) - 1))


@lru_cache(maxsize=6)
def slice_weights(sizes: tuple[int, ...], length: int, resamples: int, seed: int) -> np.ndarray:
    """How much every slice weighs in every resample: [resample, slice], float32, read-only.

    sizes : slices of each patient, patients one after another, slices in the order of z.
    length : of the blocks of neighbouring slices that are drawn together, in slices.
    From FEWEST_PATIENTS on, patients are drawn, then blocks within each drawn patient; fewer
    patients are all kept and only blocks are drawn. Each level draws one unit less than there is,
    which makes the variance of a mean unbiased (Rao & Wu, JASA 83:231-241, 1988).
    """
    rng = np.random.default_rng(seed)
    patients = len(sizes)
    if patients >= FEWEST_PATIENTS:
        drawn = rng.integers(patients, size=(resamples, patients - 1))
    else:
        drawn = np.tile(np.arange(patients), (resamples, 1))
    weights = np.zeros((resamples, sum(sizes)), dtype=np.float32)
    first = 0
    for patient, size in enumerate(sizes):
        rows = np.nonzero(drawn == patient)[0]
        weights[:, first : first + size] = _block_weights(rng, rows, size, length, resamples)
        first += size
    weights.flags.writeable = False
    return weights


def _block_weights(
    rng: np.random.Generator, rows: np.ndarray, size: int, length: int, resamples: int
) -> np.ndarray:
    """Weights of one patient's slices: each entry of `rows` draws the patient once for that row."""
    length = min(length, max(1, size // 2))
    count = max(1, size - length)
    starts = rng.integers(size - length + 1, size=(len(rows), ceil(count / length)))
    places = (starts[..., None] + np.arange(length)).reshape(len(rows), -1)[:, :count]
    flat = (rows[:, None] * size + places).ravel()
    found = np.bincount(flat, minlength=resamples * size).reshape(resamples, size)
    return found * (size / count)


@lru_cache(maxsize=8)
def seed_weights(seeds: int, resamples: int, seed: int) -> np.ndarray:
    """How much every training seed weighs in every resample: [resample, seed], rows sum to 1.

    Seeds are drawn whole, for all patients alike, since one trained network serves all of them.
    """
    if seeds == 1:
        return np.ones((resamples, 1))
    # A stream of its own: the draws of slices do not depend on the number of seeds.
    rng = np.random.default_rng([seed, seeds])
    weights = rng.multinomial(seeds - 1, np.full(seeds, 1 / seeds), size=resamples) / (seeds - 1)
    weights.flags.writeable = False
    return weights
