"""Regions chosen by rule, never by eye."""

import numpy as np
from scipy import ndimage

SOFT_TISSUE_HU = (0.0, 150.0)
SMOOTHING_PX = 4.0
STRIDE_PX = 4

# First row, end row, first column, end column (ends exclusive).
Region = tuple[int, int, int, int]


def flattest_soft_tissue(ndct_hu: np.ndarray, side: int) -> tuple[int, Region] | None:
    """The square of soft tissue with the least structure in a stack of NDCT slices.

    Each slice is smoothed (Gaussian, 4 px) so that noise does not count as structure. A square is a
    candidate when all of its smoothed pixels lie between 0 and 150 HU (with contrast medium, organs
    reach 150); the candidate with the smallest standard deviation of smoothed pixels wins.

    ndct_hu : [slice, row, column], HU. side : of the square, in pixels.
    Returns (slice, region), or None where no square is all soft tissue.
    """
    best: tuple[float, int, Region] | None = None
    for index, image in enumerate(ndct_hu):
        found = _flattest_in_slice(np.asarray(image, dtype=np.float64), side)
        if found is not None and (best is None or found[0] < best[0]):
            best = (found[0], index, found[1])
    return None if best is None else (best[1], best[2])


def _flattest_in_slice(image: np.ndarray, side: int) -> tuple[float, Region] | None:
    if min(image.shape) < side:
        return None
    smooth = ndimage.gaussian_filter(image, SMOOTHING_PX)
    inside = (smooth > SOFT_TISSUE_HU[0]) & (smooth < SOFT_TISSUE_HU[1])
    full = _box_sum(inside.astype(np.float64), side) > side * side - 0.5
    if not full.any():
        return None
    mean = _box_sum(smooth, side) / side**2
    variance = _box_sum(smooth**2, side) / side**2 - mean**2
    top, left = np.unravel_index(np.argmin(np.where(full, variance, np.inf)), variance.shape)
    top, left = int(top) * STRIDE_PX, int(left) * STRIDE_PX
    return float(np.min(variance[full])), (top, top + side, left, left + side)


def _box_sum(values: np.ndarray, side: int) -> np.ndarray:
    """Sums over all squares whose corners stand STRIDE_PX apart."""
    table = np.zeros((values.shape[0] + 1, values.shape[1] + 1))
    table[1:, 1:] = values.cumsum(axis=0).cumsum(axis=1)
    sums = table[side:, side:] - table[:-side, side:] - table[side:, :-side] + table[:-side, :-side]
    return sums[::STRIDE_PX, ::STRIDE_PX]
