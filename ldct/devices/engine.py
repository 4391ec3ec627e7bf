"""How a training computes: options of speed and exactness, never of what is computed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import nn

from ldct.common.errors import InputError
from ldct.devices.choice import autocast, is_gpu
from ldct.devices.torch_build import CHANGE_BITS

# cuBLAS is deterministic with workspaces of a fixed size alone (CUDA documentation).
CUBLAS_WORKSPACE = ":4096:8"


@dataclass(frozen=True)
class Engine:
    """Options of `engine` in the configuration.

    The first five may change the last bits of the weights:
    compile : `torch.compile` of network and critic; needs a C++ compiler (CPU) or Triton (GPU).
    cuda_graphs : compile, and replay the kernels as CUDA graphs.
    tf32 : matrix products of float32 in TF32 on a GPU; without it they are full float32.
    fused_optimizer : Adam in one kernel; "auto" where the device is a GPU.
    deterministic : only deterministic GPU algorithms; CPU trainings are deterministic anyway.
    The others do not:
    volumes_on_device : gather tiles on the GPU; "auto" where the volumes fit into half its memory.
    workers : threads that gather tiles ahead.
    """

    compile: bool = False
    cuda_graphs: bool = False
    tf32: bool = False
    fused_optimizer: bool | str = "auto"
    deterministic: bool = False
    volumes_on_device: bool | str = "auto"
    workers: int = 0

    def result_options(self) -> dict[str, Any]:
        """The options that may change bits, for fingerprints and provenance."""
        return {name: value for name, value in asdict(self).items() if name in CHANGE_BITS}


GPU_ONLY = ("tf32", "deterministic")


def resolve_engine(engine: Engine, device: torch.device) -> Engine:
    """The options as they act on a device: "auto" decided, options of a GPU off on a CPU.

    `volumes_on_device: auto` is left for `volumes_fit`. Raises InputError for CUDA graphs on a CPU.
    """
    on_gpu = is_gpu(device)
    if engine.cuda_graphs and not on_gpu:
        raise InputError(
            f"engine.cuda_graphs: found true on the device '{device}', expected a CUDA device; set "
            "engine.cuda_graphs: false, or run with a GPU"
        )
    fused = on_gpu if engine.fused_optimizer == "auto" else engine.fused_optimizer
    off = {} if on_gpu else dict.fromkeys(GPU_ONLY, False)
    return replace(engine, fused_optimizer=fused, **off)


@contextmanager
def engine_settings(engine: Engine, device: torch.device, *, search: bool = True) -> Iterator[None]:
    """Set PyTorch's switches of TF32 and determinism for the duration of the block.

    engine : from `resolve_engine`. search : for the fastest convolution, where not deterministic.
    PyTorch's own default lets convolutions of float32 run in TF32.
    """
    if not is_gpu(device):
        yield
        return
    if engine.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", CUBLAS_WORKSPACE)
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic
    deterministic_before = torch.are_deterministic_algorithms_enabled()
    matmul.allow_tf32 = cudnn.allow_tf32 = engine.tf32
    cudnn.benchmark = search and not engine.deterministic
    cudnn.deterministic = engine.deterministic
    torch.use_deterministic_algorithms(engine.deterministic)
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic = before
        torch.use_deterministic_algorithms(deterministic_before)


@contextmanager
def step_settings(engine: Engine, device: torch.device, precision: str) -> Iterator[None]:
    """What one training step runs in: autocast, and a new round of CUDA graphs.

    engine : from `resolve_engine`. precision : "fp32" or "bf16" (autocast).
    """
    if engine.cuda_graphs:
        # Else every call of a network begins a round, which takes back what the one before gave.
        torch.compiler.cudagraph_mark_step_begin()
    # Without the cache of cast weights: it would hide every update within the step from the
    # networks. Casting them again costs no measurable time on a CPU.
    with autocast(device, precision == "bf16", cache_enabled=False):
        yield


def compile_network(network: nn.Module, engine: Engine) -> None:
    """Compile the forward pass of a network in place, where the engine says so."""
    if engine.compile or engine.cuda_graphs:
        network.compile(mode="reduce-overhead" if engine.cuda_graphs else None)
