"""Checks of controls: shape, finite values, the same answer twice, inputs left alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ldct.denoising.classical import load_denoiser, tune_classical
from ldct.denoising.control import control_slice
from ldct.files import read_json
from ldct.method_check import ODD_SHAPES, SIDE, Verdict, synthetic_pair


def check_control(
    folder: Path, card: Mapping[str, Any], volume: Path, work: Path, verdict: Verdict
) -> None:
    """Tune on the synthetic pair, then predict stacks of one and of three slices, odd sizes too."""
    settings = dict(card.get("settings", {}))
    for key, small in (("tuning_slices", 1), ("tuning_crop", 48)):
        if key in settings:
            settings[key] = small
    tune_classical(folder, settings, [volume], work / "parameters.json")
    parameters = read_json(work / "parameters.json")
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
