"""Control methods: predictions that show what a metric rewards and what it does not see.

A control's folder holds `denoise.py` with

    denoise(low_dose, ndct, index, parameters) -> slice_hu   float32 HU (rows, columns), required
    tune(pairs, settings) -> parameters                      as for classical methods, optional

`low_dose` and `ndct` are the test patient's int16 HU stacks [slice, row, column] (read-only),
`index` is the slice wanted. Unlike a method, a control may look at NDCT and at other slices.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ldct.common.files import atomic_path, create_array
from ldct.common.inputs import open_prediction, read_mapping
from ldct.common.progress import track
from ldct.common.provenance import recorded
from ldct.denoising.classical import checked_slice, load_denoiser


def denoise_control(
    method_folder: Path, parameters_json: Path, test_folder: Path, output_npy: Path
) -> None:
    """Write one control's prediction for every slice of a test-set folder, float32 HU.

    Raises InputError where the control returns another shape or a value that is not finite.
    """
    module = load_denoiser(method_folder)
    parameters = read_mapping(parameters_json)
    low_dose, ndct = open_prediction(test_folder / "quarter.npy", test_folder)
    inputs = [method_folder / "denoise.py", parameters_json]
    inputs += [test_folder / "quarter.npy", test_folder / "full.npy"]
    with recorded([output_npy], inputs, parameters), atomic_path(output_npy) as temporary:
        output = create_array(temporary, ndct.shape, np.float32)
        for index in track(range(len(ndct)), method_folder.name, len(ndct)):
            output[index] = control_slice(module, low_dose, ndct, index, parameters)
        output.flush()


def control_slice(
    module: Any,
    low_dose: np.ndarray,
    ndct: np.ndarray,
    index: int,
    parameters: Mapping[str, Any],
) -> np.ndarray:
    """One slice of a control, float32 HU (rows, columns); InputError where it is not one."""
    image = module.denoise(low_dose, ndct, index, parameters)
    return checked_slice(image, ndct.shape[1:], f"{module.__file__}: slice {index}")
