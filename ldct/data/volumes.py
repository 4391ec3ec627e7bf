"""Volumes: both doses of one patient as memory-mapped int16 HU arrays with their geometry."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ldct.common.errors import InputError
from ldct.common.files import atomic_folder, create_array, write_json
from ldct.common.inputs import open_array, read_frame, read_volume_info
from ldct.common.progress import track
from ldct.data.dicom.naming import DOSES, FULL, QUARTER
from ldct.data.orientation import orientation_keys

if TYPE_CHECKING:
    import pandas as pd

    from ldct.data.dose.modulation import Exposure

INDEX_COLUMNS = ("patient", "slice", "full_path")
# Keys of volume.json with one entry a slice.
PER_SLICE = ("slice_index", "z_mm", "instance", "corner_mm")


@dataclass(frozen=True)
class Volume:
    """full, quarter : int16 HU in [-1024, 3071], `[slice, row, column]`, read-only memory maps,
    slices by ascending z. info : the content of `volume.json`."""

    full: np.ndarray
    quarter: np.ndarray
    info: dict[str, Any]


def read_index(path: str | Path) -> "pd.DataFrame":
    """`index.parquet` as a table; InputError when it is not there or is none."""
    return read_frame(path, INDEX_COLUMNS)


def write_volume(
    index: "pd.DataFrame",
    root: str | Path,
    patient: str,
    dataset: str,
    folder: str | Path,
    simulate: Mapping[str, Any] | None = None,
    workers: int = 1,
) -> dict[str, Any]:
    """Write `full.npy`, `quarter.npy` and `volume.json` of one patient into `folder`, atomically.

    index : the table of `index.parquet`; its paths are relative to `root`.
    simulate : `dose_fraction`, `noise_ratio` and `seed` where the quarter dose is to be simulated,
        in `workers` threads. Returns the content of `volume.json`.

    Raises InputError when the index has no such patient, when the pixels of a file are not those
    the index was made from, or when the quarter dose cannot be simulated.
    """
    rows = index[index["patient"] == patient].sort_values("slice")
    if rows.empty:
        known = ", ".join(sorted(index["patient"].unique()))
        raise InputError(f"index: no slices of patient {patient}; it has {known}")
    if not simulate and f"{QUARTER}_path" not in rows:
        raise InputError("index: no quarter dose, since it was made with `simulate`; index again")
    first = rows.iloc[0]
    info = {
        "patient": patient,
        "dataset": dataset,
        "slice_index": [int(value) for value in rows["slice"]],
        "z_mm": [float(value) for value in rows["z_mm"]],
        "instance": [int(value) for value in rows["instance"]],
        "origin_mm": [float(first["origin_x_mm"]), float(first["origin_y_mm"])],
        "pixel_mm": [float(first["pixel_mm_row"]), float(first["pixel_mm_column"])],
        "thickness_mm": float(first["thickness_mm"]),
        "kernel": str(first["kernel"]),
        **orientation_keys(rows),
    }
    with atomic_folder(folder) as temporary:
        full = _write_dose(rows, root, FULL, temporary)
        if simulate:
            exposure = _exposure(rows, root, info["thickness_mm"])
            info["simulate"] = _simulate_quarter(full, info, simulate, temporary, workers, exposure)
        else:
            del full  # its mapped pages, before those of the other dose come
            _write_dose(rows, root, QUARTER, temporary)
        write_json(temporary / "volume.json", info)
    return info


def _write_dose(rows: "pd.DataFrame", root: str | Path, dose: str, folder: Path) -> np.ndarray:
    """Write one dose of a patient from DICOM; the array, a memory map."""
    first = rows.iloc[0]
    shape = (len(rows), int(first["rows"]), int(first["columns"]))
    volume = create_array(folder / f"{dose}.npy", shape, np.int16)
    sources = zip(rows[f"{dose}_path"], rows[f"{dose}_sha256"], strict=True)
    progress = track(sources, f"{first['patient']} {dose} dose", len(rows))
    for number, (path, sha256) in enumerate(progress):
        volume[number] = _read_slice(Path(root), path, sha256)
    volume.flush()
    return volume


def _simulate_quarter(
    full: np.ndarray,
    info: Mapping[str, Any],
    simulate: Mapping[str, Any],
    folder: Path,
    workers: int,
    exposure: "Exposure",
) -> dict[str, Any]:
    """Write the simulated quarter dose of a patient; how it was made."""
    from ldct.data.dose.simulate import simulate_patient

    try:
        quarter, photons = simulate_patient(full, info["pixel_mm"], simulate, workers, exposure)
    except InputError as error:
        raise InputError(
            f"data set {info['dataset']}: no quarter dose of {info['patient']} can be simulated: "
            f"{error}; if its files are right, take the patient out of the description"
        ) from None
    np.save(folder / f"{QUARTER}.npy", quarter)
    return {**simulate, "photons": photons}


def _exposure(rows: "pd.DataFrame", root: str | Path, thickness_mm: float) -> "Exposure":
    """What the headers of a patient's full-dose slices say of tube current, mAs and voltage."""
    from ldct.data.dicom.pixels import read_slice
    from ldct.data.dose.modulation import EXPOSURE_TAGS, exposure_of

    headers = [
        {tag: dataset.get(tag) for tag in EXPOSURE_TAGS}
        for dataset, _ in (read_slice(Path(root), path) for path in rows[f"{FULL}_path"])
    ]
    return replace(exposure_of(headers), thickness_mm=thickness_mm)


def load_volume(folder: str | Path) -> Volume:
    """Open the volume of one patient, memory-mapped and read-only.

    Raises InputError when a file is missing or is none, or the shapes do not agree.
    """
    folder = Path(folder)
    full, quarter = (open_array(folder / f"{dose}.npy") for dose in DOSES)
    info = read_volume_info(folder)
    if full.shape != quarter.shape or len(info["z_mm"]) != len(full):
        raise InputError(
            f"{folder}: full.npy has shape {full.shape}, quarter.npy {quarter.shape}, volume.json "
            f"{len(info['z_mm'])} slices; they must agree: delete the folder and make it again"
        )
    return Volume(full, quarter, info)


def neighbour_mean(full: np.ndarray, row: int, info: Mapping[str, Any]) -> np.ndarray | None:
    """Mean of the slices on both sides of one, HU; None in a volume of a single slice.

    They show the same anatomy and none of the slice's own noise: what is chosen on them was not
    chosen for that noise. Where slices overlap they lie a slice thickness away.
    full : [slice, row, column]. info : content of volume.json.
    """
    z_mm = np.asarray(info["z_mm"], dtype=float)
    spacing = float(np.median(np.diff(z_mm))) if len(z_mm) > 1 else np.inf
    away = max(1, int(np.ceil(float(info["thickness_mm"]) / spacing - 0.01)))
    sides = [side for side in (row - away, row + away) if 0 <= side < len(full)]
    return np.mean([full[side] for side in sides], axis=0, dtype=np.float64) if sides else None


def select_slices(
    volume_folder: str | Path,
    regular: Sequence[int],
    folder: str | Path,
    further: Sequence[int] = (),
) -> None:
    """Write the folder of a test set: the given rows of a volume, in ascending order.

    `slice_index` in its `volume.json` names the rows of the volume; `regular` says which of them
    tables of scores are made from: not those that are `further` alone, for lesions or texture.
    When all rows are asked for, the arrays are symbolic links where the system has them.

    Raises InputError for a row that the volume does not have, or for none at all.
    """
    volume_folder = Path(volume_folder)
    volume = load_volume(volume_folder)
    chosen = sorted({*regular, *further})
    count = len(volume.full)
    if not chosen or chosen[0] < 0 or chosen[-1] >= count:
        raise InputError(f"{volume_folder}: rows {chosen} asked for; it has rows 0 to {count - 1}")
    info = volume.info | {
        key: [volume.info[key][row] for row in chosen] for key in PER_SLICE if key in volume.info
    }
    info["regular"] = [row in set(regular) for row in chosen]
    with atomic_folder(folder) as temporary:
        for dose in DOSES:
            target = temporary / f"{dose}.npy"
            if len(chosen) == count:
                source = volume_folder / f"{dose}.npy"
                try:
                    target.symlink_to(os.path.relpath(source.resolve(), Path(folder).resolve()))
                except OSError:
                    shutil.copyfile(source, target)
            else:
                np.save(target, getattr(volume, dose)[chosen])
        write_json(temporary / "volume.json", info)


def _read_slice(root: Path, path: str, sha256: str) -> np.ndarray:
    from ldct.data.dicom.pixels import pixel_digest, read_slice, slice_hu

    try:
        dataset, frame = read_slice(root, path)
        unchanged = pixel_digest(dataset, frame) == sha256
        hu = slice_hu(dataset, frame) if unchanged else None
    except Exception as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(f"{root / path}: cannot be read any more ({why}); index again") from error
    if hu is None:
        raise InputError(
            f"{root / path}: its pixels changed since the index was made; index the data set again"
        )
    return hu
