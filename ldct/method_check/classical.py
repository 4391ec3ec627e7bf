"""Checks of methods and controls with a denoise.py and no network."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ldct.common.files import read_json
from ldct.controls.predict import control_slice
from ldct.denoising.classical import load_denoiser, tune_classical
from ldct.method_check.pair import (
    ODD_SHAPES,
    SIDE,
    Verdict,
    check_denoiser,
    synthetic_pair,
    time_of,
)

# Settings that make tuning slow, and what is enough to try it.
QUICK = {"tuning_slices": 1, "tuning_crop": 48, "steps": 2}


def quick_parameters(
    folder: Path, card: Mapping[str, Any], volume: Path, work: Path
) -> dict[str, Any]:
    """Parameters of a method, tuned on one small crop."""
    settings = dict(card.get("settings", {}))
    settings |= {key: small for key, small in QUICK.items() if key in settings}
    tune_classical(folder, settings, [volume], work / "parameters.json")
    return read_json(work / "parameters.json")


def check_classical(
    folder: Path, card: Mapping[str, Any], volume: Path, work: Path, verdict: Verdict
) -> None:
    """Tune on the synthetic pair, denoise odd and constant slices, time a slice of 256 x 256."""
    parameters = {**quick_parameters(folder, card, volume, work), "pixel_mm": [0.7, 0.7]}
    module = load_denoiser(folder)

    def denoise(slice_hu: np.ndarray) -> np.ndarray:
        return module.denoise(slice_hu, parameters)

    check_denoiser(denoise, str(folder / "denoise.py"), verdict, keeps_hu=True)
    if verdict.problems:
        return
    verdict.facts["time"] = time_of(denoise, 256)


def check_control(
    folder: Path, card: Mapping[str, Any], volume: Path, work: Path, verdict: Verdict
) -> None:
    """Tune on the synthetic pair, then predict stacks of one and of three slices, odd sizes too."""
    parameters = quick_parameters(folder, card, volume, work)
    module = load_denoiser(folder)
    for slices, shape in ((3, (SIDE, SIDE)), (1, ODD_SHAPES[0]), (3, ODD_SHAPES[1])):
        ndct, low_dose = synthetic_pair(slices, shape)
        given = ndct.copy(), low_dose.copy()
        first, again = (control_slice(module, low_dose, ndct, 0, parameters) for _ in range(2))
        if not np.array_equal(first, again):
            verdict.problems.append(f"{folder / 'denoise.py'}: other values the second time")
            return
        if not (np.array_equal(ndct, given[0]) and np.array_equal(low_dose, given[1])):
            verdict.problems.append(f"{folder / 'denoise.py'}: denoise changes its input")
            return
