"""Files of the texture lab: squares of a test set, measures and spectra of one prediction."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ldct.common.files import atomic_path, write_frame, write_json
from ldct.common.inputs import open_prediction, read_frame, read_volume_info
from ldct.common.provenance import recorded
from ldct.common.run_files import FIXED, REFERENCES, VOLUME_FILES
from ldct.data.volumes import load_volume
from ldct.metrics.tissues import SOFT_TISSUE_HU
from ldct.texture.columns import TEXTURE
from ldct.texture.measure import (
    SIDES_PX,
    choose_squares,
    halves_distance,
    measure_texture,
)

COLUMNS = ["method", "seed", "patient", "slice_index", "z_mm", *TEXTURE, "reason"]


def write_squares(volume_folders: Sequence[Path], n_slices: int, output: Path) -> None:
    """Choose the squares of all test patients on their volumes; parquet of `choose_squares`."""
    inputs = [folder / name for folder in volume_folders for name in VOLUME_FILES]
    with recorded([output], inputs, {"sides_px": SIDES_PX, "slices": n_slices}):
        volumes = [load_volume(folder) for folder in volume_folders]
        found = [(each.full, each.info, _equal_rows(each.quarter, each.full)) for each in volumes]
        write_frame(output, choose_squares(found, n_slices))


def write_references(test_folders: Sequence[Path], squares_path: Path, output: Path) -> None:
    """Measure NDCT and LDCT in the squares of a test set.

    Writes into the folder `output`: squares.json (side, number of squares, the mean texture
    distance between halves of NDCT's own, and slices left out) and
    <ndct, ldct>/fixed/<patient>.{parquet,npz} (`write_texture`).
    """
    facts_path, squares = output / "squares.json", read_frame(squares_path)
    inputs = [folder / name for folder in test_folders for name in REFERENCES.values()]
    with recorded([facts_path], [*inputs, squares_path], {}):
        side, halves, equal = _side_of(squares), [], {}
        for folder in test_folders:
            volume = read_volume_info(folder)
            ldct, ndct = open_prediction(folder / "quarter.npy", folder)
            own, pixel_mm = squares_in(volume, squares), tuple(volume["pixel_mm"])
            halves += halves_distance(ndct, own, side, pixel_mm)
            rows = _equal_rows(ldct, ndct)
            equal[volume["patient"]] = [volume["slice_index"][row] for row in rows]
        facts = {
            "side_px": side,
            "n_squares": len(squares),
            "ndct_halves_distance": float(np.mean(halves)) if halves else None,
            "equal_slices": equal,
        }
        write_json(facts_path, facts)
    for folder in test_folders:
        for method, name in REFERENCES.items():
            target = output / method / FIXED / f"{folder.name}.parquet"
            write_texture(folder / name, folder, squares_path, target, method, 0)


def squares_in(volume: Mapping[str, Any], squares: pd.DataFrame) -> pd.DataFrame:
    """Squares of one patient with `row`, the place of their slice in the test-set folder.

    volume : content of the folder's volume.json.
    """
    rows = {index: row for row, index in enumerate(volume["slice_index"])}
    own = squares[squares["patient"] == volume["patient"]]
    own = own.assign(row=own["slice_index"].map(rows)).dropna(subset="row")
    return own.astype({"row": int})


def write_texture(
    image_path: Path,
    test_folder: Path,
    squares_path: Path,
    output_parquet: Path,
    method: str,
    seed: int,
) -> None:
    """Measure one patient's images and write `<output>.parquet` and, beside it, `<output>.npz`.

    image_path : .npy of the test set's shape, HU. test_folder : with full.npy and volume.json.
    squares_path : as `choose_squares` returns it, parquet. Columns of the parquet: COLUMNS; arrays
    of the .npz: those of `measure_texture`, and pixel_mm, side and slice_index.
    Raises InputError where the images have another shape than the test set.
    """
    volume, squares = read_volume_info(test_folder), read_frame(squares_path)
    side, pixel_mm = _side_of(squares), tuple(volume["pixel_mm"])
    image, ndct = open_prediction(image_path, test_folder)
    output_npz = output_parquet.with_suffix(".npz")
    inputs = [image_path, test_folder / "full.npy", test_folder / "volume.json", squares_path]
    settings = {"method": method, "seed": seed, "side_px": side}
    with recorded([output_parquet, output_npz], inputs, settings):
        own = squares_in(volume, squares)
        frame, arrays = measure_texture(image, ndct, own, side, pixel_mm)
        place = {key: volume[key] for key in ("patient", "slice_index", "z_mm")}
        frame = frame.assign(method=method, seed=seed, **place)
        write_frame(output_parquet, frame[COLUMNS])
        arrays |= {"pixel_mm": np.array(pixel_mm), "side": np.array(side)}
        arrays["slice_index"] = np.array(volume["slice_index"])[arrays["row"]]
        with atomic_path(output_npz) as temporary:
            np.savez(temporary, **arrays)


def _equal_rows(ldct: np.ndarray, ndct: np.ndarray) -> list[int]:
    """Rows in which both doses are equal, or are so in all soft tissue."""
    rows = []
    for row, image in enumerate(ndct):
        same = ldct[row] == image
        tissue = (image >= SOFT_TISSUE_HU[0]) & (image <= SOFT_TISSUE_HU[1])
        if same.all() or (tissue.any() and same[tissue].all()):
            rows.append(row)
    return rows


def _side_of(squares: pd.DataFrame) -> int:
    return int(squares["side"].iat[0]) if len(squares) else SIDES_PX[-1]
