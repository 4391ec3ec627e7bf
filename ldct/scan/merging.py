"""From a denoised slice in HU to stored pixels: what the method did not see stays bit for bit."""

from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from ldct.data.dicom.hounsfield import clip_hu, padding_value
from ldct.data.dicom.values import number


@dataclass(frozen=True)
class Coding:
    """How HU are stored.

    slope, intercept : HU = slope * stored + intercept. lowest, highest : of the stored values.
    padding : stored value that is no tissue, or None.
    """

    slope: float
    intercept: float
    lowest: float
    highest: float
    padding: int | None = None


def coding_of(header: Dataset) -> Coding:
    """The coding of one slice or frame (`frame_dataset`). Raises HeaderError as `number` does."""
    bits, signed = int(number(header, "BitsStored")), number(header, "PixelRepresentation") == 1
    lowest = -(2 ** (bits - 1)) if signed else 0
    return Coding(
        slope=number(header, "RescaleSlope"),
        intercept=number(header, "RescaleIntercept"),
        lowest=lowest,
        highest=lowest + 2**bits - 1,
        padding=padding_value(header),
    )


def merge(
    stored: np.ndarray, denoised_hu: np.ndarray, coding: Coding, seen_hu: tuple[float, float]
) -> tuple[np.ndarray, int]:
    """The stored pixels with what denoising changed in them, and how many had to be clipped.

    stored : as the source has them, any shape and type; the result has both.
    denoised_hu : what became of `clip_hu` of their HU, of the same shape.
    seen_hu : lowest and highest HU that the method takes in. Pixels beyond, and padding, stay.
    Whole numbers are rounded to the nearest and clipped to the range of the stored values.
    """
    hu = stored * float(coding.slope) + coding.intercept
    seen = (hu >= seen_hu[0]) & (hu <= seen_hu[1])
    wanted = stored + (denoised_hu - clip_hu(hu)) / coding.slope
    if np.issubdtype(stored.dtype, np.integer):
        wanted = np.rint(wanted)
    fitting = np.clip(wanted, coding.lowest, coding.highest)
    clipped = seen & (fitting != wanted)
    if coding.padding is not None:
        seen &= (stored != coding.padding) & (fitting != coding.padding)
    merged = np.where(seen, fitting, stored).astype(stored.dtype)
    return merged, int(np.count_nonzero(clipped & seen))
