"""One line on the method."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter


def tune(pairs: list[tuple[np.ndarray, np.ndarray]], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters for `denoise`, from training crops (quarter_hu, full_hu). Leave out if none."""

    def error(sigma: float) -> float:
        return float(
            np.mean([np.mean((gaussian_filter(low, sigma) - full) ** 2) for low, full in pairs])
        )

    return {"sigma_px": min(settings["sigmas_px"], key=error)}


def denoise(slice_hu: np.ndarray, parameters: Mapping[str, Any]) -> np.ndarray:
    """One slice, float32 HU (rows, columns), to the same shape.

    parameters : what `tune` returned, and `pixel_mm`, the slice's spacing [row, column].
    """
    return gaussian_filter(slice_hu, parameters["sigma_px"])
