"""Lesion bench of a run: one row per method, annotated lesion and slice."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ldct.common.files import write_frame
from ldct.common.inputs import open_prediction, read_volume_info
from ldct.common.progress import track
from ldct.common.provenance import recorded
from ldct.common.run_files import image_files, seed_number
from ldct.data.lesions import read_lesions
from ldct.lesions.masks import LesionMasks
from ldct.lesions.measures import (
    FURTHER,
    MEASURES,
    LesionView,
    crop_of,
    lesion_view,
    measure_lesion,
)
from ldct.lesions.places import lesion_rows
from ldct.metrics.pixelwise import equal_doses
from ldct.metrics.protocol import Protocol

SCORES, OF_LESION = MEASURES[:2], [*MEASURES[2:], "contrast_hu"]
EQUAL = "equal in both doses"
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
    without a lesion in the test set has tables without rows. Where both doses of a crop are equal
    within the protocol's window, no image has scores; where they are equal at the lesion and in its
    background, it has none of the other measures. Raises InputError where shapes differ.
    """
    lesions = read_lesions(lesions_csv)
    for folder in track(test_folders, "lesion bench"):
        info = read_volume_info(folder)
        ldct, ndct = open_prediction(folder / "quarter.npy", folder)
        views = [
            (lesion, row, view, _without_meaning(ldct[row], view, protocol))
            for lesion, row in lesion_rows(lesions, info)
            for view in [lesion_view(ndct[row], lesion, info)]
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
                        **unmeasured,
                    }
                    for lesion, row, view, unmeasured in views
                ]
                # Number columns are floats also where there is no row or no value.
                numbers = dict.fromkeys(["diameter_mm", *MEASURES, "contrast_hu"], float)
                write_frame(target, pd.DataFrame(rows, columns=COLUMNS).astype(numbers))


def _without_meaning(ldct_hu: np.ndarray, view: LesionView, protocol: Protocol) -> dict[str, Any]:
    """What no image is given where both doses are equal in the crop or at the lesion, and why."""
    crop = crop_of(ldct_hu, view.roi)
    unmeasured, where = [], ""
    if equal_doses(crop, view.ndct_hu, protocol):
        unmeasured, where = [*SCORES], " within the window"
    if isinstance(view.masks, LesionMasks):
        near = view.masks.lesion | view.masks.background
        if np.array_equal(crop[near], view.ndct_hu[near]):
            unmeasured, where = [*unmeasured, *OF_LESION], " at the lesion"
    return dict.fromkeys(unmeasured, np.nan) | ({"note": f"{EQUAL}{where}"} if where else {})
