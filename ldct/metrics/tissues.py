"""HU fidelity by tissue: bias, slope and error of the output in tissues named by NDCT's HU.

Which pixel is which tissue must not be told from noisy pixels: among pixels whose *noisy* NDCT is
high, NDCT's own noise is high on average, and any output without that noise seems biased low
(regression to the mean); a slope against noisy NDCT comes out below 1 for the same reason. So
tissue is told from the smoothed NDCT, inside the tissue only, and the slope is one of means over
blocks of the tissue's pixels.
"""

import numpy as np
from scipy.ndimage import gaussian_filter, maximum_filter, minimum_filter

# With contrast medium, organs reach 150 HU.
SOFT_TISSUE_HU = (0.0, 150.0)
# HU of the smoothed NDCT, lower bound included. Between the classes lie mixtures (partial volume).
# Air begins above -1024 HU, the filling outside a scanner's circular field of view.
TISSUES: dict[str, tuple[float, float]] = {
    "air": (-1020.0, -950.0),
    "lung": (-950.0, -600.0),
    "fat": (-140.0, -40.0),
    "soft_tissue": SOFT_TISSUE_HU,
    "bone": (250.0, 2000.0),
}
SMOOTHING_PX = 2.0
NEIGHBOURHOOD_PX = 5  # side of the square in which all smoothed pixels must be of the class
FEWEST_PIXELS = 100
BLOCK_PX = 16
FEWEST_PIXELS_OF_BLOCK = 64
FEWEST_BLOCKS = 8
SMALLEST_SPREAD_HU = 5.0  # of NDCT's block means: below it a slope is one of noise


def tissue_fidelity(prediction_hu: np.ndarray, ndct_hu: np.ndarray) -> dict[str, float]:
    """Bias, slope and standard deviation of the error in each tissue of one slice.

    prediction_hu, ndct_hu : (rows, columns), HU, not clipped.
    `<tissue>_bias_hu`: mean of prediction minus NDCT. `<tissue>_std_hu`: standard deviation of that
    difference. `<tissue>_slope`: least-squares slope of prediction over NDCT, both as means over
    the tissue's pixels in blocks of 16 x 16 (those with 64 pixels of it or more); 1 where contrast
    is kept, below 1 where it is flattened. NaN where a tissue has fewer than 100 pixels in the
    slice, for the slope also below 8 blocks or where their NDCT spreads less than 5 HU.

    >>> ndct = np.full((64, 64), 60)
    >>> tissue_fidelity(ndct + 3, ndct)["soft_tissue_bias_hu"]
    3.0
    """
    prediction = np.asarray(prediction_hu, dtype=np.float32)
    ndct = np.asarray(ndct_hu, dtype=np.float32)
    found = {}
    smooth_ndct = gaussian_filter(ndct, SMOOTHING_PX, mode="nearest", truncate=3.0)
    darkest = minimum_filter(smooth_ndct, NEIGHBOURHOOD_PX)
    brightest = maximum_filter(smooth_ndct, NEIGHBOURHOOD_PX)
    for tissue, (lower, upper) in TISSUES.items():
        inside = (darkest >= lower) & (brightest < upper)
        error = (prediction - ndct)[inside].astype(np.float64)
        enough = error.size >= FEWEST_PIXELS
        found |= {
            f"{tissue}_bias_hu": float(error.mean()) if enough else float("nan"),
            f"{tissue}_slope": _slope(prediction, ndct, inside) if enough else float("nan"),
            f"{tissue}_std_hu": float(error.std()) if enough else float("nan"),
        }
    return found


def _slope(prediction: np.ndarray, ndct: np.ndarray, inside: np.ndarray) -> float:
    counts = _block_sums(inside.astype(np.float64), BLOCK_PX)
    used = counts >= FEWEST_PIXELS_OF_BLOCK
    if np.count_nonzero(used) < FEWEST_BLOCKS:
        return float("nan")
    weight = counts[used]
    y, x = (
        _block_sums(np.where(inside, image, 0.0), BLOCK_PX)[used] / weight
        for image in (prediction, ndct)
    )
    x = x - np.average(x, weights=weight)
    if np.sqrt(np.average(x**2, weights=weight)) < SMALLEST_SPREAD_HU:
        return float("nan")
    return float(np.sum(weight * x * y) / np.sum(weight * x * x))


def _block_sums(values: np.ndarray, side: int) -> np.ndarray:
    """Sums over whole blocks of side x side pixels; the rest at the borders belongs to none."""
    rows, columns = (extent // side for extent in values.shape)
    whole = values[: rows * side, : columns * side]
    return whole.reshape(rows, side, columns, side).sum(axis=(1, 3))
