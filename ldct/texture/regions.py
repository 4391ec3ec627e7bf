"""Regions chosen by rule, never by eye."""

from collections.abc import Iterable

import numpy as np
from scipy import ndimage

from ldct.metrics.tissues import SOFT_TISSUE_HU
from ldct.rendering.slices import Roi

SMOOTHING_PX = 4.0
STRIDE_PX = 4


def flattest_soft_tissue(ndct_hu: np.ndarray, side: int) -> tuple[int, Roi] | None:
    """The square of soft tissue with the least structure in a stack of NDCT slices.

    Of all squares that `soft_tissue_squares` finds with corners 4 px apart, the one with the
    smallest standard deviation of smoothed pixels wins.

    ndct_hu : [slice, row, column], HU. side : of the square, in pixels.
    Returns (slice, region), or None where no square is all soft tissue.
    """
    squares = soft_tissue_squares(ndct_hu, side, STRIDE_PX)
    if not len(squares):
        return None
    index, top, left, _ = squares[np.argmin(squares[:, 3])]
    top, left = int(top), int(left)
    return int(index), (top, top + side, left, left + side)


def soft_tissue_squares(ndct_hu: Iterable[np.ndarray], side: int, stride: int) -> np.ndarray:
    """All squares of soft tissue in a stack of NDCT slices, and how flat each is.

    Each slice is smoothed (Gaussian, 4 px) so that noise does not count as structure. A square is
    soft tissue when all of its smoothed pixels lie between 0 and 150 HU (with contrast medium,
    organs reach 150).

    ndct_hu : slices [row, column], HU. side : of the squares. stride : distance of their corners.
    Both in pixels. Returns [square, 4]: slice, first row, first column, and standard deviation of
    the smoothed pixels in HU; in the order of the slices.

    >>> soft_tissue_squares(np.full((1, 32, 32), 60), side=16, stride=16)[:, :3].tolist()
    [[0.0, 0.0, 0.0], [0.0, 0.0, 16.0], [0.0, 16.0, 0.0], [0.0, 16.0, 16.0]]
    """
    found = [
        _squares_of_slice(index, np.asarray(image, dtype=np.float64), side, stride)
        for index, image in enumerate(ndct_hu)
        if min(image.shape) >= side
    ]
    return np.concatenate(found) if found else np.empty((0, 4))


def spread_out(squares: np.ndarray, side: int) -> np.ndarray:
    """The flattest squares of each slice that overlap by no more than half along one axis.

    squares : as `soft_tissue_squares` gives them. Of two squares that are nearer to each other than
    half a side in both directions, the flatter one stays. Returns rows of `squares`, in its order.
    """
    kept: list[int] = []
    corners: dict[float, list[np.ndarray]] = {}
    for number in np.argsort(squares[:, 3], kind="stable"):
        corner, others = squares[number, 1:3], corners.setdefault(squares[number, 0], [])
        if not others or np.min(np.abs(others - corner).max(axis=1)) >= side / 2:
            others.append(corner)
            kept.append(int(number))
    return squares[sorted(kept)]


def _squares_of_slice(index: int, image: np.ndarray, side: int, stride: int) -> np.ndarray:
    smooth = ndimage.gaussian_filter(image, SMOOTHING_PX)
    inside = (smooth > SOFT_TISSUE_HU[0]) & (smooth < SOFT_TISSUE_HU[1])
    full = _box_sum(inside.astype(np.float64), side, stride) > side * side - 0.5
    if not full.any():  # most slices of a chest
        return np.empty((0, 4))
    mean = _box_sum(smooth, side, stride) / side**2
    variance = _box_sum(smooth**2, side, stride) / side**2 - mean**2
    corners = np.argwhere(full)
    spread = np.sqrt(np.maximum(variance[full], 0))
    return np.column_stack([np.full(len(corners), index), corners * stride, spread])


def _box_sum(values: np.ndarray, side: int, stride: int) -> np.ndarray:
    """Sums over all squares whose corners stand `stride` apart."""
    table = np.zeros((values.shape[0] + 1, values.shape[1] + 1))
    table[1:, 1:] = values.cumsum(axis=0).cumsum(axis=1)
    sums = table[side:, side:] - table[:-side, side:] - table[side:, :-side] + table[:-side, :-side]
    return sums[::stride, ::stride]
