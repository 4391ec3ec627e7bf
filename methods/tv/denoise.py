"""Total-variation denoising of scikit-image, its weight tuned for PSNR on training patients."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from skimage.restoration import denoise_tv_chambolle

from ldct import tune_factor


def tune(pairs: list[tuple[np.ndarray, np.ndarray]], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The weight in HU with the highest mean PSNR over training crops."""
    noise_hu = float(np.sqrt(np.mean([np.var(quarter - full) for quarter, full in pairs])))
    tuning = tune_factor(
        lambda quarter, _, factor: denoise(quarter, {"weight_hu": factor * noise_hu}),
        pairs,
        settings["factors"],
        settings["window"],
    )
    return {"weight_hu": tuning["factor"] * noise_hu, "noise_hu": noise_hu, "tuning": tuning}


def denoise(slice_hu: np.ndarray, parameters: Mapping[str, Any]) -> np.ndarray:
    """One slice, float32 HU (rows, columns): least squares with a penalty on total variation."""
    return denoise_tv_chambolle(slice_hu, weight=parameters["weight_hu"])
