"""Which device a job runs on, and with how many threads."""

import ctypes
import os
import sys

import torch

from ldct.errors import InputError


def choose_device(wish: str, gpus: int) -> torch.device:
    """Device for a wish "auto", "cpu" or "cuda", given the job's `gpu` resource.

    gpus : number of GPUs the workflow granted; 0 means CPU, whatever the machine has.
    Raises InputError where "cuda" is asked for and cannot be had.
    """
    available = torch.cuda.is_available() and gpus > 0
    if wish == "cuda" and not available:
        reason = "the workflow grants no GPU" if gpus < 1 else "PyTorch sees no CUDA device"
        raise InputError(
            f"device: found 'cuda' but {reason}; use device: auto, or run with --resources gpu=1 "
            "and a CUDA build of PyTorch"
        )
    return torch.device("cuda" if available and wish != "cpu" else "cpu")


# mallopt parameters of glibc, <malloc.h>.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


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
