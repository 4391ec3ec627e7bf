"""Is the error of an image in soft tissue Gaussian, and is it as strong everywhere?

Measured on output - NDCT; for the low-dose image that is the noise which the lower dose adds. A
mixture of Gaussians of different strength has heavy tails although each is Gaussian, so kurtosis
is taken twice: over the slice, and against the strength in each small region.

Strength is told in squares of soft tissue. The two colours of a square's chequerboard, a gap
between them, are independent samples of one place: what is picked or scaled by one is measured in
the other, so that chance alone shows no effect.
"""

import numpy as np
from scipy import stats

from ldct.evaluation.tissues import (
    BLOCK_PX,
    FEWEST_BLOCKS,
    FEWEST_PIXELS,
    FEWEST_PIXELS_OF_BLOCK,
    block_sums,
    tissue_pixels,
)

TISSUE = "soft_tissue"
SQUARE_PX = 2 * BLOCK_PX
# Left out at each side of a field: neighbouring pixels share noise.
GAP_PX = 2
MEASURES = ("excess_kurtosis", "local_excess_kurtosis", "spread_ratio")
COLUMNS = [f"{TISSUE}_error_{measure}" for measure in MEASURES]


def error_shape(prediction_hu: np.ndarray, ndct_hu: np.ndarray) -> dict[str, float]:
    """Shape of the distribution of output - NDCT in the soft tissue of one slice, by COLUMNS.

    prediction_hu, ndct_hu : (rows, columns), HU, not clipped.
    `..._excess_kurtosis`: of all pixels of the tissue; 0 for a Gaussian.
    `..._local_excess_kurtosis`: mean fourth power in squares of 32 x 32 pixels over their mean
    squared variance, minus 3: 0 for noise that is Gaussian in each place, whatever its strength.
    `..._spread_ratio`: root mean square in the noisier half of the squares over that in the quieter
    half; 1 where noise is as strong everywhere. Squares that chance puts in the wrong half pull it
    towards 1.
    The mean error of the tissue is taken off first. NaN below 100 pixels of the tissue, the latter
    two below 8 squares with 64 pixels of it in each colour of their chequerboard (fields of 16 x 16
    pixels, the outer 2 left out); all three where the error is the same in every pixel.
    """
    inside = tissue_pixels(ndct_hu)[TISSUE]
    error = np.asarray(prediction_hu, dtype=np.float64) - ndct_hu
    values = error[inside]
    if values.size < FEWEST_PIXELS or not np.ptp(values):
        return dict.fromkeys(COLUMNS, float("nan"))
    found = (float(stats.kurtosis(values)), *_of_squares(error - values.mean(), inside))
    return dict(zip(COLUMNS, found, strict=True))


def _of_squares(error: np.ndarray, inside: np.ndarray) -> tuple[float, float]:
    """Local excess kurtosis and spread ratio."""
    places = np.indices(error.shape)
    place = places % BLOCK_PX
    core = inside & ((place >= GAP_PX) & (place < BLOCK_PX - GAP_PX)).all(axis=0)
    black = (places // BLOCK_PX).sum(axis=0) % 2 == 0
    fields = [core & black, core & ~black]
    counts, squares, fourths = (
        np.array([block_sums(np.where(own, power, 0.0), SQUARE_PX) for own in fields])
        for power in (np.ones_like(error), error**2, error**4)
    )
    used = (counts >= FEWEST_PIXELS_OF_BLOCK).all(axis=0)
    if np.count_nonzero(used) < FEWEST_BLOCKS:
        return float("nan"), float("nan")
    variances, fourths = (sums[:, used] / counts[:, used] for sums in (squares, fourths))
    kurtosis = fourths.mean() / (variances[0] * variances[1]).mean() - 3
    ratios = [_noisier_over_quieter(*pair) for pair in (variances, variances[::-1])]
    return float(kurtosis), float(np.sqrt(ratios[0] * ratios[1]))


def _noisier_over_quieter(picked_by: np.ndarray, measured: np.ndarray) -> float:
    noisier = picked_by > np.median(picked_by)
    return float(np.sqrt(measured[noisier].mean() / measured[~noisier].mean()))
