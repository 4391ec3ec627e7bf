"""Lesions: one table, one row per lesion and slice, whatever the annotation came as."""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ldct.common.files import atomic_path
from ldct.data.geometry import slice_position, to_mm, to_pixels
from ldct.data.spreadsheet import Row, read_sheet

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
LUNA_COLUMNS = ("seriesuid", "coordX", "coordY", "coordZ", "diameter_mm")
SAFE_NAME = re.compile(r"\w[\w .-]{0,63}")
UNITS = ("mm", "px")
SLICE_REFERENCES = ("z_mm", "instance", "index_asc")
AIR_HU, TINY_MM = -950.0, 3.0
POSITION_TOLERANCE_MM = 1e-3  # positions are rounded in DICOM headers


def read_lesions(path: str | Path) -> pd.DataFrame:
    """`lesions.csv` as a table with LESION_COLUMNS; lengths in mm, patient coordinates.

    Raises InputError naming the column when one is missing, or the line of a bad number.
    """
    _, rows = read_sheet(path, LESION_COLUMNS)
    numbers = ({name: row.number(name) for name in NUMBER_COLUMNS} for row in rows)
    table = [{**row.cells, **own} for row, own in zip(rows, numbers, strict=True)]
    return pd.DataFrame(table, columns=list(LESION_COLUMNS))


def write_lesions(lesions: pd.DataFrame, path: str | Path) -> None:
    """Write `lesions.csv` atomically; an empty table gives a file with the header alone."""
    with atomic_path(path) as temporary:
        lesions.to_csv(temporary, index=False, columns=list(LESION_COLUMNS))


def convert_neutral_csv(
    path: str | Path,
    geometry: Mapping[str, Mapping[str, Any]],
    origins: Mapping[str, str] | None = None,
    left_out: Collection[str] = (),
) -> pd.DataFrame:
    """Rows of a lesion list (docs/data.md, Lesions) as rows of `lesions.csv`.

    path : a table, in one of two formats, told by its columns:
        NEUTRAL_COLUMNS. unit: `mm` (patient coordinates) or `px` (x = column, y = row, counted from
        0), of x and y. slice_ref: how z names the slice: `z_mm` (position), `instance`
        (InstanceNumber) or `index_asc` (0 = lowest z). A lesion on several slices has several rows.
        LUNA_COLUMNS: centres in patient coordinates, one row for each nodule, which is taken on its
        middle slice; rows of other series are left out.
    geometry : patient -> content of its `volume.json`, and `shape`, (rows, columns), without which
        it is not checked that lesions lie in the image.
    origins : patient -> public name of its scan, which may stand for it in LUNA's `seriesuid`.
    left_out : patients of the data set that the run does not use; their rows are passed over.

    Raises InputError naming the file, the line and the column of the first bad value, also where a
    lesion does not lie in the image.
    """
    columns, rows = read_sheet(path, NEUTRAL_COLUMNS, LUNA_COLUMNS)
    if columns is NEUTRAL_COLUMNS:
        rows = [row for row in rows if row.cells["patient_id"] not in left_out]
        found = [_from_neutral(row, geometry) for row in rows]
        _check_once(rows, found)
    else:
        found = _from_luna(rows, geometry, origins or {})
    return pd.DataFrame(found, columns=list(LESION_COLUMNS)).assign(source=Path(path).name)


def lesion_slices(lesions: pd.DataFrame, volume_info: Mapping[str, Any]) -> list[int]:
    """Rows of a volume (0-based, ascending) on which its patient has a lesion.

    A lesion belongs to the nearest slice if that is within half the slice spacing.
    volume_info : content of `volume.json`.
    """
    own = lesions[lesions["patient"] == volume_info["patient"]]
    rows = (nearest_slice(volume_info, z) for z in own["z_mm"])
    return sorted({row for row in rows if row is not None})


def doubtful_lesions(
    lesions: pd.DataFrame, info: Mapping[str, Any], ndct_hu: np.ndarray
) -> list[str]:
    """A line for every lesion of a volume that is tiny, or whose circle holds only air on NDCT.

    info : content of `volume.json`. ndct_hu : [slice, row, column], HU.
    """
    lines = []
    for lesion in lesions[lesions["patient"] == info["patient"]].to_dict("records"):
        image = ndct_hu[nearest_slice(info, lesion["z_mm"])]
        column, row = to_pixels(info, *(lesion[f"{axis}_mm"] for axis in "xyz"))
        offsets = np.indices(image.shape) - np.reshape([row, column], (2, 1, 1))
        radii = np.hypot(*(offsets * np.reshape(info["pixel_mm"], (2, 1, 1))))
        named = f"{lesion['source']}: lesion {lesion['lesion']} of {lesion['patient']}"
        if lesion["diameter_mm"] < TINY_MM:
            lines.append(
                f"{named}: found a diameter of {lesion['diameter_mm']:g} mm, expected {TINY_MM:g} "
                "at least; is the unit mm, or cm?"
            )
        mean = float(image[radii <= max(lesion["diameter_mm"] / 2, radii.min())].mean())
        if mean < AIR_HU:
            lines.append(
                f"{named} at {lesion['x_mm']:g}, {lesion['y_mm']:g}, {lesion['z_mm']:g} mm: found "
                f"air ({mean:.0f} HU), expected tissue; is the unit mm, or px?"
            )
    return lines


def nearest_slice(volume_info: Mapping[str, Any], z_mm: float) -> int | None:
    """Row of the slice nearest to `z_mm`; None when it is further than half the spacing.

    volume_info : content of `volume.json` of a volume or of a test-set folder. Its `slice_index`
        gives the spacing of the patient's slices also where some were left out.

    >>> info = {"z_mm": [0.0, 20.0], "slice_index": [0, 10], "thickness_mm": 3.0}
    >>> nearest_slice(info, 19.1), nearest_slice(info, 18.9)
    (1, None)
    """
    positions = np.asarray(volume_info["z_mm"], dtype=float)
    spacing = float(volume_info["thickness_mm"])
    if len(positions) > 1:
        spacing = float(np.median(np.diff(positions) / np.diff(volume_info["slice_index"])))
    row = int(np.argmin(np.abs(positions - z_mm)))
    return row if abs(positions[row] - z_mm) <= spacing / 2 + POSITION_TOLERANCE_MM else None


def outside_image(
    info: Mapping[str, Any], unit: str, x: float, y: float, z_mm: float, diameter_mm: float
) -> tuple[str, str] | None:
    """Why a lesion does not lie in the image: which column is wrong, what was expected.

    info : of a patient, as for `convert_neutral_csv`. unit : of x and y. z_mm : of the slice.
    """
    if "shape" not in info:
        return None
    rows, columns = info["shape"]
    row_mm, column_mm = info["pixel_mm"]
    edges = ((-0.5, columns - 0.5), (-0.5, rows - 0.5))
    radii = (diameter_mm / 2 / column_mm, diameter_mm / 2 / row_mm)
    width = min(columns * column_mm, rows * row_mm)
    place = f"the image of {info['patient']}"
    if diameter_mm > width:
        return "diameter_mm", f"at most {width:g} mm, the width of {place}; is the unit mm?"
    if unit == "mm":
        corners = [to_mm(info, column, row, z_mm) for column in edges[0] for row in edges[1]]
        edges = tuple((min(axis), max(axis)) for axis in zip(*corners, strict=True))
        radii = (diameter_mm / 2, diameter_mm / 2)
    for name, value, (lower, upper), radius in zip("xy", (x, y), edges, radii, strict=True):
        if not lower + radius <= value <= upper - radius:
            other = "mm" if unit == "px" else "mm, or px"
            return name, (
                f"{lower + radius:.1f} to {upper - radius:.1f} {unit}, so that a lesion of "
                f"{diameter_mm:g} mm lies in {place}; is the unit {other}?"
            )
    return None


def _from_neutral(row: Row, geometry: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    cells = row.cells
    if not SAFE_NAME.fullmatch(cells["lesion_id"]):
        raise row.bad("lesion_id", "1 to 64 letters, digits, spaces, _, - and .: it names files")
    if cells["patient_id"] not in geometry:
        raise row.bad("patient_id", f"one of {', '.join(geometry)}")
    if cells["unit"] not in UNITS:
        raise row.bad("unit", f"one of {', '.join(UNITS)}")
    info = geometry[cells["patient_id"]]
    x, y = row.number("x"), row.number("y")
    diameter = row.number("diameter_mm", above=0)
    z_mm = _slice_of(row, info, x, y)
    wrong = outside_image(info, cells["unit"], x, y, z_mm, diameter)
    if wrong:
        raise row.bad(*wrong)
    if cells["unit"] == "px":
        x, y = to_mm(info, x, y, z_mm)
    place = {"z_mm": z_mm, "x_mm": x, "y_mm": y, "diameter_mm": diameter}
    names = {"patient": cells["patient_id"], "lesion": cells["lesion_id"]}
    return names | place | {"label": cells["label"]}


def _check_once(rows: Sequence[Row], found: Sequence[Mapping[str, Any]]) -> None:
    """Raise InputError where a lesion has two rows on a slice: it would count twice in means."""
    lines: dict[tuple[Any, ...], int] = {}
    for row, lesion in zip(rows, found, strict=True):
        place = tuple(lesion[name] for name in ("patient", "lesion", "z_mm"))
        if lines.setdefault(place, row.line) != row.line:
            raise row.bad(
                "lesion_id",
                f"one row for a lesion on a slice: line {lines[place]} is on the same one, at "
                f"{lesion['z_mm']:g} mm; delete one, or give two lesions two names",
            )


def _slice_of(row: Row, info: Mapping[str, Any], x: float, y: float) -> float:
    """Position of the slice that one neutral row names."""
    reference, z = row.cells["slice_ref"], row.number("z")
    if reference not in SLICE_REFERENCES:
        raise row.bad("slice_ref", f"one of {', '.join(SLICE_REFERENCES)}")
    if reference == "z_mm":
        if row.cells["unit"] == "mm":
            z = slice_position(info, x, y, z)
        return _position_of(row, "z", info, z)
    names = info.get("instance" if reference == "instance" else "slice_index", [])
    if z not in names:
        raise row.bad("z", f"a slice of the volume counted as {reference}")
    return info["z_mm"][names.index(z)]


def _position_of(row: Row, column: str, info: Mapping[str, Any], z_mm: float) -> float:
    """Position of the slice nearest to one named in mm."""
    nearest = nearest_slice(info, z_mm)
    if nearest is None:
        first, last = info["z_mm"][0], info["z_mm"][-1]
        raise row.bad(
            column,
            f"a position within half a slice of one of {info['patient']}, which lie from {first:g} "
            f"to {last:g} mm",
        )
    return info["z_mm"][nearest]


def _from_luna(
    rows: list[Row], geometry: Mapping[str, Mapping[str, Any]], origins: Mapping[str, str]
) -> list[dict[str, Any]]:
    patients = dict(zip(geometry, geometry, strict=True))
    patients |= {origin: patient for patient, origin in origins.items()}
    own = [row for row in rows if row.cells["seriesuid"] in patients]
    if rows and not own:
        expected = "a patient, or the `origin` that the data set's description gives one"
        raise rows[0].bad("seriesuid", f"{expected}, in one row at least: {', '.join(patients)}")
    found: list[dict[str, Any]] = []
    for row in own:
        patient = patients[row.cells["seriesuid"]]
        info = geometry[patient]
        x, y, z = (row.number(f"coord{axis}") for axis in "XYZ")
        diameter = row.number("diameter_mm", above=0)
        z_mm = _position_of(row, "coordZ", info, slice_position(info, x, y, z))
        wrong = outside_image(info, "mm", x, y, z_mm, diameter)
        if wrong:
            raise row.bad({"x": "coordX", "y": "coordY"}.get(wrong[0], wrong[0]), wrong[1])
        number = 1 + sum(lesion["patient"] == patient for lesion in found)
        names = {"patient": patient, "lesion": str(number), "label": "nodule"}
        place = {"z_mm": z_mm, "x_mm": x, "y_mm": y, "diameter_mm": diameter}
        found.append(names | place)
    return found
