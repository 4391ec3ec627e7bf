"""Short measurements of training steps and inference on made-up images: time and memory.

Weights and pixels are random: neither time nor memory depends on them. Peak memory is the system's
own figure of a process that does nothing else; on a GPU it is the allocator's.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any

import torch
from torch import Tensor, nn

from ldct.common import provenance
from ldct.common.errors import InputError
from ldct.denoising.network import InferencePlan, inference_settings, tiled_levels
from ldct.devices.choice import is_gpu, peak_gpu_memory_mb, synchronise
from ldct.devices.engine import Engine, engine_settings, step_settings
from ldct.networks.chain import Level, apply_levels, stack_inputs
from ldct.networks.cost import multiply_adds
from ldct.networks.facts import count_parameters
from ldct.networks.files import build_network
from ldct.networks.sizes import served
from ldct.pretrained.vgg import FeatureStack
from ldct.training.loop import start_training, train_step
from ldct.training.matching import wants_matching


def training_step(
    stage: Mapping[str, Any],
    models: Mapping[str, Any],
    batch: int,
    device: torch.device,
    precision: str,
    engine: Engine,
) -> Callable[[], None]:
    """A function that makes one step of a stage, upstream levels and critic steps included.

    stage : resolved by `ldct.configuration.stages`; its recipe's batch is replaced by `batch`.
    models : the resolved stages that it names as upstream.
    precision : "fp32" or "bf16" (autocast). engine : from `resolve_engine`.
    """
    stage = {**stage, "loss": with_plain_weights(stage["loss"])}
    training = start_training(stage, 0, device, engine)
    features, term = None, stage["loss"].get("perceptual")
    if term:
        stack = FeatureStack(term["features"], term["layers"], term["normalisation"])
        features = _on(stack, device).eval().requires_grad_(False)
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
        with engine_settings(engine, device), step_settings(engine, device, precision):
            state = (training.network, training.optimizer, training.critic)
            train_step(stage, *state, batches, 0, features)

    return step


def inference(
    levels: Sequence[Level], side: int, device: torch.device, plan: InferencePlan
) -> Callable[[], None]:
    """A function that denoises the images of one batch of a plan, of side x side pixels."""
    apply = tiled_levels(levels, plan)
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(plan.batch, 1, side, side, generator=generator).to(device)

    def denoise() -> None:
        with inference_settings(device), torch.inference_mode():
            apply(images)

    return denoise


def random_levels(levels: Sequence[Mapping[str, Any]], device: torch.device) -> list[Level]:
    """Untrained levels, ready to be applied."""
    built = [(build_network(each["network"], 0, each["model"]), each["network"]) for each in levels]
    networks = [_on(served(*network), device) for network in built]
    return [
        Level(network.eval().requires_grad_(False), level["target"], tuple(level["inputs"]))
        for network, level in zip(networks, levels, strict=True)
    ]


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
            "multiply_adds_per_slice": multiply_adds(
                served(network, stage["network"]), len(stage["inputs"])
            ),
        }
    return facts


def options_on(engine: Engine) -> list[str]:
    """Names of the options that change how a step computes, and are on."""
    return [name for name, value in engine.result_options().items() if value is True]


def warm_up_calls(engine: Engine, device: torch.device) -> int:
    """Calls of a step after which all take the same time: kernels chosen, compiled, recorded.

    A CUDA graph is recorded at the second call of each function and replayed from the third.
    """
    return 3 if is_gpu(device) or engine.compile or engine.cuda_graphs else 1


def timed(work: Callable[[], None], device: torch.device) -> float:
    """Seconds of one call: processor time on the CPU, time on the clock on a GPU."""
    clock = time.perf_counter if is_gpu(device) else time.process_time
    synchronise(device)
    started = clock()
    work()
    synchronise(device)
    return clock() - started


def peak_memory_mb(device: torch.device) -> float:
    """Largest memory so far in MiB: of this process, or of the allocator on a GPU."""
    on_gpu = peak_gpu_memory_mb(device)
    return provenance.peak_memory_mb() if on_gpu is None else on_gpu


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


def _on(network: nn.Module, device: torch.device) -> nn.Module:
    return network.to(device, memory_format=torch.channels_last)
