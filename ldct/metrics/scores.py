"""From a prediction to scores: one row per slice and protocol; the mean over slices."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ldct.common.errors import InputError
from ldct.common.files import write_frame
from ldct.common.inputs import open_prediction, read_volume_info
from ldct.common.progress import track
from ldct.common.provenance import recorded
from ldct.common.run_files import VOLUME_FILES
from ldct.metrics.columns import SCORES
from ldct.metrics.protocol import Protocol

KEYS = ["method", "seed", "patient", "slice_index", "z_mm", "protocol"]
REGULAR = "regular"  # column: whether a slice is of the grid that tables of scores are made from
METRICS = list(SCORES)
EQUAL = "all is NaN: both doses are equal as the protocol sees them"
CONSTANT = (
    "ssim is NaN: its range is that of the prediction, and the prediction is constant within the "
    "window"
)


def score_predictions(
    test_folder: Path,
    prediction_path: Path,
    protocols: Sequence[Protocol],
    output_parquet: Path,
    method: str,
    seed: int,
    workers: int = 1,
) -> None:
    """Score one patient's predictions and write one row per slice and protocol.

    test_folder : folder with `full.npy`, `quarter.npy` (int16 HU, [slice, row, column]) and
        `volume.json`.
    prediction_path : .npy, float32 HU, same shape and order as `full.npy`.
    output_parquet : written atomically, with a provenance record beside it. Columns: method, seed,
        patient, slice_index (row of the original volume), z_mm, protocol, regular, psnr (dB, +inf
        for identical images), ssim (NaN where the protocol leaves it undefined, as the record
        says), rmse_hu (HU); in the order of the slices, then of `protocols`. All three are NaN
        where both doses are equal as the protocol sees them: such slices count for no method
        (`scored`).
    workers : threads; the result does not depend on their number.
    Raises InputError naming file, found, expected and remedy where the shape or type is wrong or
    where a value is NaN or infinite (naming the slice).
    """
    from ldct.metrics.pixelwise import pair_scores

    volume = read_volume_info(test_folder)
    prediction, ndct = open_prediction(prediction_path, test_folder)
    ldct, _ = open_prediction(test_folder / "quarter.npy", test_folder)
    listed = len(volume["slice_index"])
    if ndct.ndim != 3 or not len(ndct) == len(volume["z_mm"]) == listed:
        raise InputError(
            f"{test_folder / 'full.npy'}: found shape {ndct.shape}, expected [slice, row, column] "
            f"with the {listed} slices that volume.json lists; make the test set again"
        )
    if prediction.dtype != np.float32:
        raise InputError(
            f"{prediction_path}: found {prediction.dtype} values, expected float32 HU; "
            "let the method write float32"
        )
    place = {"method": method, "seed": seed, "patient": volume["patient"]}
    regular = volume.get(REGULAR, [True] * listed)

    def rows_of_slice(row: int) -> list[dict[str, Any]]:
        image = finite_slice(prediction, row, volume, prediction_path)
        own = place | {key: volume[key][row] for key in ("slice_index", "z_mm")}
        own[REGULAR] = regular[row]
        try:
            return [
                {
                    **own,
                    "protocol": protocol.name,
                    **pair_scores(image, ldct[row], ndct[row], protocol),
                }
                for protocol in protocols
            ]
        except InputError as error:
            raise InputError(f"{prediction_path}: slice {row}: {error}") from None

    settings: dict[str, Any] = {"method": method, "seed": seed}
    inputs = [test_folder / name for name in VOLUME_FILES] + [prediction_path]
    with recorded([output_parquet], inputs, settings), ThreadPoolExecutor(workers) as pool:
        found = pool.map(rows_of_slice, range(len(ndct)))
        label = f"scores {method} {volume['patient']}"
        rows = [row for rows in track(found, label, len(ndct)) for row in rows]
        settings["protocols"] = [asdict(protocol) for protocol in protocols]
        settings["undefined"] = [
            f"{row['protocol']}, slice_index {row['slice_index']}: "
            + (EQUAL if np.isnan(row["psnr"]) else CONSTANT)
            for row in rows
            if np.isnan(row["ssim"])
        ]
        write_frame(output_parquet, pd.DataFrame(rows, columns=[*KEYS, REGULAR, *METRICS]))


def finite_slice(
    prediction: np.ndarray, row: int, volume: Mapping[str, Any], path: Path
) -> np.ndarray:
    """One slice of a prediction in memory, HU. InputError where a value is NaN or infinite.

    volume, path : content of volume.json and the prediction's file, for the message.
    """
    image = np.asarray(prediction[row])
    bad = np.count_nonzero(~np.isfinite(image))
    if bad:
        raise InputError(
            f"{path}: slice {row} (slice_index {volume['slice_index'][row]}, "
            f"z {volume['z_mm'][row]} mm): found {bad} NaN or infinite values, expected finite HU; "
            "check the method (did a training diverge?), then predict again"
        )
    return image


def scored(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of a protocol without those of slices equal in both doses, which score no method.

    rows : as `score_predictions` writes them. Raises InputError where none is left.
    """
    kept = rows[rows["psnr"].notna()]
    if kept.empty and len(rows):
        raise InputError(
            f"scores under protocol {rows['protocol'].iloc[0]}: both doses are equal within its "
            "window in every slice; expected a quarter dose that differs: see the inventory"
        )
    return kept


def notes_of_slices(rows: pd.DataFrame, titles: Mapping[str, str] | None = None) -> list[str]:
    """Notes under a table of scores: slices left out, and methods with an infinite PSNR.

    rows : of one protocol, as `score_predictions` writes them. titles : of the methods that may be
        named for an infinite PSNR.
    """
    notes, equal = [], rows[rows["psnr"].isna()]
    if len(equal):
        notes.append(
            f"Left out of every method's means, both doses being equal there within the window: "
            f"{_places(equal, rows)}."
        )
    for method, title in (titles or {}).items():
        own = rows[rows["method"] == method]
        perfect = own[np.isinf(own["psnr"])]
        if len(perfect):
            notes.append(
                f"{title} equals NDCT within the window in {_places(perfect, own)}: its PSNR is "
                "infinite there. An infinite mean has no mark and no interval."
            )
    return notes


def _places(chosen: pd.DataFrame, rows: pd.DataFrame) -> str:
    """Patients with their slices, e.g. `L506 slices 3, 8 to 12; L333 all 20 slices`."""
    found = []
    for patient, own in chosen.groupby("patient", sort=False):
        slices = np.unique(own["slice_index"])
        every = np.unique(rows.loc[rows["patient"] == patient, "slice_index"])
        runs = np.split(slices, np.flatnonzero(np.diff(np.searchsorted(every, slices)) > 1) + 1)
        parts = [f"{run[0]}" if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs]
        named = f"slice{'s' if len(slices) > 1 else ''} {', '.join(parts)}"
        found.append(
            f"{patient} {f'all {len(every)} slices' if len(slices) == len(every) else named}"
        )
    return "; ".join(found)


def regular_slices(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of the regular grid of slices; those added for lesions or texture are in no mean.

    Rows without the column are all of the grid.
    """
    return rows[rows[REGULAR].astype(bool)] if REGULAR in rows else rows


def mean_over_slices(rows: pd.DataFrame, protocol: Protocol) -> dict[str, float]:
    """PSNR (dB), SSIM and RMSE (HU) of rows with these columns, averaged by the protocol's rule.

    >>> from ldct import load_protocol
    >>> rows = pd.DataFrame({"psnr": [20.0, 30.0], "ssim": [0.5, 0.7], "rmse_hu": [40.0, 12.65]})
    >>> mean_over_slices(rows, load_protocol("config/protocols/abdomen.yaml"))["psnr"]
    25.0
    """
    means = rows[METRICS].mean(skipna=False).to_dict()
    if protocol.averaging == "mean_of_slices":
        return means
    pooled = float(np.sqrt((rows["rmse_hu"] ** 2).mean()))
    peak = protocol.psnr_range * protocol.scaling.width
    with np.errstate(divide="ignore"):  # identical images: +inf
        return {**means, "psnr": float(20 * np.log10(np.divide(peak, pooled))), "rmse_hu": pooled}
