"""Non-local means of scikit-image, its strength tuned for PSNR on training patients."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from skimage.restoration import denoise_nl_means

from ldct import tune_factor


def tune(pairs: list[tuple[np.ndarray, np.ndarray]], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The filter strength in HU with the highest mean PSNR over training crops."""
    noise_hu = float(np.sqrt(np.mean([np.var(quarter - full) for quarter, full in pairs])))
    fixed = {
        "noise_hu": noise_hu,
        "patch_size": settings["patch_size"],
        "patch_distance": settings["patch_distance"],
    }
    tuning = tune_factor(
        lambda quarter, _, factor: denoise(quarter, {**fixed, "strength_hu": factor * noise_hu}),
        pairs,
        settings["factors"],
        settings["window"],
    )
    return {**fixed, "strength_hu": tuning["factor"] * noise_hu, "tuning": tuning}


def denoise(slice_hu: np.ndarray, parameters: Mapping[str, Any]) -> np.ndarray:
    """One slice, float32 HU (rows, columns); patches that differ by more than noise count less."""
    return denoise_nl_means(
        slice_hu,
        patch_size=parameters["patch_size"],
        patch_distance=parameters["patch_distance"],
        h=parameters["strength_hu"],
        sigma=parameters["noise_hu"],
        fast_mode=True,
        preserve_range=True,
    )
