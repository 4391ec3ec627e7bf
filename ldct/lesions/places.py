"""Where annotated lesions lie in a test-set folder: slice, centre, and the crop around them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ldct.data.geometry import to_pixels
from ldct.data.lesions import nearest_slice, read_lesions
from ldct.rendering.slices import Roi

MIN_CROP_PX = 64
CROP_DIAMETERS = 3.0


def lesion_rows(lesions: pd.DataFrame, info: Mapping[str, Any]) -> list[tuple[dict[str, Any], int]]:
    """Lesions of one patient with the row of the test-set folder that shows each.

    A slice shows a lesion when its z lies within half the spacing of the patient's slices.
    info : content of the folder's `volume.json`.
    """
    own = lesions[lesions["patient"].astype(str) == str(info["patient"])]
    found = [
        (lesion, nearest_slice(info, lesion["z_mm"]))
        for lesion in own.sort_values(["lesion", "z_mm"]).to_dict("records")
    ]
    return [(lesion, row) for lesion, row in found if row is not None]


def lesion_roi(
    lesion: Mapping[str, Any],
    info: Mapping[str, Any],
    shape: tuple[int, int],
    smallest_px: int = MIN_CROP_PX,
) -> Roi:
    """Square around a lesion as (top, bottom, left, right): 3 diameters, at least `smallest_px`.

    Moved inside the image where the lesion is near its edge, and cut to a smaller image.
    """
    side = CROP_DIAMETERS * lesion["diameter_mm"] / min(info["pixel_mm"])
    size = np.minimum(max(smallest_px, int(np.ceil(side))), shape)
    centre = np.array(lesion_centre(lesion, info))
    first = np.clip(np.rint(centre - (size - 1) / 2), 0, np.array(shape) - size).astype(int)
    (top, left), (rows, columns) = first.tolist(), size.tolist()
    return top, top + rows, left, left + columns


def lesion_centre(lesion: Mapping[str, Any], info: Mapping[str, Any]) -> tuple[float, float]:
    """Row and column of a lesion's centre, in pixels.

    >>> info = {"origin_mm": [-10.0, 5.0], "pixel_mm": [0.5, 0.8]}
    >>> lesion_centre({"x_mm": -2.0, "y_mm": 6.0, "z_mm": 0.0}, info)
    (2.0, 10.0)
    """
    column, row = to_pixels(info, *(lesion[f"{axis}_mm"] for axis in "xyz"))
    return row, column


def largest_lesion(
    lesions_csv: str | Path, infos: Sequence[Mapping[str, Any]]
) -> tuple[dict[str, Any], int] | None:
    """The middle slice of the lesion with the largest diameter in the test set, by rule.

    infos : volume.json of each test-set folder. Returns the lesion's row of the table and the row
        of its patient's test-set folder; None when no lesion slice is in the test set.
    """
    lesions = read_lesions(lesions_csv)
    found = [match for info in infos for match in lesion_rows(lesions, info)]
    if not found:
        return None
    largest = max((lesion for lesion, _ in found), key=lambda lesion: lesion["diameter_mm"])
    names = ("patient", "lesion")
    slices = [m for m in found if all(m[0][name] == largest[name] for name in names)]
    return slices[len(slices) // 2]
