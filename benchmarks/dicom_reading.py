"""Speed of reading DICOM: headers, index, volumes, against reading every file twice.

    python benchmarks/dicom_reading.py --slices 100 --workers 2

Writes a synthetic patient of 512 x 512 slices, both doses, to a temporary folder and prints
milliseconds a file. The naive way is what much LDCT code does: one whole-file read of every
slice to sort by z and one for the pixels, in one thread.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom

from ldct.data.dicom.aapm_writer import Scan, write_series
from ldct.data.dicom.inventory import index_dataset
from ldct.data.dicom.reading import survey_folder
from ldct.data.volumes import read_index, write_volume

PATIENT = "L901"


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=200, help="slices of each dose")
    parser.add_argument("--workers", type=int, default=2, help="processes for headers and hashes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        measure(Path(name), options.slices, options.workers)


def measure(folder: Path, slices: int, workers: int) -> None:
    """Time writing, surveying, indexing, volumes and the naive way on one synthetic patient."""
    root, index_path = folder / "dicom", folder / "index.parquet"
    description = {
        "title": "benchmark",
        "series": {"thickness_mm": None, "kernel": None},
        "patients": {PATIENT: {"split": "train", "slices": slices}},
    }
    files = 2 * slices
    seconds = {
        "write DICOM": timed(lambda: write_patient(root, slices)),
        "headers": timed(lambda: survey_folder(root, workers)),
        "index (headers, pairs, sha256)": timed(
            lambda: index_dataset(root, description, index_path, folder / "inventory.md", workers)
        ),
    }
    index = read_index(index_path)
    seconds["volume (pixels, sha256 check)"] = timed(
        lambda: write_volume(index, root, PATIENT, "benchmark", folder / "volume")
    )
    seconds["naive: every file read twice"] = timed(lambda: read_twice(root))
    for title, value in seconds.items():
        print(f"{title:34s} {value:7.2f} s {1000 * value / files:7.2f} ms/file", end="")
        print(f" {files / value:8.0f} files/s")
    ours = seconds["index (headers, pairs, sha256)"] + seconds["volume (pixels, sha256 check)"]
    print(f"index + volume against naive: {seconds['naive: every file read twice'] / ours:.2f} x")


def write_patient(root: Path, slices: int) -> None:
    """Write a patient of uniform noise as AAPM-like DICOM."""
    hu = np.random.default_rng(0).integers(-1024, 3072, (slices, 512, 512)).astype(np.int16)
    z_mm = [0.8 * index for index in range(slices)]
    scan = Scan(hu, z_mm, (-190.0, -190.0), (0.742, 0.742), thickness_mm=1.0, kernel="B30f")
    for dose in ("full", "quarter"):
        write_series(scan, PATIENT, dose, root / PATIENT)


def read_twice(root: Path) -> list[np.ndarray]:
    """Sort each series by z from whole files, then read every file again for its pixels."""
    volumes = []
    for folder in sorted(root.glob("*/*")):
        ordered = sorted(
            folder.iterdir(), key=lambda path: float(pydicom.dcmread(path).ImagePositionPatient[2])
        )
        slices = [pydicom.dcmread(path) for path in ordered]
        volumes.append(
            np.stack(
                [item.pixel_array * item.RescaleSlope + item.RescaleIntercept for item in slices]
            ).astype(np.int16)
        )
    return volumes


def timed(function: Callable[[], object]) -> float:
    """Wall seconds of one call."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
