"""Files of the texture lab: squares of a test set, measures and spectra of one prediction."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ldct.errors import InputError
from ldct.evaluation.texture import (
    MEASURES,
    SIDES_PX,
    choose_squares,
    halves_distance,
    measure_texture,
    n_measured,
)
from ldct.files import atomic_path, write_json
from ldct.inputs import open_array, read_frame, read_volume_info
from ldct.provenance import write_record

KEYS = ["method", "seed", "patient", "slice_index", "z_mm"]
COLUMNS = [*KEYS, "n_squares", *MEASURES, "reason"]


def write_references(
    test_folders: Sequence[Path], window: tuple[float, float], output: Path
) -> None:
    """Choose the squares of a test set, and measure NDCT and LDCT in them.

    window : HU that networks see. Writes into the folder `output`: squares.parquet
    (`choose_squares`), squares.json (side, counts, the share of LDCT pixels in the squares that lie
    outside the window, and the mean texture distance between halves of NDCT's own squares) and
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
    side = int(squares["side"].iat[0]) if len(squares) else SIDES_PX[-1]
    outside, halves = [], []
    for folder, volume in volumes.items():
        own = squares[squares["patient"] == volume["patient"]]
        outside.append(_share_outside(open_array(folder / "quarter.npy"), own, window))
        pixel_mm = tuple(volume["pixel_mm"])
        halves.append(halves_distance(full[volume["patient"]], own, side, pixel_mm))
        for method, name in (("ndct", "full.npy"), ("ldct", "quarter.npy")):
            target = output / method / "fixed" / f"{volume['patient']}.parquet"
            write_texture(folder / name, folder, squares_path, target, method, 0)
    distances = np.concatenate(halves)
    facts = {
        "side_px": side,
        "n_squares": n_measured(squares[squares["flat"]]),
        "n_difference_squares": n_measured(squares),
        "window_hu": list(window),
        "ldct_share_outside_window": float(np.mean(outside)),
        "ndct_halves_distance": float(distances.mean()) if len(distances) else None,
    }
    write_json(facts_path, facts)
    for path in (squares_path, facts_path):
        inputs = [folder / "full.npy" for folder in test_folders]
        write_record(path, inputs=inputs, settings={"window": list(window)}, started=started)


def _share_outside(
    image_hu: np.ndarray, squares: pd.DataFrame, window: tuple[float, float]
) -> float:
    """Share of pixels in flat squares that lie outside a window; 0 where there is no square."""
    total = 0.0
    flat = squares[squares["flat"]]
    for square in flat.itertuples():
        patch = image_hu[
            square.row,
            square.top : square.top + square.side,
            square.left : square.left + square.side,
        ]
        total += np.mean((patch < window[0]) | (patch > window[1]))
    return float(total / max(1, len(flat)))


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
    """
    started = time.perf_counter()
    volume = read_volume_info(test_folder)
    squares = read_frame(squares_path)
    side = int(squares["side"].iat[0]) if len(squares) else SIDES_PX[-1]
    squares = squares[squares["patient"] == volume["patient"]]
    pixel_mm = tuple(volume["pixel_mm"])
    ndct = open_array(test_folder / "full.npy")
    image = open_array(image_path)
    if image.shape != ndct.shape:
        raise InputError(
            f"{image_path}: found shape {image.shape}, expected {ndct.shape} as in "
            f"{test_folder / 'full.npy'}; predict this test set again"
        )
    frame, arrays = measure_texture(image, ndct, squares, side, pixel_mm)
    place = {
        "method": method,
        "seed": seed,
        "patient": volume["patient"],
        "slice_index": volume["slice_index"],
        "z_mm": volume["z_mm"],
    }
    with atomic_path(output_parquet) as temporary:
        frame.assign(**place)[COLUMNS].to_parquet(temporary, index=False)
    arrays |= {"pixel_mm": np.array(pixel_mm), "side": np.array(side)}
    arrays["slice_index"] = np.array(volume["slice_index"])[arrays["row"]]
    output_npz = output_parquet.with_suffix(".npz")
    with atomic_path(output_npz) as temporary:
        np.savez(temporary, **arrays)
    for output in (output_parquet, output_npz):
        write_record(
            output,
            inputs=[
                image_path,
                test_folder / "full.npy",
                test_folder / "volume.json",
                squares_path,
            ],
            settings={"method": method, "seed": seed, "side_px": side},
            started=started,
        )
