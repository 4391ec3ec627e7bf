"""Methods that adapt trained networks to each slice they denoise.

The folder of such a method holds `denoise.py` with

    denoise(slice_hu, parameters, levels, scaling) -> slice_hu   float32 HU (rows, columns)
    tune(pairs, settings) -> parameters                          optional, as for classical methods

`levels` are the trained levels of the method that the card's `weights_of` names, first level first,
in evaluation mode and without gradients; each slice gets its own copy.
"""

import copy
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ldct.common import provenance
from ldct.common.inputs import read_mapping
from ldct.common.progress import track
from ldct.common.scaling import Scaling
from ldct.data.volumes import load_volume
from ldct.denoising.classical import checked_slice, load_denoiser
from ldct.denoising.network import EXACT, inference_record, inference_settings, new_prediction
from ldct.devices.choice import device_record
from ldct.networks.chain import Level


def denoise_finetuned(
    method_folder: str | Path,
    parameters_json: str | Path,
    levels: Sequence[Level],
    weights: Sequence[Path],
    test_folder: Path,
    scaling: Scaling,
    device: torch.device,
    output: Path,
) -> None:
    """Denoise every slice of a test-set folder from the same start; write the prediction, HU.

    levels : trained levels on `device`.
    weights : their files, for the provenance record.
    Raises InputError where the method returns another shape or a value that is not finite.
    """
    started = time.perf_counter()
    module = load_denoiser(method_folder)
    parameters = read_mapping(parameters_json)
    quarter = load_volume(test_folder).quarter
    begun = time.perf_counter(), time.process_time()
    with inference_settings(device), new_prediction(output, quarter.shape) as prediction:
        for row, slice_hu in enumerate(track(quarter, Path(method_folder).name, len(quarter))):
            own = copy.deepcopy(list(levels))
            image = np.asarray(slice_hu, dtype=np.float32)
            result = module.denoise(image, parameters, own, scaling)
            where = f"{Path(method_folder) / 'denoise.py'}: slice {row}"
            prediction[row] = checked_slice(result, image.shape, where)
    spent = inference_record(begun, len(quarter))
    provenance.write_record(
        output,
        inputs=[
            test_folder / "volume.json",
            test_folder / "quarter.npy",
            Path(method_folder) / "denoise.py",
            parameters_json,
            *weights,
        ],
        settings={
            "window": [scaling.lower, scaling.upper],
            "clip": scaling.clip,
            "levels": len(levels),
            "inference": {"tf32": EXACT.tf32, **spent},
            **device_record(device),
        },
        started=started,
    )
