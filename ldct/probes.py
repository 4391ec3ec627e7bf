"""Short measurements of training steps and inference on made-up images: time and memory.

Weights and pixels are random: neither time nor memory depends on them. Peak memory is the system's
own figure of a process that does nothing else; on a GPU it is the allocator's.
"""

import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from ldct.denoising.classical import load_denoiser
from ldct.denoising.network import InferencePlan, inference_settings, tiled_levels
from ldct.denoising.network_cost import multiply_adds
from ldct.denoising.network_facts import count_parameters
from ldct.errors import InputError
from ldct.scaling import Scaling
from ldct.training.chain import Level, apply_levels, stack_inputs
from ldct.training.devices import limit_threads
from ldct.training.engine import Engine, engine_settings, resolve_engine
from ldct.training.loop import start_training, train_step
from ldct.training.matching import wants_matching
from ldct.training.networks import build_network
from ldct.training.vgg import FeatureStack

MEBI = 2**20
SMALL_SIDE = 128


def training_step(
    stage: Mapping[str, Any],
    models: Mapping[str, Any],
    batch: int,
    device: torch.device,
    precision: str = "fp32",
    engine: Engine | None = None,
) -> Callable[[], None]:
    """A function that makes one step of a stage, upstream levels and critic steps included.

    stage : resolved by `ldct.stages`; its recipe's batch is replaced by `batch`.
    models : the resolved stages that it names as upstream.
    precision : "fp32" or "bf16" (autocast). engine : from `resolve_engine`.
    """
    engine = engine or resolve_engine(Engine(), device)
    stage = {**stage, "loss": with_plain_weights(stage["loss"])}
    training = start_training(stage, 0, device, engine)
    features = random_features(stage["loss"], device)
    upstream = random_levels([models[name] for name in stage["upstream"]], device)
    generator = torch.Generator().manual_seed(0)
    shape = (batch, 1, stage["tile_size"], stage["tile_size"])
    low, normal = (torch.rand(shape, generator=generator).to(device) for _ in range(2))

    def batches(_stream: str, _step: int) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            previous = apply_levels(upstream, low)
        target = previous - normal if stage["target"] == "residual" else normal
        return stack_inputs(stage["inputs"], previous, low), target

    def step() -> None:
        with (
            engine_settings(engine, device),
            torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"),
        ):
            state = (training.network, training.optimizer, training.critic)
            train_step(stage, *state, batches, 0, features)

    return step


def inference(
    levels: Sequence[Mapping[str, Any]], side: int, device: torch.device, precision: str = "fp32"
) -> Callable[[], None]:
    """A function that denoises one image of side x side pixels with untrained levels."""
    apply = tiled_levels(random_levels(levels, device), InferencePlan(precision=precision))
    image = torch.rand(1, 1, side, side, generator=torch.Generator().manual_seed(0)).to(device)

    def denoise() -> None:
        with inference_settings(device), torch.inference_mode():
            apply(image)

    return denoise


def random_levels(levels: Sequence[Mapping[str, Any]], device: torch.device) -> list[Level]:
    """Untrained levels, ready to be applied."""
    return [
        Level(
            _on(build_network(level["network"], 0, level["model"]), device)
            .eval()
            .requires_grad_(False),
            level["target"],
            tuple(level["inputs"]),
        )
        for level in levels
    ]


def random_features(loss: Mapping[str, Any], device: torch.device) -> nn.Module | None:
    """The extractor of a loss's perceptual term with random weights; None without the term."""
    if "perceptual" not in loss:
        return None
    term = loss["perceptual"]
    stack = FeatureStack(term["features"], term["layers"], term["normalisation"])
    return _on(stack, device).eval().requires_grad_(False)


def with_plain_weights(loss: Mapping[str, Any]) -> dict[str, Any]:
    """The loss with 1 for every weight that a training would measure first."""
    plain = dict(loss)
    for name in wants_matching(loss):
        plain[name] = {**loss[name], "weight": 1.0} if "weight" in loss[name] else 1.0
    return plain


def stage_facts(models: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Parameters, critic's parameters and multiply-adds per 512 x 512 slice of every stage.

    Counted on the networks' definitions; nothing is computed.
    """
    facts = {}
    for name, stage in models.items():
        network = build_network(stage["network"], 0, name).eval()
        adversarial = stage["loss"].get("adversarial")
        critic = build_network(adversarial["discriminator"], 0, name) if adversarial else None
        facts[name] = {
            "parameters": count_parameters(network),
            "critic_parameters": 0 if critic is None else count_parameters(critic),
            "multiply_adds_per_slice": multiply_adds(network, len(stage["inputs"])),
        }
    return facts


def options_on(engine: Engine) -> list[str]:
    """Names of the options that change how a step computes, and are on."""
    return [name for name, value in engine.result_options().items() if value is True]


def timed(work: Callable[[], None], device: torch.device) -> float:
    """Seconds of one call: processor time on the CPU, time on the clock on a GPU."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    _wait(device)
    started = clock()
    work()
    _wait(device)
    return clock() - started


def peak_memory_mb(device: torch.device) -> float:
    """Largest memory so far in MiB: of this process, or of the allocator on a GPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / MEBI
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (MEBI if sys.platform == "darwin" else 1024)


def start_probe(device: torch.device) -> float:
    """Make this process ready to be measured, with one thread; returns its memory in MiB.

    Freed memory goes back to the system here, unlike in the suite's jobs: how much of it a job
    keeps varies by a quarter from run to run.
    """
    torch.set_num_threads(1)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    return peak_memory_mb(device)


def steps_of_two_sizes(
    stage: Mapping[str, Any],
    models: Mapping[str, Any],
    small: int,
    large: int,
    timed_steps: int,
    device_name: str,
    precision: str,
    engine: Engine,
) -> dict[str, float]:
    """Seconds per step at the large batch, and peak memory in MiB after each of both batches."""
    device = torch.device(device_name)
    limit_threads(1)
    training_step(stage, models, small, device, precision, engine)()
    peak_small = peak_memory_mb(device)
    if engine.compile or engine.cuda_graphs:
        # Else the second batch size would be compiled for any batch, unlike in a training.
        torch.compiler.reset()
    step = training_step(stage, models, large, device, precision, engine)
    step()
    seconds = [timed(step, device) for _ in range(timed_steps)]
    return {
        "seconds_per_step": statistics.fmean(seconds),
        "peak_small": peak_small,
        "peak_large": peak_memory_mb(device),
    }


def one_slice(
    levels: Sequence[Mapping[str, Any]], side: int, device_name: str, precision: str
) -> dict[str, float]:
    """Seconds and peak memory in MiB of one slice of side x side pixels."""
    device = torch.device(device_name)
    limit_threads(1)
    apply = inference(levels, side, device, precision)
    apply()
    return {"seconds_per_slice": timed(apply, device), "peak_memory_mb": peak_memory_mb(device)}


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
    cpu = torch.device("cpu")
    parameters, tuning = {**settings, "pixel_mm": [0.7, 0.7]}, 0.0
    if hasattr(module, "tune"):
        given = {**settings, "pixel_mm": [[0.7, 0.7]]}
        module.tune([pair], given)
        seconds = timed(lambda: parameters.update(module.tune([pair], given)), cpu)
        area = (settings.get("tuning_crop", size) / size) ** 2
        tuning = seconds * area * settings.get("tuning_slices", 1)
    extra = (random_levels(levels, cpu), Scaling(-160.0, 240.0, clip=True)) if levels else ()
    seconds = timed(lambda: module.denoise(pair[0], parameters, *extra), cpu)
    return {
        "seconds_per_slice": seconds * (side / size) ** 2,
        "tuning_seconds": tuning,
        "peak_memory_mb": peak_memory_mb(cpu),
    }


def in_fresh_process(measure: Callable[..., Any], *arguments: Any) -> Any:
    """Result of `measure(*arguments)` in a process that has done nothing but import PyTorch.

    Raises InputError where the system ends the process, as it does when memory runs out.
    """
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(1, context) as pool:
        try:
            return pool.submit(measure, *arguments).result()
        except BrokenProcessPool:
            raise InputError(
                "a measurement was ended by the system; expected enough free memory for one "
                "training; close other programs, or lower the batch"
            ) from None


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _on(network: nn.Module, device: torch.device) -> nn.Module:
    return network.to(device, memory_format=torch.channels_last)
