"""The low-dose image of another slice: same noise, same texture, wrong anatomy."""

from collections.abc import Mapping
from typing import Any

import numpy as np


def denoise(
    low_dose: np.ndarray, ndct: np.ndarray, index: int, parameters: Mapping[str, Any]
) -> np.ndarray:
    """The slice half a stack away, float32 HU; a single slice is turned by 180 degrees."""
    count = len(low_dose)
    if count == 1:
        return low_dose[0, ::-1, ::-1].astype(np.float32)
    return low_dose[(index + count // 2) % count].astype(np.float32)
