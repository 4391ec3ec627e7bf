"""The low-dose image with a constant error of its HU values."""

from collections.abc import Mapping
from typing import Any

import numpy as np


def denoise(
    low_dose: np.ndarray, ndct: np.ndarray, index: int, parameters: Mapping[str, Any]
) -> np.ndarray:
    """Slice `index` of LDCT, shifted, float32 HU."""
    return low_dose[index].astype(np.float32) + np.float32(parameters["shift_hu"])
