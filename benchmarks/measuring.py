"""What the benchmarks of training and inference share: options, a clock, made-up volumes."""

import argparse
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch.nn import functional

from ldct.data.volumes import Volume
from ldct.devices.engine import Engine, engine_settings, resolve_engine
from ldct.networks.cost import multiply_adds
from ldct.networks.files import build_network

SIDE = 512
SLAB = 16
# Sides of the square matrices, and products that are timed at a time.
MATRICES = {"cpu": ((512, 1024), 4), "cuda": ((2048, 4096, 8192, 16384), 20)}
MATRIX_ROUNDS = 3
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def add_device_options(parser: argparse.ArgumentParser) -> None:
    """Add device and precision."""
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--precision", choices=tuple(DTYPES), default="fp32")


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """Add options of `engine` (docs/training.md)."""
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--cuda-graphs", action="store_true", help="compile, and replay graphs")
    parser.add_argument("--tf32", action="store_true", help="float32 in TF32, on a GPU")


def engine_of(options: argparse.Namespace) -> Engine:
    """The engine that the options ask for."""
    return Engine(compile=options.compile, cuda_graphs=options.cuda_graphs, tf32=options.tf32)


def clock(device: torch.device) -> float:
    """Seconds: processor time on a CPU; on a GPU time on the clock, once it has done its work."""
    if device.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


def unit_of(device: torch.device) -> str:
    """What `clock` counts."""
    return "CPU-s" if device.type == "cpu" else "s"


def step_flops(stage: Mapping[str, Any], batch: int) -> float:
    """Operations of one step of a stage without critic: two for each multiply-add.

    The backward pass counts as two forward passes.
    """
    network = build_network(stage["network"], 0, stage["model"]).eval()
    return 2 * 3 * multiply_adds(network, len(stage["inputs"]), stage["tile_size"]) * batch


def matrix_ceiling(device: torch.device, precision: str, engine: Engine) -> tuple[float, int]:
    """Operations per second of the fastest product of two square matrices, and its side.

    In the precision of a step, with random numbers: a GPU's frequency depends on them.
    """
    sides, products = MATRICES[device.type]
    with engine_settings(resolve_engine(engine, device), device):
        speeds = {side: matrix_speed(side, products, device, DTYPES[precision]) for side in sides}
    best = max(speeds, key=speeds.__getitem__)
    return speeds[best], best


def matrix_speed(side: int, products: int, device: torch.device, dtype: torch.dtype) -> float:
    """Operations per second of side x side matrix products, the best of some rounds.

    On a CPU by oneDNN, as convolutions are: PyTorch's own product of float32 uses MKL, which took
    twice as long on a processor of AMD.
    """
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    if device.type == "cpu":
        a = a.to_mkldnn()
    functional.linear(a, b)
    seconds = []
    for _ in range(MATRIX_ROUNDS):
        started = clock(device)
        for _ in range(products):
            functional.linear(a, b)
        seconds.append(clock(device) - started)
    return 2 * side**3 * products / min(seconds)


def made_up_volumes(slices: Sequence[int]) -> list[Volume]:
    """A volume of so many slices for each entry: smooth tissue, and 30 HU of noise in LDCT."""
    rng = np.random.default_rng(0)
    full = 40 + 500 * gaussian_filter(rng.standard_normal((SLAB, SIDE, SIDE)), (0, 3, 3))
    quarter = full + rng.normal(0, 30, full.shape)
    slabs = [image.astype(np.int16) for image in (full, quarter)]
    return [
        Volume(*(np.resize(slab, (count, SIDE, SIDE)) for slab in slabs), info={})
        for count in slices
    ]


def made_up_tiles(volumes: Sequence[Volume], size: int, share: float = 1.0) -> np.ndarray:
    """A share of all tiles of size x size without overlap, drawn at random: int32 [tiles, 4]."""
    steps = range(0, SIDE - size + 1, size)
    tables = [
        np.stack(np.meshgrid(number, range(len(volume.full)), steps, steps), axis=-1).reshape(-1, 4)
        for number, volume in enumerate(volumes)
    ]
    table = np.concatenate(tables).astype(np.int32)
    kept = np.random.default_rng(0).permutation(len(table))[: round(len(table) * share)]
    return table[np.sort(kept)]
