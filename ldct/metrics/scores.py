"""From predictions to scores: one row per slice and protocol, then one row per method."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ldct.common.errors import InputError
from ldct.common.files import atomic_path
from ldct.common.inputs import open_array, read_volume_info
from ldct.common.progress import track
from ldct.common.provenance import write_record
from ldct.metrics.pixelwise import slice_scores
from ldct.metrics.protocol import Protocol

KEYS = ["method", "seed", "patient", "slice_index", "z_mm", "protocol"]
METRICS = ["psnr", "ssim", "rmse_hu"]


def score_predictions(
    test_folder: str | Path,
    prediction_path: str | Path,
    protocols: Sequence[Protocol],
    output_parquet: str | Path,
    method: str,
    seed: int,
    workers: int = 1,
) -> None:
    """Score one patient's predictions and write one row per slice and protocol.

    test_folder : folder with `full.npy` (int16 HU, [slice, row, column]) and `volume.json`.
    prediction_path : .npy, float32 HU, same shape and order as `full.npy`.
    output_parquet : written atomically, with a provenance record beside it. Columns: method, seed,
        patient, slice_index (row of the original volume), z_mm, protocol, psnr (dB, +inf for
        identical images), ssim (NaN where the protocol leaves it undefined; the record says so),
        rmse_hu (HU); in the order of the slices, then of `protocols`.
    workers : threads; the result does not depend on their number.
    Raises InputError naming file, found, expected and remedy where the shape or type is wrong or
    where a value is NaN or infinite (naming the slice).
    """
    started = time.perf_counter()
    test_folder, prediction_path = Path(test_folder), Path(prediction_path)
    volume = read_volume_info(test_folder)
    ndct = open_array(test_folder / "full.npy")
    _check_ndct(ndct, volume, test_folder)
    prediction = open_array(prediction_path)
    _check_prediction(prediction, ndct, prediction_path)

    def rows_of_slice(row: int) -> list[dict[str, Any]]:
        image = np.asarray(prediction[row])
        where = _place_of_slice(row, volume, prediction_path)
        _check_finite(image, where)
        place = {
            "method": method,
            "seed": seed,
            "patient": volume["patient"],
            "slice_index": volume["slice_index"][row],
            "z_mm": volume["z_mm"][row],
        }
        try:
            return [
                {**place, "protocol": protocol.name, **slice_scores(image, ndct[row], protocol)}
                for protocol in protocols
            ]
        except InputError as error:
            raise InputError(f"{where}: {error}") from None

    with ThreadPoolExecutor(max_workers=workers) as pool:
        found = pool.map(rows_of_slice, range(len(ndct)))
        label = f"scores {method} {volume['patient']}"
        rows = [row for rows in track(found, label, len(ndct)) for row in rows]
    with atomic_path(output_parquet) as temporary:
        pd.DataFrame(rows, columns=KEYS + METRICS).to_parquet(temporary, index=False)
    write_record(
        output_parquet,
        inputs=[test_folder / "full.npy", test_folder / "volume.json", prediction_path],
        settings={
            "method": method,
            "seed": seed,
            "protocols": [asdict(protocol) for protocol in protocols],
            "undefined": _undefined(rows),
        },
        started=started,
    )


def _undefined(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Which scores are NaN, and why: the only cause is the range of a constant prediction."""
    return [
        f"{row['protocol']}, slice_index {row['slice_index']}: ssim is NaN: its range is that of "
        "the prediction, and the prediction is constant within the window"
        for row in rows
        if np.isnan(row["ssim"])
    ]


def _summary_row(rows: pd.DataFrame, protocol: Protocol) -> dict[str, Any]:
    by_seed = rows.groupby("seed")
    per_seed = pd.DataFrame([mean_over_slices(own, protocol) for _, own in by_seed])
    per_slice = rows.groupby(["patient", "slice_index"])[METRICS].mean()
    seeds = sorted(rows["seed"].unique())
    with np.errstate(invalid="ignore"):  # infinite PSNR has no standard deviation: NaN
        spread = {f"{metric}_std": per_slice[metric].std() for metric in METRICS}
        spread |= {f"{metric}_std_seeds": per_seed[metric].std() for metric in METRICS}
    return {
        "protocol": protocol.name,
        **per_seed.mean(skipna=False).to_dict(),
        **spread,
        "n_slices": len(per_slice),
        "n_patients": rows["patient"].nunique(),
        "n_seeds": len(seeds),
        "seeds": " ".join(map(str, seeds)),
    }


def mean_over_slices(rows: pd.DataFrame, protocol: Protocol) -> dict[str, float]:
    """PSNR (dB), SSIM and RMSE (HU) of rows with these columns, averaged by the protocol's rule."""
    means = rows[METRICS].mean(skipna=False).to_dict()
    if protocol.averaging == "mean_of_slices":
        return means
    pooled = float(np.sqrt((rows["rmse_hu"] ** 2).mean()))
    peak = protocol.psnr_range * protocol.scaling.width
    with np.errstate(divide="ignore"):  # identical images: +inf
        return {**means, "psnr": float(20 * np.log10(np.divide(peak, pooled))), "rmse_hu": pooled}


def _check_ndct(ndct: np.ndarray, volume: dict[str, Any], folder: Path) -> None:
    listed = len(volume["slice_index"])
    if ndct.ndim != 3 or len(ndct) != listed or len(volume["z_mm"]) != listed:
        raise InputError(
            f"{folder / 'full.npy'}: found shape {ndct.shape}, expected [slice, row, column] with "
            f"the {listed} slices that volume.json lists; make the test set again"
        )


def _check_prediction(prediction: np.ndarray, ndct: np.ndarray, path: Path) -> None:
    if prediction.shape != ndct.shape:
        raise InputError(
            f"{path}: found shape {prediction.shape}, expected {ndct.shape} as in the test set's "
            "full.npy; predict this test set again"
        )
    if prediction.dtype != np.float32:
        raise InputError(
            f"{path}: found {prediction.dtype} values, expected float32 HU; "
            "let the method write float32"
        )


def _place_of_slice(row: int, volume: dict[str, Any], path: Path) -> str:
    index, z_mm = volume["slice_index"][row], volume["z_mm"][row]
    return f"{path}: slice {row} (slice_index {index}, z {z_mm} mm)"


def _check_finite(image: np.ndarray, where: str) -> None:
    bad = int(np.count_nonzero(~np.isfinite(image)))
    if bad:
        raise InputError(
            f"{where}: found {bad} NaN or infinite values, expected finite HU; "
            "check that the method's training did not diverge, then predict again"
        )
