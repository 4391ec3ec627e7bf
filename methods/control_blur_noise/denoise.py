"""A wide blur, and white noise that brings the slice back to the full dose's noise level."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ldct import blur, fine_noise_hu, tune_blur


def tune(pairs: list[tuple[np.ndarray, np.ndarray]], settings: Mapping[str, Any]) -> dict[str, Any]:
    """A multiple of the width with the highest mean PSNR over training crops."""
    tuned = tune_blur(pairs, settings)
    return {
        **tuned,
        "sigma_px": settings["width_factor"] * tuned["sigma_px"],
        "seed": settings["seed"],
    }


def denoise(
    low_dose: np.ndarray, ndct: np.ndarray, index: int, parameters: Mapping[str, Any]
) -> np.ndarray:
    """Slice `index` of LDCT, blurred, with white noise up to NDCT's level, float32 HU."""
    blurred = blur(low_dose[index], parameters["sigma_px"])
    wanted, left = (fine_noise_hu(image, ndct[index]) for image in (ndct[index], blurred))
    rng = np.random.default_rng([parameters["seed"], index])
    noise = rng.standard_normal(blurred.shape, dtype=np.float32)
    return blurred + np.sqrt(max(wanted**2 - left**2, 0.0)) * noise
