"""Full-image metrics beside PSNR and SSIM, and HU fidelity by tissue: one row per slice."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from ldct.common.files import write_frame
from ldct.common.inputs import open_prediction, read_volume_info
from ldct.common.progress import track
from ldct.common.provenance import recorded
from ldct.common.run_files import VOLUME_FILES
from ldct.metrics.columns import IMAGE_QUALITY
from ldct.metrics.full_reference import gmsd, import_image_metrics, vif
from ldct.metrics.pixelwise import equal_doses
from ldct.metrics.protocol import Protocol
from ldct.metrics.scores import KEYS, REGULAR, finite_slice
from ldct.metrics.tissues import TISSUES, tissue_fidelity


def measure_predictions(
    test_folder: Path,
    prediction_path: Path,
    protocol: Protocol,
    output_parquet: Path,
    method: str,
    seed: int,
    *,
    lpips_network: str | None = None,
    lpips_weights: Path | None = None,
) -> None:
    """Measure one patient's predictions and write one row per slice, with a provenance record.

    test_folder, prediction_path : as for `score_predictions`.
    protocol : VIF, GMSD and LPIPS see its window; the tissue measures see HU as they are.
    lpips_network, lpips_weights : "alex" or "vgg" and its file; None leaves the column NaN.
    Columns: KEYS, regular and IMAGE_QUALITY; NaN where a measure cannot be taken (docs/metrics.md),
    and in slices equal in both doses as the protocol sees them. Raises InputError where shapes
    differ, a value is not finite, or torchmetrics is not installed.
    """
    import torch

    import_image_metrics()  # a missing package is said before a slice is measured
    torch.set_num_threads(1)  # threads would add up in another order
    volume = read_volume_info(test_folder)
    prediction, ndct = open_prediction(prediction_path, test_folder)
    ldct, _ = open_prediction(test_folder / "quarter.npy", test_folder)
    metric, inputs = None, [test_folder / name for name in VOLUME_FILES] + [prediction_path]
    if lpips_network is not None:
        from ldct.metrics.lpips import Lpips, lpips

        metric = Lpips(lpips_network, lpips_weights)
        inputs.append(lpips_weights)
    own = {"method": method, "seed": seed}
    settings = own | {"protocol": asdict(protocol), "lpips": lpips_network, "tissues_hu": TISSUES}
    with recorded([output_parquet], inputs, settings):
        rows, label = [], f"image quality {method} {volume['patient']}"
        for row in track(range(len(ndct)), label, len(ndct)):
            image = finite_slice(prediction, row, volume, prediction_path)
            truth = np.asarray(ndct[row])
            if equal_doses(ldct[row], truth, protocol):
                rows.append(dict.fromkeys(IMAGE_QUALITY, np.nan))
                continue
            pair = protocol.to_unit(image), protocol.to_unit(truth)
            distance = lpips(metric, *pair) if metric else np.nan
            values = {"vif": vif(*pair), "gmsd": gmsd(*pair), "lpips": distance}
            rows.append(values | tissue_fidelity(image, truth))
        place = {key: volume[key] for key in ("patient", "slice_index", "z_mm")}
        place |= own | {"protocol": protocol.name, REGULAR: volume.get(REGULAR, True)}
        frame = pd.DataFrame(rows).assign(**place)
        write_frame(output_parquet, frame[[*KEYS, REGULAR, *IMAGE_QUALITY]])
