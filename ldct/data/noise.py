"""Noise of CT slices in soft tissue."""

import numpy as np
from scipy import ndimage

from ldct.common.errors import InputError

NOISE_WINDOW = 7  # pixels
NOISE_PERCENTILE = 25
# Narrower than where organs with contrast medium lie: it picks the level of the noise alone.
NOISE_TISSUE_HU = (0.0, 100.0)


def soft_tissue(hu: np.ndarray) -> np.ndarray:
    """Where the mean of the 7x7 neighbourhood is soft tissue, 0 to 100 HU; bool, shape of `hu`."""
    mean = local_mean(hu)
    return (mean > NOISE_TISSUE_HU[0]) & (mean < NOISE_TISSUE_HU[1])


def soft_tissue_noise(hu: np.ndarray, where: np.ndarray) -> float:
    """Noise of slices in HU: the 25th percentile of the std of 7x7 neighbourhoods in soft tissue.

    The low percentile picks neighbourhoods without edges (docs/data.md, Noise).
    hu : (..., rows, columns). where : `soft_tissue` of the full dose, bool, of the same shape.
    Raises `InputError` when there is no soft tissue.
    """
    if not where.any():
        raise InputError(
            f"no soft tissue in slices of shape {np.shape(hu)}: expected regions of "
            f"{NOISE_TISSUE_HU[0]:g} to {NOISE_TISSUE_HU[1]:g} HU; check rescale slope, intercept"
        )
    local_std = np.sqrt(np.maximum(local_covariance(hu, hu), 0))
    return float(np.percentile(local_std[where], NOISE_PERCENTILE))


def local_covariance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Covariance of two images in every 7x7 neighbourhood; float32 of their shape."""
    first, second = np.asarray(first, np.float32), np.asarray(second, np.float32)
    return local_mean(first * second) - local_mean(first) * local_mean(second)


def local_mean(values: np.ndarray) -> np.ndarray:
    """Mean of every 7x7 neighbourhood of (..., rows, columns); float32 of the same shape."""
    values = np.asarray(values, np.float32)
    size = (1,) * (values.ndim - 2) + (NOISE_WINDOW, NOISE_WINDOW)
    return ndimage.uniform_filter(values, size)
