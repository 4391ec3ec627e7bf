"""DRL on whole 512 x 512 slices, on one CPU thread or a GPU: ours against plain PyTorch.

    PYTHONPATH=. python benchmarks/inference.py --slices 2 --rounds 3
    PYTHONPATH=. python benchmarks/inference.py --device cuda --slices 200 --rounds 3

Ours: channels_last, and freed memory is kept for the next feature map; whole slices, tiles of 128
and of 256 pixels, and bf16. Plain: default layout and allocation, slice by slice. Each runs in a
process of its own; random weights on noise, since time depends on neither. CPU seconds per slice,
or seconds on the clock on a GPU, the best of the rounds, taken in turns; the results are compared,
and peak memory is given: of the process, or of PyTorch's tensors on a GPU. The first round has the
start of the libraries in it.
"""

import argparse
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from measuring import add_device_options, clock, unit_of
from torch import nn

from ldct.common.scaling import Scaling
from ldct.configuration.registry import find_methods
from ldct.configuration.stages import resolve_models
from ldct.cost.probes import peak_memory_mb
from ldct.denoising.network import denoise_slices, plan_inference
from ldct.devices.choice import enter, hold_device, limit_threads
from ldct.networks.chain import Level
from ldct.networks.files import build_network

REPOSITORY = Path(__file__).parents[1]
SCALING = Scaling(-160.0, 240.0, clip=True)


def main() -> None:
    """Run the benchmark and print both times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, help="slices of ours at a time; else as planned")
    add_device_options(parser)
    options = parser.parse_args()
    ways = ways_of(options.precision, options.batch)
    slices = np.random.default_rng(0).integers(-200, 300, (options.slices, 512, 512), np.int16)
    with (
        hold_device(options.device, torch.cuda.device_count()) as device,
        ExitStack() as stack,
    ):
        pools = {
            name: stack.enter_context(
                fresh_process(torch.set_num_threads if name == "plain" else limit_threads)
            )
            for name in ways
        }
        rounds = [
            {
                name: pools[name].submit(timed, denoise, slices, device).result()
                for name, denoise in ways.items()
            }
            for _ in range(options.rounds)
        ]
    reference = rounds[0]["ours, whole"]
    first = min(found["ours, whole"].seconds for found in rounds)
    print(f"{options.precision} where nothing else is said")
    for name in ways:
        seconds = min(found[name].seconds for found in rounds)
        found = rounds[0][name]
        difference = np.abs(found.images - reference.images).max()
        print(
            f"{name:20s} {seconds / options.slices:.3g} {unit_of(device)} a slice, "
            f"{seconds / first:.2f} of ours; peak {found.peak_mb:,.0f} MiB; "
            f"largest difference {difference:.1e} HU"
        )


def fresh_process(set_threads: Callable[[int], object]) -> ProcessPoolExecutor:
    """One spawned process that calls `set_threads(1)` first."""
    return ProcessPoolExecutor(1, get_context("spawn"), initializer=set_threads, initargs=(1,))


class Timing(NamedTuple):
    """Seconds, peak memory so far, and the result."""

    seconds: float
    peak_mb: float
    images: np.ndarray


def timed(
    denoise: Callable[[nn.Module, np.ndarray, torch.device], np.ndarray],
    slices_hu: np.ndarray,
    device: torch.device,
) -> Timing:
    """Seconds, memory and result of `denoise` with DRL."""
    enter(device)
    network = drl().to(device)
    started = clock(device)
    images = denoise(network, slices_hu, device)
    seconds = clock(device) - started
    return Timing(seconds, peak_memory_mb(device), images)


def drl() -> nn.Module:
    """DRL with the same random weights at every call; untrained it would be the identity."""
    models, _ = resolve_models(["drl"], find_methods([REPOSITORY / "methods"]), "quick", 64)
    network = build_network(models["drl"]["network"], 0, "drl")
    generator = torch.Generator().manual_seed(0)
    for weight in network.parameters():
        nn.init.normal_(weight, std=0.05, generator=generator)
    return network.eval().requires_grad_(False)


def ours(
    network: nn.Module,
    slices_hu: np.ndarray,
    device: torch.device,
    tile: int | str = "auto",
    precision: str = "fp32",
    batch: int | None = None,
) -> np.ndarray:
    """The suite's loop over slices, float32 HU."""
    levels = [Level(network.to(memory_format=torch.channels_last), "image")]
    shape = slices_hu.shape[1:]
    plan = plan_inference(levels, shape, device, tile=tile, precision=precision)
    if batch is not None:
        plan = replace(plan, batch=batch)
    return denoise_slices(slices_hu, levels, SCALING, device, plan)


def plain(
    network: nn.Module, slices_hu: np.ndarray, device: torch.device, precision: str
) -> np.ndarray:
    """A slice-by-slice loop in the default memory layout, float32 HU."""
    images = []
    for image in slices_hu:
        image_hu = torch.from_numpy(image.astype(np.float32)).to(device)[None, None]
        with (
            torch.inference_mode(),
            torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"),
        ):
            denoised = SCALING.improved(image_hu, lambda unit: network(unit).float())
        images.append(denoised[0, 0].cpu().numpy())
    return np.stack(images)


def ways_of(precision: str, batch: int | None) -> dict[str, Callable[..., np.ndarray]]:
    """Names of the ways that are compared, and their functions."""
    ways = {
        "ours, whole": partial(ours, precision=precision, batch=batch),
        "ours, tiles of 256": partial(ours, tile=256, precision=precision),
        "ours, tiles of 128": partial(ours, tile=128, precision=precision),
        "ours, bf16": partial(ours, precision="bf16", batch=batch),
        "plain": partial(plain, precision=precision),
    }
    if precision == "bf16":
        del ways["ours, bf16"]
    return ways


if __name__ == "__main__":
    main()
