"""Gaussian blur tuned for PSNR, and the noise it takes away: shared by the blurring controls."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.ndimage import binary_erosion, gaussian_filter

from ldct.denoising.block_matching import tune_factor
from ldct.metrics.tissues import SOFT_TISSUE_HU

SMOOTHING_PX = 4.0  # what is coarser is anatomy, what is finer is noise
MEDIAN_TO_STD = 1.4826  # median of absolute values to standard deviation, normal distribution


def blur(slice_hu: np.ndarray, sigma_px: float) -> np.ndarray:
    """Gaussian-smoothed slice, float32 HU (rows, columns)."""
    return gaussian_filter(np.asarray(slice_hu, dtype=np.float32), sigma_px, mode="nearest")


def tune_blur(
    pairs: Sequence[tuple[np.ndarray, np.ndarray]], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """The blur with the highest mean PSNR over training crops: {"sigma_px", "tuning"}.

    pairs : (quarter_hu, full_hu). settings : `sigmas_px` (rising grid) and `window` (HU).
    """
    tuning = tune_factor(
        lambda quarter, _, sigma: blur(quarter, sigma),
        pairs,
        settings["sigmas_px"],
        settings["window"],
    )
    return {"sigma_px": tuning["factor"], "tuning": tuning}


def fine_noise_hu(image_hu: np.ndarray, ndct_hu: np.ndarray) -> float:
    """Standard deviation in HU of what is finer than 4 px in the soft tissue of one slice.

    image_hu, ndct_hu : (rows, columns). Soft tissue is where the smoothed NDCT lies between 0 and
    150 HU, 4 px and more from anything else; a slice without any is taken whole. From the median
    of absolute values, which edges and vessels hardly move.

    >>> noise = np.random.default_rng(0).normal(0, 10, (256, 256))
    >>> round(fine_noise_hu(60 + noise, np.full((256, 256), 60)))
    10
    """
    image = np.asarray(image_hu, dtype=np.float32)
    smooth_ndct = blur(ndct_hu, SMOOTHING_PX)
    tissue = (smooth_ndct > SOFT_TISSUE_HU[0]) & (smooth_ndct < SOFT_TISSUE_HU[1])
    tissue = binary_erosion(tissue, iterations=int(SMOOTHING_PX))
    fine = np.abs(image - blur(image, SMOOTHING_PX))
    return float(MEDIAN_TO_STD * np.median(fine[tissue] if tissue.any() else fine))
