"""Lesion bench of a run: one row per method, annotated lesion and slice."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ldct.data.lesions import read_lesions
from ldct.errors import InputError
from ldct.evaluation.lesion_measures import FURTHER, MEASURES, lesion_view, measure_lesion
from ldct.evaluation.lesion_places import lesion_rows
from ldct.evaluation.protocol import Protocol
from ldct.evaluation.run_files import FIXED
from ldct.files import atomic_path, read_json
from ldct.progress import track
from ldct.provenance import write_record

LESION = ["lesion", "label", "diameter_mm"]
COLUMNS = ["method", "seed", "patient", "slice_index", "z_mm", *LESION, *MEASURES, *FURTHER]
# What every method is compared with; both lie in the test-set folder.
REFERENCES = {"ndct": "full.npy", "ldct": "quarter.npy"}


def image_files(
    folder: Path, predictions: Sequence[Path], patient: str
) -> Iterator[tuple[str, str, Path]]:
    """(method, seed folder, file) of both references and of every prediction of one patient.

    folder : test-set folder. predictions : paths `.../<method>/<seed>/<patient>.npy`.
    """
    for name, file in REFERENCES.items():
        yield name, FIXED, folder / file
    for path in predictions:
        if path.stem == patient:
            yield path.parent.parent.name, path.parent.name, path


def seed_number(seed: str) -> int:
    """The number by which tables name a seed folder: 0 for methods without seeds."""
    return 0 if seed == FIXED else int(seed)


def write_table(
    frame: pd.DataFrame,
    path: Path,
    inputs: Sequence[Path],
    settings: Mapping[str, Any],
    started: float,
) -> None:
    """Write one parquet file atomically, with its provenance record."""
    with atomic_path(path) as temporary:
        frame.to_parquet(temporary, index=False)
    write_record(path, inputs=inputs, settings=settings, started=started)


def write_lesion_bench(
    test_folders: Sequence[Path],
    predictions: Sequence[Path],
    lesions_csv: Path,
    protocol: Protocol,
    output: Path,
) -> None:
    """Measure every annotated lesion slice of the test set in every image.

    Writes `<output>/<method>/<seed>/<patient>.parquet` with COLUMNS: a row per lesion and slice,
    for every prediction and for the references `ndct` and `ldct` (seed folder `fixed`). A patient
    without a lesion in the test set has tables without rows. Raises InputError where shapes differ.
    """
    lesions = read_lesions(lesions_csv)
    for folder in track(test_folders, "lesion bench"):
        info = read_json(folder / "volume.json")
        ndct = np.load(folder / "full.npy", mmap_mode="r")
        views = [
            (lesion, row, lesion_view(ndct[row], lesion, info, protocol))
            for lesion, row in lesion_rows(lesions, info)
        ]
        for method, seed, path in image_files(folder, predictions, folder.name):
            started = time.perf_counter()
            images = np.load(path, mmap_mode="r")
            if images.shape != ndct.shape:
                raise InputError(
                    f"{path}: found shape {images.shape}, expected {ndct.shape} as in "
                    f"{folder / 'full.npy'}; predict this test set again"
                )
            rows = [
                {
                    "method": method,
                    "seed": seed_number(seed),
                    "patient": info["patient"],
                    "slice_index": info["slice_index"][row],
                    "z_mm": info["z_mm"][row],
                    **{key: lesion[key] for key in LESION},
                    **measure_lesion(view, images[row], protocol),
                }
                for lesion, row, view in views
            ]
            # Number columns are floats also where there is no row or no value.
            numbers = dict.fromkeys(["diameter_mm", *MEASURES, *FURTHER[:2]], float)
            write_table(
                pd.DataFrame(rows, columns=COLUMNS).astype(numbers),
                output / method / seed / f"{info['patient']}.parquet",
                [folder / "full.npy", path, lesions_csv],
                {"method": method, "seed": seed, "protocol": asdict(protocol)},
                started,
            )
