"""Stored DICOM pixel values to Hounsfield units."""

import numpy as np
from pydicom.dataset import Dataset

from ldct.data.dicom.values import number, whole

# Unsigned 12 bit, intercept -1024; the exterior of the field of view is stored as 0.
LOWEST_HU, HIGHEST_HU = -1024, 3071


def clip_hu(hu: np.ndarray) -> np.ndarray:
    """Clip to [-1024, 3071] HU and round to int16; any shape."""
    return np.clip(np.rint(hu), LOWEST_HU, HIGHEST_HU).astype(np.int16)


def stored_to_hu(dataset: Dataset, stored: np.ndarray | None = None) -> np.ndarray:
    """Pixels of one CT slice as int16 HU in [-1024, 3071], shape (rows, columns).

    stored : stored pixel values where they are not those of `dataset` itself. Pixels that hold the
    padding value, and exteriors below -1024 HU as GE scanners write them, become -1024 HU
    (docs/data.md).

    Raises HeaderError where a rescale tag is missing or no number.
    """
    stored = dataset.pixel_array if stored is None else stored
    hu = stored.astype(np.float32)  # exact for 16-bit values
    hu *= number(dataset, "RescaleSlope")
    hu += number(dataset, "RescaleIntercept")
    padding = padding_value(dataset)
    if padding is not None:
        hu[stored == padding] = LOWEST_HU
    return clip_hu(hu)


def padding_value(dataset: Dataset) -> int | None:
    """PixelPaddingValue in the pixels' own representation, None where absent.

    -2000 is sometimes written as its unsigned twin 63536 although the pixels are signed.
    """
    value = whole(dataset, "PixelPaddingValue")
    if value is None:
        return None
    signed = whole(dataset, "PixelRepresentation", default=0) == 1
    return value - 2**16 if signed and value >= 2**15 else value
