"""The plane of a slice, from ImageOrientationPatient, and what `volume.json` says of it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
COSINE_TOLERANCE = 1e-3
ACROSS = ("sagittal", "coronal", "axial")  # slices across the x, y and z axis


def normal(orientation: Sequence[float]) -> np.ndarray:
    """Direction across a slice, turned so that it ascends in z; unit vector (x, y, z)."""
    across = np.cross(orientation[:3], orientation[3:])
    return -across if across[2] < 0 else across


def plane(orientation: Sequence[float]) -> str:
    """`axial`, `coronal` or `sagittal`, whichever is nearest; empty where it is no orientation.

    >>> plane(AXIAL), plane((-1, 0, 0, 0, -1, 0)), plane((1, 0, 0, 0, 0, -1))
    ('axial', 'axial', 'coronal')
    """
    row, column = np.reshape(np.asarray(orientation, float), (2, 3))
    if not np.allclose([row @ row, column @ column, row @ column], [1, 1, 0], rtol=0, atol=0.01):
        return ""
    return ACROSS[int(np.argmax(np.abs(normal(orientation))))]


def is_tilted(orientation: Sequence[float]) -> bool:
    """Whether rows or columns leave the plane of equal z, as with a tilted gantry."""
    return max(abs(orientation[2]), abs(orientation[5])) > COSINE_TOLERANCE


def along_normal(position_mm: Sequence[float], orientation: Sequence[float]) -> float:
    """Position of a slice across its plane, in mm: z, but for tilted slices."""
    if not is_tilted(orientation):
        return position_mm[2]
    return float(normal(orientation) @ np.asarray(position_mm))


def orientation_keys(rows: "pd.DataFrame") -> dict[str, Any]:
    """Keys of `volume.json` for one patient's rows of the index; none for the axial identity.

    orientation : cosines of rows and columns. corner_mm : (x, y) of the first pixel of every slice,
    where it moves from slice to slice.
    """
    orientation = rows.iloc[0].get("orientation", AXIAL)
    if np.allclose(orientation, AXIAL, rtol=0, atol=COSINE_TOLERANCE):
        return {}
    keys: dict[str, Any] = {"orientation": [float(value) for value in orientation]}
    corners = rows[["origin_x_mm", "origin_y_mm"]].to_numpy(float)
    if np.any(corners != corners[0]):
        keys["corner_mm"] = corners.tolist()
    return keys
