"""Channelised Hotelling observer: how well a known disc in a known place can be told from none.

An image g is reduced to Laguerre-Gauss channels (Gallas and Barrett, J Opt Soc Am A 20 (2003)
1725), w is the Hotelling template of their outputs, t = w . g, and detectability d' = (mean of t
with the signal - mean without) / standard deviation of t within a class. Channels hold no constant
part, so the local brightness of the background tells nothing; in white noise of standard deviation
sigma the best such observer has d' = |s - mean(s)| / sigma for a signal s. Nothing is held back for
testing; the optimism of that is taken off in closed form (see `hotelling`).

Samples are pairs: one place with and without the signal. The variance of d' is that of the
jackknife over places (Efron and Stein, Ann Stat 9 (1981) 586): it says nothing of other patients.
"""

import numpy as np
from scipy import special

from ldct.common.errors import InputError

CHANNELS = 5
CHANNEL_WIDTH_DIAMETERS = 1.0
REGION_DIAMETERS = 3.0
SMALLEST_REGION_PX = 9
# d' without each place needs three places more than channels.
FEWEST_PLACES = CHANNELS + 4


def region_side(diameter_px: float, crop: int) -> int:
    """Side in pixels (odd) of the square that is observed: three diameters, at most the crop.

    Raises InputError where the crop is smaller than nine pixels.
    """
    if crop < SMALLEST_REGION_PX:
        raise InputError(f"crop of {crop} pixels; expected at least {SMALLEST_REGION_PX}")
    side = max(int(np.ceil(REGION_DIAMETERS * diameter_px)), SMALLEST_REGION_PX)
    return min(side + 1 - side % 2, crop - 1 + crop % 2)


def central_regions(images: np.ndarray, side: int) -> np.ndarray:
    """The squares of `side` pixels about pixel (n // 2, n // 2) of images (..., n, n)."""
    rows, columns = images.shape[-2:]
    top, left = rows // 2 - side // 2, columns // 2 - side // 2
    return images[..., top : top + side, left : left + side]


def laguerre_gauss(side: int, width_px: float) -> np.ndarray:
    """Laguerre-Gauss channels without their constant part; float64 (CHANNELS, side, side).

    u_p(r) = L_p(2 pi r^2 / a^2) exp(-pi r^2 / a^2), p = 0 .. CHANNELS - 1, a = `width_px`; each
    channel has norm 1.
    """
    axis = np.arange(side) - side // 2
    square = 2 * np.pi * (axis[:, None] ** 2 + axis**2) / width_px**2
    orders = np.arange(CHANNELS)[:, None, None]
    templates = special.eval_laguerre(orders, square) * np.exp(-square / 2)
    centred = templates - templates.mean(axis=(-2, -1), keepdims=True)
    return centred / np.sqrt((centred**2).sum(axis=(-2, -1), keepdims=True))


def channel_outputs(images: np.ndarray, diameter_px: float) -> np.ndarray:
    """Channel outputs (n, channels) of the central regions of images (n, rows, columns)."""
    side = region_side(diameter_px, images.shape[-1])
    channels = laguerre_gauss(side, CHANNEL_WIDTH_DIAMETERS * diameter_px)
    regions = np.asarray(central_regions(images, side), np.float64)
    return np.einsum("nij,cij->nc", regions, channels)


def hotelling(absent: np.ndarray, present: np.ndarray) -> float:
    """d'^2 of the Hotelling observer on paired outputs, without the bias of a finite sample.

    absent, present : (n, p), row i of both from the same place.
    With the mean difference m of the pairs, their covariance C, and the covariance K within a class
    (mean of both classes, n - 1 degrees of freedom), all estimated,

        d'^2 = (n - p - 2) / (n - 1) (m' inv(K) m - trace(inv(K) C) / n)

    which is unbiased for normal outputs: the expectation of inv(K) is too large by the first
    factor (Wishart), and the noise of m adds the trace. May be negative where there is no signal.
    NaN for fewer than p + 3 pairs or a singular K.
    """
    count, channels = absent.shape
    if count < channels + 3:
        return np.nan
    difference = present - absent
    mean = difference.mean(axis=0)
    within = (np.cov(absent.T) + np.cov(present.T)).reshape(channels, channels) / 2
    between = np.cov(difference.T).reshape(channels, channels)
    if not np.linalg.cond(within) < 1e12:
        return np.nan
    solved = np.linalg.solve(within, np.column_stack([mean, between]))
    raw = mean @ solved[:, 0] - np.trace(solved[:, 1:]) / count
    return float((count - channels - 2) / (count - 1) * raw)


def detectability(absent: np.ndarray, present: np.ndarray) -> tuple[float, np.ndarray]:
    """d' of paired outputs (n, p), never below zero, and d' without each place in turn (n,).

    The second keeps the sign of d'^2, so that noise about 0 stays symmetric: what intervals need.
    NaN where d' cannot be told without each of the places.
    """
    places = np.arange(len(absent))
    without = np.array(
        [
            _signed_root(hotelling(absent[kept], present[kept]))
            for kept in (np.delete(places, place) for place in places)
        ]
    )
    if np.isnan(without).any():
        return np.nan, without
    return float(np.maximum(_signed_root(hotelling(absent, present)), 0)), without


def jackknife_variance(leave_one_out: np.ndarray) -> float:
    """Variance of an estimate, from the estimates without each place in turn."""
    return float((len(leave_one_out) - 1) * leave_one_out.var())


def _signed_root(square: float) -> float:
    return float(np.copysign(np.sqrt(abs(square)), square))
