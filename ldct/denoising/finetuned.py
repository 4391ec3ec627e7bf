"""Methods that adapt trained networks to each slice they denoise.

The folder of such a method holds `denoise.py` with

    denoise(slice_hu, parameters, levels, scaling) -> slice_hu   float32 HU (rows, columns)
    tune(pairs, settings) -> parameters                          optional, as for classical methods

`levels` are the trained levels of the method that the card's `weights_of` names, first level first,
in evaluation mode and without gradients; each slice gets its own copy. `Scaling.improved` brings a
network's output back to HU.
"""

import copy
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ldct.common.inputs import read_mapping
from ldct.common.progress import track
from ldct.common.provenance import recorded
from ldct.common.scaling import Scaling
from ldct.data.volumes import load_volume
from ldct.denoising.classical import checked_slice, load_denoiser
from ldct.denoising.network import (
    inference_record,
    inference_settings,
    new_prediction,
    slice_files,
    time_since,
)
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
    module = load_denoiser(method_folder)
    parameters = read_mapping(parameters_json)
    quarter = load_volume(test_folder).quarter
    code, settings = Path(method_folder) / "denoise.py", {}
    inputs = [*slice_files(test_folder), code, parameters_json, *weights]
    with (
        recorded([output], inputs, settings),
        inference_settings(device),
        new_prediction(output, quarter.shape) as prediction,
    ):
        begun = time.perf_counter(), time.process_time()
        for row, slice_hu in enumerate(track(quarter, Path(method_folder).name, len(quarter))):
            own = copy.deepcopy(list(levels))
            image = np.asarray(slice_hu, dtype=np.float32)
            result = module.denoise(image, parameters, own, scaling)
            prediction[row] = checked_slice(result, image.shape, f"{code}: slice {row}")
        spent = time_since(begun, len(quarter))
        settings |= inference_record(levels, scaling, device, spent)
