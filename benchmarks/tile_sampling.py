"""Training tile pairs per CPU-second: memory-mapped volumes against DICOM files read per patch.

    PYTHONPATH=. python benchmarks/tile_sampling.py --tiles 20000 --patches 200

Needs `data/demo` as a run leaves it: the DICOM files, the volumes and `tiles.npy`.
The per-patch loop is what much LDCT code does: it opens both DICOM files of a slice for every tile.
Both cut the same tiles, which is checked. One thread, files in the page cache. A pair is a tile of
the quarter and one of the full dose; "fed" counts drawing of the batch, scaling to float32 network
units and clipping as well, as `train_stage` does it.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import torch

from ldct.common.files import read_json
from ldct.common.scaling import Scaling
from ldct.data.tiles import COLUMN, ROW, SLICE, VOLUME, gather_tiles
from ldct.data.volumes import load_volume, read_index
from ldct.devices.choice import limit_threads
from ldct.training.feeding import batch_reader

BATCH = 32
SIZE = 64
PAIR = ("quarter", "full")


def main() -> None:
    """Run the benchmark and print its rates."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", type=Path, default=Path("data/demo"), help="data folder")
    parser.add_argument("--tiles", type=int, default=20_000, help="tile pairs cut from volumes")
    parser.add_argument("--patches", type=int, default=200, help="tile pairs cut from DICOM files")
    options = parser.parse_args()
    limit_threads(1)
    table = np.load(options.dataset / "tiles.npy")
    patients = read_json(options.dataset / "tiles.npy.provenance.json")["settings"]["volumes"]
    volumes = [load_volume(options.dataset / "volumes" / patient) for patient in patients]
    index = read_index(options.dataset / "index.parquet").set_index(["patient", "slice"])
    drawn = np.random.default_rng(0).choice(table, max(options.tiles, options.patches))

    def from_volumes(rows: np.ndarray) -> np.ndarray:
        return np.stack(
            [gather_tiles([getattr(v, dose) for v in volumes], rows, SIZE) for dose in PAIR]
        )

    def from_dicom(row: np.ndarray) -> np.ndarray:
        entry = index.loc[(patients[row[VOLUME]], row[SLICE])]
        window = np.s_[row[ROW] : row[ROW] + SIZE, row[COLUMN] : row[COLUMN] + SIZE]
        return np.stack(
            [hu_of(options.dataset / "dicom" / entry[f"{dose}_path"])[window] for dose in PAIR]
        )

    batches = np.array_split(drawn[: options.tiles], max(options.tiles // BATCH, 1))
    check_equal(from_volumes(drawn[:BATCH]), [from_dicom(row) for row in drawn[:BATCH]])
    ours = options.tiles / cpu_seconds(lambda: [from_volumes(rows) for rows in batches])
    stage = {"recipe": {"batch": BATCH}, "tile_size": SIZE, "target": "image"}
    scaling = Scaling(-160.0, 240.0, clip=True)
    read = batch_reader(stage, volumes, table, scaling, [], 0, torch.device("cpu"))
    fed = options.tiles / cpu_seconds(lambda: [read("generator", n) for n in range(len(batches))])
    naive_rows = drawn[: options.patches]
    naive = options.patches / cpu_seconds(lambda: [from_dicom(row) for row in naive_rows])
    for label, rate in (
        ("gathered from memory-mapped volumes", ours),
        ("fed: gathered, scaled, clipped", fed),
        ("two DICOM files per patch", naive),
    ):
        print(f"{label:36}{rate:9.0f} pairs per CPU-s ({2 * rate:.0f} tiles)")
    print(f"ratio {ours / naive:.0f} gathered, {fed / naive:.0f} fed (batches of {BATCH})")


def hu_of(path: Path) -> np.ndarray:
    """Pixels of one DICOM file in HU, read whole."""
    dataset = pydicom.dcmread(path)
    return dataset.pixel_array * dataset.RescaleSlope + dataset.RescaleIntercept


def check_equal(ours: np.ndarray, naive: list[np.ndarray]) -> None:
    """Stop where the two ways do not give the same tiles."""
    if not np.array_equal(ours.swapaxes(0, 1), np.stack(naive)):
        raise SystemExit("the two ways cut different tiles: make the volumes again")


def cpu_seconds(function: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    started = time.process_time()
    function()
    return time.process_time() - started


if __name__ == "__main__":
    main()
