"""BM3D with one scalar noise level, tuned for PSNR on training patients."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ldct import bm3d_slice, tune_factor


def tune(pairs: list[tuple[np.ndarray, np.ndarray]], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The sigma in HU with the highest mean PSNR over training crops (quarter_hu, full_hu)."""
    hu_per_unit = settings["hu_per_unit"]
    noise_hu = float(np.sqrt(np.mean([np.var(quarter - full) for quarter, full in pairs])))
    tuning = tune_factor(
        lambda quarter, _, factor: bm3d_slice(quarter, factor * noise_hu, hu_per_unit),
        pairs,
        settings["factors"],
        settings["window"],
    )
    return {
        "sigma_hu": tuning["factor"] * noise_hu,
        "noise_hu": noise_hu,
        "hu_per_unit": hu_per_unit,
        "tuning": tuning,
    }


def denoise(slice_hu: np.ndarray, parameters: Mapping[str, Any]) -> np.ndarray:
    """One slice, float32 HU (rows, columns), filtered with `parameters["sigma_hu"]`."""
    return bm3d_slice(slice_hu, parameters["sigma_hu"], parameters["hu_per_unit"])
