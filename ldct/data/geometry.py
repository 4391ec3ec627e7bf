"""Between pixels and patient coordinates: the one place for both directions."""

from collections.abc import Mapping
from typing import Any

import numpy as np

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
COSINE_TOLERANCE = 1e-3


def to_mm(info: Mapping[str, Any], column: Any, row: Any, z_mm: float) -> tuple[Any, Any]:
    """x and y in mm (patient coordinates) of pixels; numbers or arrays.

    info : content of `volume.json`: `origin_mm` (x and y of pixel 0, 0), `pixel_mm` (of rows, of
        columns); where the plane is not plainly axial, `orientation` (ImageOrientationPatient) and,
        where it moves, `corner_mm` (that pixel in every slice).
    z_mm : position of the slice, as `volume.json` lists it.
    """
    (x0, y0), steps = _corner(info, z_mm), _steps_mm(info)
    return (
        x0 + steps[0, 0] * column + steps[0, 1] * row,
        y0 + steps[1, 0] * column + steps[1, 1] * row,
    )


def to_pixels(
    info: Mapping[str, Any], x_mm: float, y_mm: float, z_mm: float
) -> tuple[float, float]:
    """Column and row of a point in patient coordinates, counted from 0; the inverse of `to_mm`."""
    offset = np.subtract([x_mm, y_mm], _corner(info, z_mm))
    column, row = np.linalg.solve(_steps_mm(info), offset)
    return float(column), float(row)


def slice_position(info: Mapping[str, Any], x_mm: float, y_mm: float, z_mm: float) -> float:
    """Position, as `volume.json` lists it, of the slice through a point in patient coordinates.

    It is z, and in a tilted plane, where z changes within the slice, the position across it.
    """
    across_rows, across_columns = np.reshape(info.get("orientation", AXIAL), (2, 3))
    if max(abs(across_rows[2]), abs(across_columns[2])) <= COSINE_TOLERANCE:
        return z_mm
    normal = np.cross(across_rows, across_columns)
    return float(np.sign(normal[2]) * normal @ [x_mm, y_mm, z_mm])


def _corner(info: Mapping[str, Any], z_mm: float) -> tuple[float, float]:
    if "corner_mm" not in info:
        return info["origin_mm"]
    return info["corner_mm"][int(np.argmin(np.abs(np.subtract(info["z_mm"], z_mm))))]


def _steps_mm(info: Mapping[str, Any]) -> np.ndarray:
    """x and y in mm [axis, step] of one step to the next column, and to the next row."""
    directions = np.reshape(info.get("orientation", AXIAL), (2, 3))[:, :2]
    row_mm, column_mm = info["pixel_mm"]
    return directions.T * [column_mm, row_mm]
