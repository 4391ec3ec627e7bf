"""What `plan` measures, each in a process of its own: steps, slices and small images."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from ldct.configuration.stages import scaling_from
from ldct.cost import probes
from ldct.denoising.classical import load_denoiser
from ldct.denoising.network import plan_inference
from ldct.devices.choice import enter, is_gpu, limit_threads, peak_gpu_memory_mb
from ldct.devices.engine import Engine

SMALL_SIDE = 128
CPU = torch.device("cpu")


class Effort(NamedTuple):
    """What is timed on a CPU, where time per tile or pixel hardly depends on it and memory does.

    batch : tiles of a step at most. steps : that are timed, the first after others of its kind if
    there are several. share : of a slice's side.
    """

    batch: int
    steps: int
    share: float


THOROUGH, BRIEF = Effort(8, 2, 1.0), Effort(4, 1, 0.25)


def steps_of_two_sizes(
    stage: Mapping[str, Any],
    models: Mapping[str, Any],
    small: int,
    large: int,
    device_name: str,
    precision: str,
    engine: Engine,
    effort: Effort,
) -> dict[str, float | None]:
    """Seconds per step at the large batch, and peaks in MiB.

    Returns seconds_per_step; peak_small and peak_large, of this process after each of both batches;
    peak_gpu, of the allocator on a GPU.
    """
    device = torch.device(device_name)
    limit_threads(1)
    enter(device)
    probes.training_step(stage, models, small, device, precision, engine)()
    peak_small = peaks(device)["peak_memory_mb"]
    if engine.compile or engine.cuda_graphs:
        # Else the second batch size would be compiled for any batch, unlike in a training.
        torch.compiler.reset()
    step = probes.training_step(stage, models, large, device, precision, engine)
    steps = 20 if is_gpu(device) else effort.steps  # there they take milliseconds, and vary more
    for _ in range(probes.warm_up_calls(engine, device) if steps > 1 else 0):
        step()
    # A training does not wait for the GPU after each step.
    seconds = probes.timed(lambda: [step() for _ in range(steps)], device) / steps
    after = peaks(device)
    return {
        "seconds_per_step": seconds,
        "peak_small": peak_small,
        "peak_large": after["peak_memory_mb"],
        "peak_gpu": after["peak_gpu_memory_mb"],
    }


def one_slice(
    levels: Sequence[Mapping[str, Any]],
    side: int,
    slice_side: int,
    device_name: str,
    precision: str,
    tile: int | str = "auto",
) -> dict[str, float | None]:
    """Seconds of one slice, from side x side of its pixels, and peak memory in MiB.

    slice_side : pixels of the whole slice's side. tile : `inference.tile` of the run; "auto" on a
        CPU is all at once. On a GPU as many images go at a time as in the run.
    """
    device = torch.device(device_name)
    limit_threads(1)
    enter(device)
    built = probes.random_levels(levels, device)
    plan = plan_inference(built, (side, side), device, tile=tile, precision=precision)
    denoise = probes.inference(built, side, device, plan)
    denoise()
    seconds = probes.timed(denoise, device) / plan.batch * (slice_side / side) ** 2
    return {"seconds_per_slice": seconds, **peaks(device)}


def small_image(
    folder: str, settings: Mapping[str, Any], levels: Sequence[Mapping[str, Any]], side: int
) -> dict[str, float]:
    """Seconds per slice, seconds of tuning, and memory of a method with a `denoise.py`.

    Measured on a made-up image of 128 x 128 pixels (64 x 64 with networks), times its share of a
    slice; tuning on one such pair, times the card's number and size of crops.
    """
    limit_threads(1)
    module = load_denoiser(folder)
    size = SMALL_SIDE // 2 if levels else SMALL_SIDE
    rng = np.random.default_rng(0)
    full = 40 + 60 * gaussian_filter(rng.standard_normal((size, size)), 4) * 8
    quarter = full + rng.normal(0, 30, full.shape)
    pair = (quarter.astype(np.float32), full.astype(np.float32))
    parameters, tuning = {**settings, "pixel_mm": [0.7, 0.7]}, 0.0
    if hasattr(module, "tune"):
        given = {**settings, "pixel_mm": [[0.7, 0.7]]}
        module.tune([pair], given)
        seconds = probes.timed(lambda: parameters.update(module.tune([pair], given)), CPU)
        area = (settings.get("tuning_crop", size) / size) ** 2
        tuning = seconds * area * settings.get("tuning_slices", 1)
    extra = (probes.random_levels(levels, CPU), scaling_from(levels[-1])) if levels else ()
    seconds = probes.timed(lambda: module.denoise(pair[0], parameters, *extra), CPU)
    return {
        "seconds_per_slice": seconds * (side / size) ** 2,
        "tuning_seconds": tuning,
        "peak_memory_mb": probes.peak_memory_mb(CPU),
    }


def peaks(device: torch.device) -> dict[str, float | None]:
    """Largest memory of this process so far in MiB, and of the allocator where it is on a GPU."""
    return {
        "peak_memory_mb": probes.peak_memory_mb(CPU),
        "peak_gpu_memory_mb": peak_gpu_memory_mb(device),
    }
