"""Lesions: one table, one row per lesion and slice, whatever the annotation came as."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ldct.common.errors import InputError
from ldct.common.files import atomic_path

LESION_COLUMNS = (
    "patient",
    "lesion",
    "z_mm",
    "x_mm",
    "y_mm",
    "diameter_mm",
    "label",
    "source",
)
NUMBER_COLUMNS = ("z_mm", "x_mm", "y_mm", "diameter_mm")
NEUTRAL_COLUMNS = (
    "patient_id",
    "lesion_id",
    "x",
    "y",
    "z",
    "unit",
    "slice_ref",
    "diameter_mm",
    "label",
)
UNITS = ("mm", "px")
SLICE_REFERENCES = ("z_mm", "instance", "index_asc")
POSITION_TOLERANCE_MM = 1e-3  # positions are rounded in DICOM headers


def read_lesions(path: str | Path) -> pd.DataFrame:
    """`lesions.csv` as a table with LESION_COLUMNS; lengths in mm, patient coordinates.

    Raises InputError naming the column when one is missing, or the line of a bad number.
    """
    table = _read_table(path, LESION_COLUMNS)
    for column in NUMBER_COLUMNS:
        table[column] = [
            _number(path, line, column, text) for line, text in enumerate(table[column], start=2)
        ]
    return table


def write_lesions(lesions: pd.DataFrame, path: str | Path) -> None:
    """Write `lesions.csv` atomically; an empty table gives a file with the header alone."""
    with atomic_path(path) as temporary:
        lesions.to_csv(temporary, index=False, columns=list(LESION_COLUMNS))


def convert_neutral_csv(
    path: str | Path, geometry: Mapping[str, Mapping[str, Any]]
) -> pd.DataFrame:
    """Rows of the neutral CSV (docs/data.md, Lesions) as rows of `lesions.csv`, one for one.

    path : columns `patient_id, lesion_id, x, y, z, unit, slice_ref, diameter_mm, label`.
        unit: `mm` (patient coordinates) or `px` (x = column, y = row, counted from 0), of x and
        y. slice_ref: how z names the slice: `z_mm` (position), `instance` (InstanceNumber) or
        `index_asc` (0 = lowest z). A lesion on several slices has several rows.
    geometry : patient -> content of its `volume.json`.

    Raises InputError naming the file, the line and the column of the first bad value.
    """
    table = _read_table(path, NEUTRAL_COLUMNS)
    rows = []
    for line, entry in enumerate(table.to_dict("records"), start=2):
        if entry["patient_id"] not in geometry:
            raise _bad(path, line, "patient_id", entry["patient_id"], f"one of {list(geometry)}")
        info = geometry[entry["patient_id"]]
        row = _neutral_slice(path, line, entry, info)
        x, y = _neutral_position(path, line, entry, info)
        rows.append(
            {
                "patient": entry["patient_id"],
                "lesion": entry["lesion_id"],
                "z_mm": info["z_mm"][row],
                "x_mm": x,
                "y_mm": y,
                "diameter_mm": _number(path, line, "diameter_mm", entry["diameter_mm"], above=0),
                "label": entry["label"],
                "source": Path(path).name,
            }
        )
    return pd.DataFrame(rows, columns=list(LESION_COLUMNS))


def lesion_slices(lesions: pd.DataFrame, volume_info: Mapping[str, Any]) -> list[int]:
    """Rows of a volume (0-based, ascending) on which its patient has a lesion.

    A lesion belongs to the nearest slice if that is within half the slice spacing.
    volume_info : content of `volume.json`.
    """
    own = lesions[lesions["patient"] == volume_info["patient"]]
    rows = (nearest_slice(volume_info, z) for z in own["z_mm"])
    return sorted({row for row in rows if row is not None})


def nearest_slice(volume_info: Mapping[str, Any], z_mm: float) -> int | None:
    """Row of the slice nearest to `z_mm`; None when it is further than half the spacing.

    volume_info : content of `volume.json` of a volume or of a test-set folder. Its `slice_index`
        gives the spacing of the patient's slices also where some were left out.
    """
    positions = np.asarray(volume_info["z_mm"], dtype=float)
    spacing = float(volume_info["thickness_mm"])
    if len(positions) > 1:
        spacing = float(np.median(np.diff(positions) / np.diff(volume_info["slice_index"])))
    row = int(np.argmin(np.abs(positions - z_mm)))
    return row if abs(positions[row] - z_mm) <= spacing / 2 + POSITION_TOLERANCE_MM else None


def _read_table(path: str | Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """A CSV with all of `columns`, every cell as text."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such lesion file") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a CSV table ({' '.join(str(error).split())})") from error
    missing = [column for column in columns if column not in table]
    if missing:
        raise InputError(
            f"{path}: column {', '.join(missing)} is missing; expected {', '.join(columns)}"
        )
    return table[list(columns)]


def _neutral_slice(
    path: str | Path, line: int, entry: Mapping[str, str], info: Mapping[str, Any]
) -> int:
    """Row of the volume that one neutral row names."""
    reference = entry["slice_ref"]
    if reference not in SLICE_REFERENCES:
        raise _bad(path, line, "slice_ref", reference, f"one of {', '.join(SLICE_REFERENCES)}")
    z = _number(path, line, "z", entry["z"])
    if reference == "z_mm":
        row = nearest_slice(info, z)
        expected = f"a position within half a slice of {info['z_mm'][0]} to {info['z_mm'][-1]} mm"
    else:
        names = info.get("instance" if reference == "instance" else "slice_index", [])
        row = names.index(int(z)) if z == int(z) and int(z) in names else None
        expected = f"a slice of the volume counted as {reference}"
    if row is None:
        raise _bad(path, line, "z", entry["z"], expected)
    return row


def _neutral_position(
    path: str | Path, line: int, entry: Mapping[str, str], info: Mapping[str, Any]
) -> tuple[float, float]:
    """x and y in mm, patient coordinates."""
    if entry["unit"] not in UNITS:
        raise _bad(path, line, "unit", entry["unit"], f"one of {', '.join(UNITS)}")
    x, y = (_number(path, line, axis, entry[axis]) for axis in "xy")
    if entry["unit"] == "mm":
        return x, y
    row_mm, column_mm = info["pixel_mm"]
    return info["origin_mm"][0] + x * column_mm, info["origin_mm"][1] + y * row_mm


def _number(
    path: str | Path, line: int, column: str, text: str, above: float | None = None
) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value) or (above is not None and value <= above):
        expected = "a number" if above is None else f"a number above {above:g}"
        raise _bad(path, line, column, text, expected)
    return value


def _bad(path: str | Path, line: int, column: str, found: str, expected: str) -> InputError:
    return InputError(f"{path}, line {line}, column {column}: found {found!r}, expected {expected}")
