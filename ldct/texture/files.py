"""Files of the texture lab: squares of a test set, measures and spectra of one prediction."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ldct.common.errors import InputError
from ldct.common.files import atomic_path, write_json
from ldct.common.inputs import open_array, read_frame, read_volume_info
from ldct.common.provenance import write_record
from ldct.texture.measure import (
    MEASURES,
    SIDES_PX,
    choose_squares,
    halves_distance,
    measure_texture,
    n_measured,
)

KEYS = ["method", "seed", "patient", "slice_index", "z_mm"]
COLUMNS = [*KEYS, "n_squares", *MEASURES, "reason"]
# Name and file of the images that are measured beside the methods.
REFERENCES = {"ndct": "full.npy", "ldct": "quarter.npy"}


def write_references(test_folders: Sequence[Path], output: Path) -> None:
    """Choose the squares of a test set, and measure NDCT and LDCT in them.

    Writes into the folder `output`: squares.parquet (`choose_squares`), squares.json (side, number
    of squares, and the mean texture distance between halves of NDCT's own) and
    <ndct, ldct>/fixed/<patient>.{parquet,npz} (`write_texture`).
    """
    started = time.perf_counter()
    volumes = {folder: read_volume_info(folder) for folder in test_folders}
    full = {
        volume["patient"]: open_array(folder / "full.npy") for folder, volume in volumes.items()
    }
    squares = choose_squares(full)
    squares_path, facts_path = output / "squares.parquet", output / "squares.json"
    with atomic_path(squares_path) as temporary:
        squares.to_parquet(temporary, index=False)
    side, halves = _side_of(squares), []
    for folder, volume in volumes.items():
        patient = volume["patient"]
        own = squares[squares["patient"] == patient]
        halves += halves_distance(full[patient], own, side, tuple(volume["pixel_mm"]))
        for method, name in REFERENCES.items():
            target = output / method / "fixed" / f"{patient}.parquet"
            write_texture(folder / name, folder, squares_path, target, method, 0)
    facts = {
        "side_px": side,
        "n_squares": n_measured(squares),
        "ndct_halves_distance": float(np.mean(halves)) if halves else None,
    }
    write_json(facts_path, facts)
    for path in (squares_path, facts_path):
        inputs = [folder / "full.npy" for folder in test_folders]
        write_record(path, inputs=inputs, settings={"side_px": side}, started=started)


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
    started = time.perf_counter()
    volume = read_volume_info(test_folder)
    squares = read_frame(squares_path)
    side = _side_of(squares)
    squares = squares[squares["patient"] == volume["patient"]]
    pixel_mm = tuple(volume["pixel_mm"])
    ndct, image = open_array(test_folder / "full.npy"), open_array(image_path)
    if image.shape != ndct.shape:
        raise InputError(
            f"{image_path}: found shape {image.shape}, expected {ndct.shape} as in "
            f"{test_folder / 'full.npy'}; predict this test set again"
        )
    frame, arrays = measure_texture(image, ndct, squares, side, pixel_mm)
    place = {key: volume[key] for key in ("patient", "slice_index", "z_mm")}
    with atomic_path(output_parquet) as temporary:
        frame = frame.assign(method=method, seed=seed, **place)
        frame[COLUMNS].to_parquet(temporary, index=False)
    arrays |= {"pixel_mm": np.array(pixel_mm), "side": np.array(side)}
    arrays["slice_index"] = np.array(volume["slice_index"])[arrays["row"]]
    output_npz = output_parquet.with_suffix(".npz")
    with atomic_path(output_npz) as temporary:
        np.savez(temporary, **arrays)
    inputs = [image_path, test_folder / "full.npy", test_folder / "volume.json", squares_path]
    settings = {"method": method, "seed": seed, "side_px": side}
    for output in (output_parquet, output_npz):
        write_record(output, inputs=inputs, settings=settings, started=started)


def _side_of(squares: pd.DataFrame) -> int:
    return int(squares["side"].iat[0]) if len(squares) else SIDES_PX[-1]
