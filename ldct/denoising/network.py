"""Applying trained networks to the slices of a test set."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ldct import provenance
from ldct.data.volumes import load_volume
from ldct.errors import InputError
from ldct.files import atomic_path
from ldct.progress import track
from ldct.scaling import Scaling
from ldct.training.chain import Level, apply_levels


def denoise_slices(
    slices_hu: np.ndarray, levels: Sequence[Level], scaling: Scaling, device: torch.device
) -> np.ndarray:
    """Denoise slices one by one, whole.

    slices_hu : [slice, row, column] HU, any numeric dtype, any image size.
    Returns float32 HU of the same shape.
    """
    denoised = np.empty(slices_hu.shape, dtype=np.float32)
    for number, image in enumerate(track(slices_hu, "denoising", len(slices_hu))):
        unit = scaling.to_unit(torch.from_numpy(np.array(image, dtype=np.float32)).to(device))
        with torch.inference_mode():
            output = apply_levels(levels, unit[None, None])
        denoised[number] = scaling.to_hu(output[0, 0]).cpu().numpy()
    return denoised


def write_prediction(output: Path, prediction_hu: np.ndarray) -> None:
    """Write a prediction as float32 .npy; InputError where it holds NaN or infinite values."""
    if not np.isfinite(prediction_hu).all():
        bad = np.flatnonzero(~np.isfinite(prediction_hu).all(axis=(1, 2)))
        raise InputError(
            f"{output}: slices {bad.tolist()} hold NaN or infinite values; expected finite HU; "
            "retrain with a lower learning rate or precision fp32"
        )
    with atomic_path(output) as temporary:
        np.save(temporary, np.ascontiguousarray(prediction_hu, dtype=np.float32))


def denoise_with_networks(
    test_folder: Path,
    levels: Sequence[Level],
    weights: Sequence[Path],
    scaling: Scaling,
    device: torch.device,
    output: Path,
) -> None:
    """Write the prediction file of one test patient, made by a chain of trained levels."""
    started = time.perf_counter()
    quarter = load_volume(test_folder).quarter
    write_prediction(output, denoise_slices(quarter, levels, scaling, device))
    provenance.write_record(
        output,
        inputs=[test_folder / "volume.json", *weights],
        settings={
            "window": [scaling.lower, scaling.upper],
            "clip": scaling.clip,
            "device": str(device),
            "levels": len(levels),
        },
        started=started,
    )


def copy_low_dose(test_folder: Path, output: Path) -> None:
    """The identity method: the quarter-dose slices as prediction."""
    started = time.perf_counter()
    write_prediction(output, np.asarray(load_volume(test_folder).quarter, dtype=np.float32))
    provenance.write_record(
        output, inputs=[test_folder / "volume.json"], settings={}, started=started
    )
