"""Lesion bench of a run: one row per method, annotated lesion and slice."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from ldct.common.files import write_frame
from ldct.common.inputs import open_array, open_prediction, read_volume_info
from ldct.common.progress import track
from ldct.common.provenance import recorded
from ldct.common.run_files import image_files, seed_number
from ldct.data.lesions import read_lesions
from ldct.lesions.measures import FURTHER, MEASURES, lesion_view, measure_lesion
from ldct.lesions.places import lesion_rows
from ldct.metrics.protocol import Protocol

LESION = ["lesion", "label", "diameter_mm"]
COLUMNS = ["method", "seed", "patient", "slice_index", "z_mm", *LESION, *MEASURES, *FURTHER]


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
        info, ndct = read_volume_info(folder), open_array(folder / "full.npy")
        views = [
            (lesion, row, lesion_view(ndct[row], lesion, info))
            for lesion, row in lesion_rows(lesions, info)
        ]
        for method, seed, path in image_files(folder, predictions, folder.name):
            target = output / method / seed / f"{info['patient']}.parquet"
            settings = {"method": method, "seed": seed, "protocol": asdict(protocol)}
            with recorded([target], [folder / "full.npy", path, lesions_csv], settings):
                images, _ = open_prediction(path, folder)
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
                numbers = dict.fromkeys(["diameter_mm", *MEASURES, "contrast_hu"], float)
                write_frame(target, pd.DataFrame(rows, columns=COLUMNS).astype(numbers))
