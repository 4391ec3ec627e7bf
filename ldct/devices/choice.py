"""Which device a job runs on, all that is special about GPUs, and numbers of threads."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor

from ldct.common.errors import InputError
from ldct.devices.parallel import ALONE, Group
from ldct.devices.slots import Slot, held_slots, lock_folder

MEBI = 2**20
# mallopt parameters of glibc, <malloc.h>.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def is_gpu(device: torch.device) -> bool:
    """Whether a device is a GPU."""
    return device.type == "cuda"


def gpus_seen() -> list[torch.device]:
    """GPUs that PyTorch sees; `CUDA_VISIBLE_DEVICES` may hide some."""
    if not torch.cuda.is_available():
        return []
    return [torch.device("cuda", number) for number in range(torch.cuda.device_count())]


def enter(device: torch.device) -> None:
    """Make a GPU this process's own; the counters of its memory exist only then."""
    if is_gpu(device):
        torch.cuda.set_device(device)


def synchronise(device: torch.device) -> None:
    """Wait until a device has done all that it was given."""
    if is_gpu(device):
        torch.cuda.synchronize(device)


def free_memory(device: torch.device) -> int | None:
    """Bytes that are free on a GPU; None on a CPU, whose memory is not counted here."""
    return torch.cuda.mem_get_info(device)[0] if is_gpu(device) else None


def total_memory_mb(device: torch.device) -> float | None:
    """Memory of a GPU in MiB; None for a CPU."""
    if not is_gpu(device):
        return None
    return torch.cuda.get_device_properties(device).total_memory / MEBI


def peak_gpu_memory_mb(device: torch.device) -> float | None:
    """Largest memory so far of this process on a GPU, by its allocator, in MiB; None on a CPU."""
    return torch.cuda.max_memory_allocated(device) / MEBI if is_gpu(device) else None


def give_back_memory() -> None:
    """Give cached memory of a GPU back, after it ran out."""
    torch.cuda.empty_cache()


def random_numbers(device: torch.device) -> dict[str, Tensor]:
    """State of PyTorch's generators, for a checkpoint."""
    state = {"random": torch.get_rng_state()}
    if is_gpu(device):
        state["random_device"] = torch.cuda.get_rng_state(device)
    return state


def set_random_numbers(state: dict[str, Any], device: torch.device) -> None:
    """Put a state from `random_numbers` in place."""
    torch.set_rng_state(state["random"])
    if is_gpu(device):
        torch.cuda.set_rng_state(state["random_device"], device)


@contextmanager
def own_random_numbers(device: torch.device) -> Iterator[None]:
    """Leave PyTorch's generators after the block as they were before."""
    with torch.random.fork_rng([device] if is_gpu(device) else []):
        yield


def autocast(device: torch.device, on: bool, **more: bool) -> torch.autocast:
    """Networks in bf16 where `on`, else in the type of their weights."""
    return torch.autocast(device.type, torch.bfloat16, enabled=on, **more)


@contextmanager
def hold_device(
    wish: str, gpus: int, jobs_per_gpu: int = 1, group: Group = ALONE
) -> Iterator[torch.device]:
    """Device for a wish "auto", "cpu" or "cuda", held for the block where it is a GPU.

    gpus : number of GPUs the workflow granted; 0 means CPU, whatever the machine has.
    jobs_per_gpu : jobs that may share one GPU; waits while every GPU has so many.
    group : processes that train together, each on a GPU of its own. The first one of each machine
        holds all of them, taken together or not at all.
    Of the GPUs that CUDA_VISIBLE_DEVICES leaves visible, a free one is taken. "auto" falls back to
    the CPU where there is none, which needs no holding: Snakemake counts cores. Says on standard
    error which device it is. Raises InputError where "cuda" is asked for and cannot be had.
    """
    if not uses_gpu(wish, gpus):
        print(f"{_process(group)}running on the CPU", file=sys.stderr)
        yield torch.device("cpu")
        return
    if gpus < group.local_size:
        raise InputError(
            f"the workflow grants {gpus} GPU for {group.local_size} processes, expected one for "
            f"each; run with --resources gpu={group.local_size}, or lower engine.processes"
        )
    devices = gpus_seen()
    names = [gpu_identity(device) for device in devices]
    with ExitStack() as stack:
        slots = []
        if group.local_rank == 0:
            held = held_slots(names, jobs_per_gpu, lock_folder(), group.local_size)
            slots = stack.enter_context(held)
        slot = share_slots(slots, group)
        device = devices[slot.device]
        enter(device)
        place = f"slot {slot.number + 1} of {jobs_per_gpu}"
        print(f"{_process(group)}running on {describe_device(device)}, {place}", file=sys.stderr)
        yield device


def share_slots(slots: list[Slot], group: Group) -> Slot:
    """This process's slot of those that the first process of its machine holds."""
    told = [0] * 2 * group.size
    for place, slot in enumerate(slots):
        told[2 * (group.rank + place)] = slot.device
        told[2 * (group.rank + place) + 1] = slot.number
    found = group.largest(told)
    return Slot(*found[2 * group.rank : 2 * group.rank + 2])


def _process(group: Group) -> str:
    return f"process {group.rank + 1} of {group.size}: " if group.several else ""


def uses_gpu(wish: str, gpus: int) -> bool:
    """Whether a wish ends on a GPU; InputError where "cuda" cannot be had."""
    available = bool(gpus_seen()) and gpus > 0
    if wish == "cuda" and not available:
        reason = "the workflow grants no GPU" if gpus < 1 else "PyTorch sees no CUDA device"
        raise InputError(
            f"device: found 'cuda' but {reason}; use device: auto, or run with --resources gpu=1 "
            "and a CUDA build of PyTorch"
        )
    return available and wish != "cpu"


def gpu_identity(device: torch.device) -> str:
    """Name of a GPU that is the same in every process, whatever CUDA_VISIBLE_DEVICES numbers it."""
    return f"GPU-{torch.cuda.get_device_properties(device).uuid}"


def describe_device(device: torch.device) -> str:
    """Device for logs and records: "cpu", or number, model and identity of a GPU."""
    if not is_gpu(device):
        return str(device)
    return f"{device} ({torch.cuda.get_device_name(device)}, {gpu_identity(device)})"


def device_record(device: torch.device) -> dict[str, Any]:
    """What a provenance record says of the device, at the end of a job."""
    record: dict[str, Any] = {"device": describe_device(device)}
    peak = peak_gpu_memory_mb(device)
    if peak is not None:
        record["peak_gpu_memory_mb"] = round(peak, 1)
    return record


def backend_of(on_gpu: bool) -> str:
    """Backend of several processes: signals and numbers go by gloo, pixels' work by NCCL."""
    return "cpu:gloo,cuda:nccl" if on_gpu else "gloo"


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor of the host's memory to a device; the host does not wait for the device."""
    return pinned(tensor, device).to(device, non_blocking=True)


def pinned(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor that a GPU can fetch by itself: from other memory the host would wait for it."""
    return tensor.pin_memory() if is_gpu(device) else tensor


def keep_freed_memory() -> None:
    """Make the C library keep freed memory for the next feature map, where it is glibc.

    Else every feature map of a whole slice is mapped and cleared anew: two thirds more CPU time for
    DRL on 512 x 512 pixels, the same bits.
    """
    if not sys.platform.startswith("linux"):
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(M_MMAP_MAX, 0)
        library.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def usable_cores() -> int:
    """Cores that this process may use; all of them where the system cannot tell."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def limit_threads(threads: int) -> int:
    """Set PyTorch's thread number to at most what the machine lets this process use.

    Called once by every job that runs networks; also calls `keep_freed_memory`.
    """
    keep_freed_memory()
    usable = max(1, min(threads, usable_cores()))
    torch.set_num_threads(usable)
    return usable
