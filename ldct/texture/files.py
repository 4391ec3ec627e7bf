"""Files of the texture lab: squares of a test set, measures and spectra of one prediction."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ldct.common.files import atomic_path, write_frame, write_json
from ldct.common.inputs import open_array, open_prediction, read_frame, read_volume_info
from ldct.common.provenance import recorded
from ldct.common.run_files import FIXED, REFERENCES
from ldct.metrics.tissues import SOFT_TISSUE_HU
from ldct.texture.columns import TEXTURE
from ldct.texture.measure import (
    SIDES_PX,
    choose_squares,
    halves_distance,
    measure_texture,
    n_measured,
)

COLUMNS = ["method", "seed", "patient", "slice_index", "z_mm", *TEXTURE, "reason"]


def write_references(test_folders: Sequence[Path], output: Path) -> None:
    """Choose the squares of a test set, and measure NDCT and LDCT in them.

    Writes into the folder `output`: squares.parquet (`choose_squares`), squares.json (side, number
    of squares, the mean texture distance between halves of NDCT's own, and slices left out) and
    <ndct, ldct>/fixed/<patient>.{parquet,npz} (`write_texture`).
    """
    volumes = {folder: read_volume_info(folder) for folder in test_folders}
    full = {
        volume["patient"]: open_array(folder / "full.npy") for folder, volume in volumes.items()
    }
    squares_path, facts_path = output / "squares.parquet", output / "squares.json"
    equal = {
        volume["patient"]: _equal_rows(folder, full[volume["patient"]])
        for folder, volume in volumes.items()
    }
    inputs = [folder / name for folder in test_folders for name in REFERENCES.values()]
    with recorded([squares_path, facts_path], inputs, {"sides_px": SIDES_PX}):
        squares = choose_squares(full, equal)
        write_frame(squares_path, squares)
        side, halves = _side_of(squares), []
        for volume in volumes.values():
            patient, pixel_mm = volume["patient"], tuple(volume["pixel_mm"])
            own = squares[squares["patient"] == patient]
            halves += halves_distance(full[patient], own, side, pixel_mm)
        facts = {
            "side_px": side,
            "n_squares": n_measured(squares),
            "ndct_halves_distance": float(np.mean(halves)) if halves else None,
            "equal_slices": {
                volume["patient"]: [volume["slice_index"][row] for row in equal[volume["patient"]]]
                for volume in volumes.values()
            },
        }
        write_json(facts_path, facts)
    for folder, volume in volumes.items():
        for method, name in REFERENCES.items():
            target = output / method / FIXED / f"{volume['patient']}.parquet"
            write_texture(folder / name, folder, squares_path, target, method, 0)


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
        own = squares[squares["patient"] == volume["patient"]]
        frame, arrays = measure_texture(image, ndct, own, side, pixel_mm)
        place = {key: volume[key] for key in ("patient", "slice_index", "z_mm")}
        frame = frame.assign(method=method, seed=seed, **place)
        write_frame(output_parquet, frame[COLUMNS])
        arrays |= {"pixel_mm": np.array(pixel_mm), "side": np.array(side)}
        arrays["slice_index"] = np.array(volume["slice_index"])[arrays["row"]]
        with atomic_path(output_npz) as temporary:
            np.savez(temporary, **arrays)


def _equal_rows(folder: Path, ndct: np.ndarray) -> list[int]:
    """Rows in which both doses are equal, or are so in all soft tissue."""
    ldct, _ = open_prediction(folder / "quarter.npy", folder)
    rows = []
    for row, image in enumerate(ndct):
        same = ldct[row] == image
        tissue = (image >= SOFT_TISSUE_HU[0]) & (image <= SOFT_TISSUE_HU[1])
        if same.all() or (tissue.any() and same[tissue].all()):
            rows.append(row)
    return rows


def _side_of(squares: pd.DataFrame) -> int:
    return int(squares["side"].iat[0]) if len(squares) else SIDES_PX[-1]
