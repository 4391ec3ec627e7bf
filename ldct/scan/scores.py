"""Scores of a denoised series where a full dose of the same scan lies beside it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ldct.common.inputs import read_frame
from ldct.data.dicom.pairs.matching import SAME_MM, match
from ldct.metrics.protocol import Protocol
from ldct.metrics.scores import mean_over_slices, score_predictions, scored
from ldct.scan.applying import write_test_folder
from ldct.scan.series import Series

IN_PLANE_MM = 0.1


Partners = tuple[Series, list[int]]


def find_partners(series: Series, others: Sequence[Series]) -> Partners | None:
    """The series with the most slices at the places of `series`, and which of its rows they meet.

    Of two with as many the one with the same kernel counts; None where there is none.
    """
    best: tuple[tuple[int, bool], Partners] | None = None
    for other in others:
        if other.uid == series.uid or not _same_grid(series, other):
            continue
        pairs, _ = match(other.headers, series.headers, SAME_MM)
        rank = len(pairs), other.first.kernel == series.first.kernel
        if pairs and (best is None or rank > best[0]):
            rows = [series.headers.index(own) for _, own in pairs]
            best = rank, (Series(other.root, other.uid, tuple(full for full, _ in pairs)), rows)
    return best and best[1]


def score_volumes(
    folder: Path,
    quarter: np.ndarray,
    denoised: np.ndarray,
    full: np.ndarray,
    protocols: Sequence[Protocol],
) -> pd.DataFrame:
    """Mean scores of the input and of its denoised twin, a row for each protocol.

    folder : for files on the way. quarter, full : int16 HU, denoised : float32, all of one shape.
    Columns: protocol; psnr in dB and ssim of `input` and `denoised`.
    """
    write_test_folder(folder, quarter)
    np.save(folder / "full.npy", full)
    means: dict[str, dict[str, float]] = {protocol.name: {} for protocol in protocols}
    for image, values in (("input", quarter), ("denoised", denoised)):
        prediction, table = folder / "prediction.npy", folder / "scores.parquet"
        np.save(prediction, np.asarray(values, dtype=np.float32))
        score_predictions(folder, prediction, protocols, table, image, 0)
        for protocol in protocols:
            own = read_frame(table).query("protocol == @protocol.name")
            mean = mean_over_slices(scored(own), protocol)
            means[protocol.name] |= {f"{key}_{image}": mean[key] for key in ("psnr", "ssim")}
    return pd.DataFrame([{"protocol": name, **mean} for name, mean in means.items()])


def _same_grid(first: Series, second: Series) -> bool:
    one, other = first.first, second.first
    return (
        (one.rows, one.columns) == (other.rows, other.columns)
        and np.allclose(one.pixel_mm, other.pixel_mm, atol=1e-4)
        and np.allclose(one.orientation, other.orientation, atol=1e-3)
        and np.allclose(one.position_mm[:2], other.position_mm[:2], atol=IN_PLANE_MM)
    )
