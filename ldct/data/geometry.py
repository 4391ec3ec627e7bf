"""Between pixels and patient coordinates: the one place for both directions."""

from collections.abc import Mapping
from typing import Any

import numpy as np

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def to_mm(info: Mapping[str, Any], column: Any, row: Any) -> tuple[Any, Any]:
    """x and y in mm (patient coordinates) of pixels; numbers or arrays.

    info : content of `volume.json`: `origin_mm` (x and y of pixel 0, 0), `pixel_mm` (of rows, of
        columns), and `orientation` (ImageOrientationPatient) where the plane is not plainly axial.
    """
    steps, (x0, y0) = _steps_mm(info), info["origin_mm"]
    return (x0 + steps[0, 0] * column + steps[0, 1] * row), (
        y0 + steps[1, 0] * column + steps[1, 1] * row
    )


def to_pixels(info: Mapping[str, Any], x_mm: float, y_mm: float) -> tuple[float, float]:
    """Column and row of a point in patient coordinates, counted from 0; the inverse of `to_mm`."""
    offset = np.array([x_mm, y_mm]) - info["origin_mm"]
    column, row = np.linalg.solve(_steps_mm(info)[:2], offset)
    return float(column), float(row)


def slice_position(info: Mapping[str, Any], x_mm: float, y_mm: float, z_mm: float) -> float:
    """Position, as `volume.json` lists it, of the slice through a point in patient coordinates.

    In a tilted plane z changes within the slice.
    """
    return float(z_mm - _steps_mm(info)[2] @ to_pixels(info, x_mm, y_mm))


def _steps_mm(info: Mapping[str, Any]) -> np.ndarray:
    """x, y, z in mm [axis, step] of one step to the next column, and to the next row."""
    directions = np.reshape(info.get("orientation") or AXIAL, (2, 3)).astype(float)
    row_mm, column_mm = info["pixel_mm"]
    return directions.T * [column_mm, row_mm]
