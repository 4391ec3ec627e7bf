"""Full-image metrics beside PSNR and SSIM, and HU fidelity by tissue: one row per slice."""

import time
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
from ldct.metrics.full_reference import gmsd, import_image_metrics, vif
from ldct.metrics.protocol import Protocol
from ldct.metrics.tissues import TISSUES, blind_tissues, tissue_columns, tissue_fidelity

KEYS = ["method", "seed", "patient", "slice_index", "z_mm", "protocol"]
FULL_REFERENCE = ["vif", "gmsd", "lpips"]
BLIND = "blind_tissues"


def measure_predictions(
    test_folder: str | Path,
    prediction_path: str | Path,
    protocol: Protocol,
    output_parquet: str | Path,
    method: str,
    seed: int,
    *,
    network_input: tuple[tuple[float, float], bool] | None = None,
    lpips_network: str | None = None,
    lpips_weights: str | Path | None = None,
) -> None:
    """Measure one patient's predictions and write one row per slice, with a provenance record.

    test_folder : folder with `full.npy` (int16 HU) and `volume.json`.
    prediction_path : .npy, float32 HU, same shape and order as `full.npy`.
    protocol : VIF, GMSD and LPIPS see its window; the tissue measures see HU as they are.
    network_input : (window, clip) of a learned method, whose output means nothing outside a
        clipped window: the tissues concerned stand in the column `blind_tissues`, with a space
        between. None for methods that see all HU.
    lpips_network, lpips_weights : "alex" or "vgg" and its file; None leaves the column NaN.
    Columns: method, seed, patient, slice_index, z_mm, protocol, vif, gmsd, lpips, for each tissue
    <tissue>_bias_hu, <tissue>_slope, <tissue>_std_hu, and blind_tissues.
    NaN where a measure cannot be taken (docs/metrics.md). Raises InputError where shapes differ, a
    value is not finite, or torchmetrics is not installed.
    """
    import torch

    started = time.perf_counter()
    import_image_metrics()  # a missing package is said before a slice is measured
    torch.set_num_threads(1)  # threads would add up in another order
    test_folder, prediction_path = Path(test_folder), Path(prediction_path)
    volume = read_volume_info(test_folder)
    ndct, prediction = open_array(test_folder / "full.npy"), open_array(prediction_path)
    if prediction.shape != ndct.shape:
        raise InputError(
            f"{prediction_path}: found shape {prediction.shape}, expected {ndct.shape} as in the "
            "test set's full.npy; predict this test set again"
        )
    metric = None
    if lpips_network is not None:
        from ldct.metrics.lpips import Lpips

        metric = Lpips(lpips_network, lpips_weights)
    rows = []
    for row in track(range(len(ndct)), f"image quality {method} {volume['patient']}", len(ndct)):
        image = np.asarray(prediction[row])
        if not np.isfinite(image).all():
            raise InputError(
                f"{prediction_path}: slice {row}: found NaN or infinite values, expected finite HU"
            )
        rows.append(slice_measures(image, np.asarray(ndct[row]), protocol, metric))
    place = {key: volume[key] for key in ("patient", "slice_index", "z_mm")}
    place |= {"method": method, "seed": seed, "protocol": protocol.name}
    place[BLIND] = " ".join(blind_tissues(*network_input)) if network_input else ""
    columns = [*KEYS, *FULL_REFERENCE, *tissue_columns(), BLIND]
    with atomic_path(output_parquet) as temporary:
        pd.DataFrame(rows).assign(**place)[columns].to_parquet(temporary, index=False)
    weights = [] if metric is None else [Path(lpips_weights)]
    write_record(
        output_parquet,
        inputs=[test_folder / "full.npy", test_folder / "volume.json", prediction_path, *weights],
        settings={
            "method": method,
            "seed": seed,
            "protocol": asdict(protocol),
            "lpips": lpips_network,
            "tissues_hu": TISSUES,
            BLIND: place[BLIND],
        },
        started=started,
    )


def slice_measures(
    prediction_hu: np.ndarray, ndct_hu: np.ndarray, protocol: Protocol, lpips_metric: Any = None
) -> dict[str, float]:
    """All measures of one slice: vif, gmsd, lpips (NaN without a metric) and those of tissues.

    prediction_hu, ndct_hu : (rows, columns), HU. lpips_metric : a `perceptual_metric.Lpips`.
    """
    ours, theirs = protocol.to_unit(prediction_hu), protocol.to_unit(ndct_hu)
    distance = float("nan")
    if lpips_metric is not None:
        from ldct.metrics.lpips import lpips

        distance = lpips(lpips_metric, ours, theirs)
    return {
        "vif": vif(ours, theirs),
        "gmsd": gmsd(ours, theirs),
        "lpips": distance,
        **tissue_fidelity(prediction_hu, ndct_hu),
    }


def without_blind_values(frame: pd.DataFrame) -> pd.DataFrame:
    """Measures of tissues that a method does not see set to NaN, for tables and comparisons."""
    seen = frame.copy()
    for tissue in TISSUES:
        blind = seen[BLIND].str.split(" ").map(lambda names, own=tissue: own in names)
        seen.loc[blind, [name for name in seen if name.startswith(f"{tissue}_")]] = np.nan
    return seen
