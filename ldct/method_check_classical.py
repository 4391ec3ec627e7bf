"""Checks of methods with a denoise.py and no network."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ldct.denoising.classical import load_denoiser, tune_classical
from ldct.files import read_json
from ldct.method_check import Verdict, check_denoiser, synthetic_pair


def check_classical(
    folder: Path, card: Mapping[str, Any], volume: Path, work: Path, verdict: Verdict
) -> None:
    """Tune on the synthetic pair, denoise odd and constant slices, time a slice of 256 x 256."""
    parameters_json = work / "parameters.json"
    settings = {**card.get("settings", {})}
    for key, small in (("tuning_slices", 1), ("tuning_crop", 48)):
        if key in settings:
            settings[key] = small
    tune_classical(folder, settings, [volume], parameters_json)
    parameters = {**read_json(parameters_json), "pixel_mm": [0.7, 0.7]}
    module = load_denoiser(folder)

    def denoise(slice_hu: np.ndarray) -> np.ndarray:
        return module.denoise(slice_hu, parameters)

    check_denoiser(denoise, str(folder / "denoise.py"), verdict, keeps_hu=True)
    if verdict.problems:
        return
    slice_hu = synthetic_pair(1, (256, 256))[1][0].astype(np.float32)
    started = time.process_time()
    denoise(slice_hu)
    seconds = 4 * (time.process_time() - started)
    verdict.facts["time"] = f"about {seconds:.2g} CPU seconds per slice of 512 x 512"
