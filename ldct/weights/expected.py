"""A run's scores held against values of the same models on another machine."""

from pathlib import Path

import numpy as np
import pandas as pd

from ldct.common.errors import InputError
from ldct.common.files import read_yaml, write_text
from ldct.common.inputs import read_frames
from ldct.common.run_files import table_files
from ldct.metrics.protocol import load_protocol
from ldct.metrics.scores import KEYS, METRICS, mean_over_slices, regular_slices

# What inference, data and BM3D may differ by between processors (docs/reproducibility.md).
TOLERANCE = {"psnr": 0.01, "ssim": 0.0005}
ROW = ["method", "patient"]


def score_values(run: Path) -> pd.DataFrame:
    """Mean PSNR (dB) and SSIM of every method and patient, under the run's main protocol.

    run : results/<run>, finished. Columns: method, patient, psnr, ssim; over the regular slices.
    """
    settings = read_yaml(run / "config.yaml")
    name = settings["protocol_names"][0]
    protocol = load_protocol(settings["protocol_file"])
    files = [
        file
        for method in settings["cards"]
        for file in table_files(run, settings, "scores", method)
    ]
    rows = regular_slices(read_frames(files, [*KEYS, *METRICS]))
    rows = rows[rows["protocol"] == name]
    means = [
        dict(zip(ROW, key, strict=True)) | mean_over_slices(own, protocol)
        for key, own in rows.groupby(ROW, sort=False)
    ]
    return pd.DataFrame(means)[[*ROW, *TOLERANCE]]


def write_values(run: Path, path: Path) -> None:
    """Write `score_values` as CSV."""
    write_text(path, score_values(run).to_csv(index=False, float_format="%.5f"))


def compare_values(run: Path, path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Differences (this run minus the file) and a text for each that is beyond the tolerance.

    Rows that the run does not have are left out. Raises InputError where none is common.
    """
    pair = score_values(run).merge(pd.read_csv(path), on=ROW, suffixes=("", "_expected"))
    if pair.empty:
        raise InputError(f"{path}: found no method and patient of {run}; expected some of them")
    beyond = []
    for metric, tolerance in TOLERANCE.items():
        pair[f"{metric}_difference"] = pair[metric] - pair[f"{metric}_expected"]
        off = ~(np.abs(pair[f"{metric}_difference"]) <= tolerance)
        beyond += [
            f"{row['method']} of {row['patient']}: {metric} {row[metric]:.5f}, expected "
            f"{row[f'{metric}_expected']:.5f} within {tolerance:g}"
            for row in pair[off].to_dict("records")
        ]
    return pair, beyond
