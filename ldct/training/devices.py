"""Which device a job runs on, and with how many threads."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor

from ldct.device_slots import Slot, held_slots, lock_folder
from ldct.errors import InputError
from ldct.training.parallel import ALONE, Group


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
    devices = [torch.device("cuda", number) for number in range(torch.cuda.device_count())]
    names = [gpu_identity(device) for device in devices]
    with ExitStack() as stack:
        slots = []
        if group.local_rank == 0:
            held = held_slots(names, jobs_per_gpu, lock_folder(), group.local_size)
            slots = stack.enter_context(held)
        slot = share_slots(slots, group)
        device = devices[slot.device]
        torch.cuda.set_device(device)
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
    available = torch.cuda.is_available() and gpus > 0
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
    if device.type != "cuda":
        return str(device)
    return f"{device} ({torch.cuda.get_device_name(device)}, {gpu_identity(device)})"


def device_record(device: torch.device) -> dict[str, Any]:
    """What a provenance record says of the device, at the end of a job."""
    record: dict[str, Any] = {"device": describe_device(device)}
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device)
        record["peak_gpu_memory_mb"] = round(peak / 2**20, 1)
    return record


# mallopt parameters of glibc, <malloc.h>.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor of the host's memory to a device; the host does not wait for the device.

    From pageable memory it would wait for all that a GPU still has to do.
    """
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


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
