"""DRL on whole 512 x 512 slices, one CPU thread: ours against plain PyTorch.

    PYTHONPATH=. python benchmarks/inference.py --slices 2 --rounds 3

Ours: channels_last, and freed memory is kept for the next feature map; whole slices, tiles of 128
and of 256 pixels, and bf16. Plain: default layout and allocation. Each runs in a process of its
own; random weights on noise, since time depends on neither. CPU seconds per slice, the best of the
rounds, taken in turns; the results are compared, and peak memory is given.
"""

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from ldct.denoising.network import InferencePlan, denoise_slices
from ldct.probes import peak_memory_mb
from ldct.registry import find_methods
from ldct.scaling import Scaling
from ldct.stages import resolve_models
from ldct.training.chain import Level
from ldct.training.devices import limit_threads
from ldct.training.networks import build_network

REPOSITORY = Path(__file__).parents[1]
SCALING = Scaling(-160.0, 240.0, clip=True)


def main() -> None:
    """Run the benchmark and print both times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    slices = np.random.default_rng(0).integers(-200, 300, (options.slices, 512, 512), np.int16)
    with ExitStack() as stack:
        pools = {
            name: stack.enter_context(
                fresh_process(torch.set_num_threads if name == "plain" else limit_threads)
            )
            for name in WAYS
        }
        rounds = [
            {
                name: pools[name].submit(timed, denoise, slices).result()
                for name, denoise in WAYS.items()
            }
            for _ in range(options.rounds)
        ]
    reference = rounds[0]["ours, whole"]
    for name in WAYS:
        seconds = min(found[name].seconds for found in rounds) / options.slices
        ratio = seconds / min(found["ours, whole"].seconds for found in rounds) * options.slices
        found = rounds[0][name]
        difference = np.abs(found.images - reference.images).max()
        print(
            f"{name:20s} {seconds:.2f} CPU-s a slice, {ratio:.2f} of ours; peak "
            f"{found.peak_mb:,.0f} MiB; largest difference {difference:.1e} HU"
        )


def fresh_process(set_threads: Callable[[int], object]) -> ProcessPoolExecutor:
    """One spawned process that calls `set_threads(1)` first."""
    return ProcessPoolExecutor(1, get_context("spawn"), initializer=set_threads, initargs=(1,))


class Timing(NamedTuple):
    """CPU seconds, peak memory of the process so far, and the result."""

    seconds: float
    peak_mb: float
    images: np.ndarray


def timed(denoise: Callable[[nn.Module, np.ndarray], np.ndarray], slices_hu: np.ndarray) -> Timing:
    """CPU seconds, memory and result of `denoise` with DRL."""
    network = drl()
    started = time.process_time()
    images = denoise(network, slices_hu)
    seconds = time.process_time() - started
    return Timing(seconds, peak_memory_mb(torch.device("cpu")), images)


def drl() -> nn.Module:
    """DRL with the same random weights at every call; untrained it would be the identity."""
    models, _ = resolve_models(["drl"], find_methods([REPOSITORY / "methods"]), "quick", 64)
    network = build_network(models["drl"]["network"], 0, "drl")
    generator = torch.Generator().manual_seed(0)
    for weight in network.parameters():
        nn.init.normal_(weight, std=0.05, generator=generator)
    return network.eval().requires_grad_(False)


def ours(network: nn.Module, slices_hu: np.ndarray, plan: InferencePlan) -> np.ndarray:
    """The suite's loop over slices, float32 HU."""
    level = Level(network.to(memory_format=torch.channels_last), "image")
    return denoise_slices(slices_hu, [level], SCALING, torch.device("cpu"), plan)


def plain(network: nn.Module, slices_hu: np.ndarray) -> np.ndarray:
    """A slice-by-slice loop in the default memory layout, float32 HU."""
    images = []
    for image in slices_hu:
        unit = SCALING.to_unit(torch.from_numpy(image.astype(np.float32)))
        with torch.inference_mode():
            images.append(SCALING.to_hu(network(unit[None, None]))[0, 0].numpy())
    return np.stack(images)


# Margin 32 is more than the reach of DRL, 18 pixels.
WAYS = {
    "ours, whole": partial(ours, plan=InferencePlan()),
    "ours, tiles of 256": partial(ours, plan=InferencePlan(tile=256, margin=32)),
    "ours, tiles of 128": partial(ours, plan=InferencePlan(tile=128, margin=32)),
    "ours, bf16": partial(ours, plan=InferencePlan(precision="bf16")),
    "plain": plain,
}


if __name__ == "__main__":
    main()
