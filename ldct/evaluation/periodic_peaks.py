"""Traces of a pattern in noise power spectra: narrow peaks over a smooth background.

Noise of a scanner and of a denoiser without a pattern has a spectrum that changes smoothly; a
pattern that repeats every few pixels stands out of it as a narrow peak. Max-pooling with stride 2,
4 and 8 (the perceptual network's) leaves traces at multiples of 1/2, 1/4 and 1/8 cycles per pixel.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from scipy import ndimage

from ldct.evaluation.noise_power import frequencies

POOLING_STRIDES = (2, 4, 8)
# Nearer to zero frequency, what is left of anatomy after detrending is no noise.
LOWEST_BIN = 4
# The background of a frequency: its neighbourhood, but for what a Hann-windowed peak fills.
NEIGHBOURHOOD, PEAK = 9, 5
# CT images are stored in whole HU: power below that of rounding is no part of any image.
ROUNDING_VARIANCE_HU2 = 1 / 12
# The smooth fit knows of correlations over as many pixels as a tenth of the patch's side.
SIDES_PER_LAG = 10
FIT_ROUNDS, OUTLIER = 3, 2.5
# A ring of fewer bins has no median worth the name; beyond the last, that one's is taken.
FEWEST_IN_RING = 12
# Neighbours on the line through zero frequency that count as background, in bins.
RAY = (-5, -4, -3, 3, 4, 5)
NULL_QUANTILE = 0.95
# What the background misses of spectra without a pattern, however many patches are averaged
# (Gaussian-filtered noise of 0.6 to 2.5 pixels; tests/test_periodic_peaks.py).
MODEL_ERROR = 0.5


def peak_excess(power: np.ndarray, pixel_mm: tuple[float, float]) -> np.ndarray:
    """Excess of a spectrum over its smooth background: 1 for twice the background.

    The background of a bin is the highest of four, so that narrow peaks alone stand out:
    the smooth fit (`_smooth_fit`); that times the local median of what departs from it, over 9x9
    bins without the middle 5x5 (a network's frequency response has lobes that wide); that times
    the median of what departs from it along the line through zero frequency (streaks and edges are
    such lines); and the radial profile (median of each ring), below which nothing is a pattern.
    The power of rounding to whole HU is added throughout.

    power : [row, column], HU² mm². Returns [row, column]; near zero where there is no peak.
    """
    logarithm = np.log(power + ROUNDING_VARIANCE_HU2 * pixel_mm[0] * pixel_mm[1])
    smooth = _smooth_fit(logarithm)
    departure = logarithm - smooth
    near = np.maximum(_local_median(departure), _median_along_ray(departure))
    background = np.maximum(smooth + np.maximum(near, 0), _radial_median(logarithm, pixel_mm))
    return np.exp(logarithm - background) - 1


def searched_bins(shape: tuple[int, int]) -> np.ndarray:
    """Bins that are searched for peaks, [row, column]: one of each pair f, -f, away from zero."""
    row, column = _bin_numbers(shape)
    rows, columns = shape
    own = (row % rows) * columns + column % columns
    partner = (-row % rows) * columns + -column % columns
    return (own <= partner) & (np.hypot(row, column) >= LOWEST_BIN)


def pooling_bins(shape: tuple[int, int], strides: Sequence[int] = POOLING_STRIDES) -> np.ndarray:
    """Bins among `searched_bins` where pooling with one of the strides leaves traces.

    Multiples of 1/stride cycles per pixel in both directions, [row, column].
    """
    row, column = _bin_numbers(shape)
    lattice = np.zeros(shape, dtype=bool)
    for stride in strides:
        steps = [count / stride for count in shape]
        if all(step == int(step) for step in steps):
            lattice |= (row % int(steps[0]) == 0) & (column % int(steps[1]) == 0)
    return lattice & searched_bins(shape)


def cross_fitted_excess(excess: np.ndarray, bins: np.ndarray) -> np.ndarray:
    """Excess of each slice at the frequency that stands out in the other half of the slices.

    A pattern made by a method stands at the same frequency in all slices; chance and anatomy do
    not. The slices are cut into two blocks of neighbours. In each block the frequency of the
    highest mean excess is found, and read off in the slices of the other block: without a pattern
    the outcome is zero on average, however many frequencies were searched.

    excess : [slice, row, column], slices in order. bins : [row, column], where to look.
    Returns one value a slice; NaN for fewer than two slices.
    """
    found = excess[:, bins]
    if len(found) < 2:
        return np.full(len(found), np.nan)
    middle = len(found) // 2
    lower, upper = found[:middle], found[middle:]
    return np.concatenate(
        [lower[:, np.argmax(upper.mean(axis=0))], upper[:, np.argmax(lower.mean(axis=0))]]
    )


@dataclass(frozen=True)
class NullLevel:
    """What a score of periodic peaks must exceed.

    ndct_quantile : what NDCT itself stays below; NaN where it was not measured. floor : what the
    background misses of a method's spectrum, which may be harder to fit than that of NDCT.
    """

    ndct_quantile: float
    floor: float = MODEL_ERROR

    @property
    def level(self) -> float:
        """The higher of the two; NaN where NDCT was not measured."""
        return float(np.maximum(self.ndct_quantile, self.floor))

    @property
    def applied(self) -> Literal["ndct_quantile", "floor"] | None:
        """Which of the two is the level; None where NDCT was not measured."""
        if np.isnan(self.ndct_quantile):
            return None
        return "ndct_quantile" if self.ndct_quantile > self.floor else "floor"


def null_level(excess: np.ndarray, bins: np.ndarray, quantile: float = NULL_QUANTILE) -> NullLevel:
    """What the mean of `cross_fitted_excess` stays below, but for one case in twenty, by chance.

    The quantile, over all searched frequencies, of the mean excess of images without a pattern
    (NDCT, at the same places as the images judged): what a frequency picked elsewhere shows.

    excess : [slice, row, column] of those images. bins : as in `searched_bins`. NaN without slices.
    """
    if not len(excess):
        return NullLevel(float("nan"))
    return NullLevel(float(np.quantile(excess.mean(axis=0)[bins], quantile)))


def strongest_peak(
    power: np.ndarray, pixel_mm: tuple[float, float], bins: np.ndarray
) -> dict[str, float]:
    """The frequency of the highest excess of one spectrum.

    power : [row, column], HU² mm². Returns its row and column frequency in cycles per pixel, its
    excess, and the root mean square of the pattern in HU: of the power above the background within
    one bin (what a Hann-windowed sinusoid fills), at f and -f together; 0 where that is negative.
    """
    excess = peak_excess(power, pixel_mm)
    row, column = np.unravel_index(np.argmax(np.where(bins, excess, -np.inf)), power.shape)
    floor = ROUNDING_VARIANCE_HU2 * pixel_mm[0] * pixel_mm[1]
    above = (power + floor) * excess / (1 + excess)
    near = np.ix_(
        np.arange(row - 1, row + 2) % power.shape[0],
        np.arange(column - 1, column + 2) % power.shape[1],
    )
    numbers = [int(axis[row, column]) for axis in _bin_numbers(power.shape)]
    alone = all(2 * number % count == 0 for number, count in zip(numbers, power.shape, strict=True))
    area = power.size * pixel_mm[0] * pixel_mm[1]
    variance = above[near].sum() / area * (1 if alone else 2)
    return {
        "row_frequency": numbers[0] / power.shape[0],
        "column_frequency": numbers[1] / power.shape[1],
        "excess": float(excess[row, column]),
        "rms_hu": float(np.sqrt(max(variance, 0.0))),
    }


def _smooth_fit(logarithm: np.ndarray) -> np.ndarray:
    """Logarithm of a spectrum as a short Fourier series (its cepstrum, cut off), least squares.

    Bins that stand out are left out of the next of three rounds. The level is set so that the
    ratio of spectrum to fit is one on average over the bins that stay.
    """
    basis = _cosines(logarithm.shape)
    kept = np.hypot(*_bin_numbers(logarithm.shape)) >= LOWEST_BIN
    searched = kept.copy()
    for _ in range(FIT_ROUNDS):
        weights, *_ = np.linalg.lstsq(basis[kept], logarithm[kept], rcond=None)
        fit = basis @ weights
        departure = logarithm - fit
        spread = np.median(np.abs(departure[searched])) / 0.6745
        kept = searched & (departure < OUTLIER * max(spread, 1e-6))
    return fit + np.log(np.mean(np.exp(departure[kept])))


@cache
def _cosines(shape: tuple[int, int]) -> np.ndarray:
    row, column = (axis / count for axis, count in zip(_bin_numbers(shape), shape, strict=True))
    last = [max(1, count // SIDES_PER_LAG) for count in shape]
    lags = [
        (i, j) for i in range(last[0] + 1) for j in range(-last[1], last[1] + 1) if i > 0 or j >= 0
    ]
    return np.stack([np.cos(2 * np.pi * (i * row + j * column)) for i, j in lags], axis=-1)


def _radial_median(logarithm: np.ndarray, pixel_mm: tuple[float, float]) -> np.ndarray:
    extents = [count * spacing for count, spacing in zip(logarithm.shape, pixel_mm, strict=True)]
    radius = np.hypot(*frequencies(logarithm.shape, pixel_mm)) * min(extents)
    rings, counts = np.unique(np.rint(radius).astype(int), return_counts=True)
    rings = rings[counts >= FEWEST_IN_RING]
    return np.interp(radius, rings, ndimage.median(logarithm, np.rint(radius).astype(int), rings))


def _local_median(logarithm: np.ndarray) -> np.ndarray:
    footprint = np.ones((NEIGHBOURHOOD, NEIGHBOURHOOD), dtype=bool)
    rim = (NEIGHBOURHOOD - PEAK) // 2
    footprint[rim:-rim, rim:-rim] = False
    # A sampled spectrum is periodic: beyond the highest frequency follows the lowest.
    return ndimage.median_filter(logarithm, footprint=footprint, mode="wrap")


def _median_along_ray(logarithm: np.ndarray) -> np.ndarray:
    bins = np.stack(_bin_numbers(logarithm.shape)).astype(np.float64)
    radius = np.hypot(*bins)
    direction = bins / np.maximum(radius, 1)
    centre = np.array(logarithm.shape)[:, None, None] // 2
    samples = [
        np.where(
            # Detrending leaves a hole around zero frequency, which is no background of anything.
            np.abs(radius + step) < LOWEST_BIN,
            np.nan,
            ndimage.map_coordinates(
                logarithm, bins + centre + step * direction, order=1, mode="grid-wrap"
            ),
        )
        for step in RAY
    ]
    return np.nanmedian(samples, axis=0)


def _bin_numbers(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    axes = [np.arange(count) - count // 2 for count in shape]
    row, column = np.meshgrid(*axes, indexing="ij")
    return row, column
