"""A method applied to a volume in HU: the same code that predicts the benchmark's test patients."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ldct.common.files import write_json
from ldct.denoising.classical import denoise_classical
from ldct.denoising.finetuned import denoise_finetuned
from ldct.denoising.network import copy_low_dose, denoise_with_networks
from ldct.networks.chain import load_levels
from ldct.scan.method import Method


@dataclass(frozen=True)
class Engine:
    """What computes. workers : processes of a classical method."""

    device: torch.device
    workers: int = 1


def denoise_volume(
    method: Method, volume: np.ndarray, pixel_mm: tuple[float, float], folder: Path, engine: Engine
) -> np.ndarray:
    """Denoise a volume; float32 HU of its shape, a writable memory map in `folder`.

    volume : int16 HU `[slice, row, column]`. pixel_mm : spacing of rows, of columns.
    folder : for files on the way. Raises InputError as the methods do.
    """
    write_test_folder(folder, volume, pixel_mm)
    parameters, output, kind = folder / "parameters.json", folder / "out.npy", method.card["kind"]
    write_json(parameters, method.parameters)
    if kind == "identity":
        copy_low_dose(folder, output)
    elif kind == "classical":
        denoise_classical(method.folder, parameters, folder, output, engine.workers)
    else:
        models = method.models
        given = load_levels(models.levels, models.weights, engine.device), models.weights
        last = models.scaling, engine.device, output
        if kind == "network_finetuned":
            denoise_finetuned(method.folder, parameters, *given, folder, *last)
        else:
            denoise_with_networks(folder, *given, *last)
    return np.lib.format.open_memmap(output, mode="r+")


def write_test_folder(
    folder: Path, volume: np.ndarray, pixel_mm: tuple[float, float] = (1.0, 1.0)
) -> None:
    """A volume as the test folder of a patient whose NDCT is the volume itself."""
    np.save(folder / "quarter.npy", volume)
    shutil.copyfile(folder / "quarter.npy", folder / "full.npy")
    rows = list(range(len(volume)))
    info = {"patient": "scan", "pixel_mm": pixel_mm, "slice_index": rows, "z_mm": rows}
    write_json(folder / "volume.json", info)
