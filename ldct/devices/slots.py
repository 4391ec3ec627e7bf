"""Devices shared by jobs: a held file lock for each device and slot.

Jobs of one or several runs that start side by side must not meet on one GPU by accident. Every job
that uses a device holds a lock on one of its slots while it runs. The operating system gives a lock
back when its holder ends, however it ends: there is nothing to clean up.
"""

import fcntl
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path

from ldct.common.errors import InputError

SECONDS_BETWEEN_TRIES = 0.5


@dataclass(frozen=True)
class Slot:
    """A place on a device: the device's position in the list asked for, and the slot's number."""

    device: int
    number: int


def lock_folder() -> Path:
    """Folder of this user's locks on this machine; not in the run's, so that all runs see them."""
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir(), f"ldct-devices-{user}")
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != user:
        raise InputError(f"{folder}: belongs to someone else; remove it, or set TMPDIR")
    return folder


@contextmanager
def held_slots(
    devices: Sequence[str], jobs_per_device: int, folder: Path, count: int
) -> Iterator[list[Slot]]:
    """Hold one slot of each of `count` devices; wait, holding none, until there are so many.

    devices : names that mean the same device in every process on this machine (a GPU's UUID).
    jobs_per_device : slots of each device; all processes must agree on it.
    folder : where the lock files are, on a local file system.
    Two jobs that each hold one device and wait for the other's cannot come about. The first slots
    of all devices are taken before the second of any.
    Raises InputError where there are fewer devices than `count`.
    """
    if len(devices) < count:
        raise InputError(
            f"found {len(devices)} GPUs for {count} processes, expected one for each; lower "
            "engine.processes, or set CUDA_VISIBLE_DEVICES"
        )
    told = False
    while True:
        with ExitStack() as stack:
            slots = _free_slots(devices, jobs_per_device, folder, count, stack)
            if len(slots) == count:
                yield slots
                return
        if not told:
            print(
                f"waiting for a free device: {len(devices)} x {jobs_per_device} jobs run already",
                file=sys.stderr,
            )
            told = True
        time.sleep(SECONDS_BETWEEN_TRIES)


def _free_slots(
    devices: Sequence[str], jobs_per_device: int, folder: Path, count: int, stack: ExitStack
) -> list[Slot]:
    """At most `count` slots of different devices that were free; `stack` holds their locks."""
    taken: dict[int, Slot] = {}
    # One at a time: two that look at once could each take half of the devices, and both give up.
    with (folder / "choosing.lock").open("a") as choosing:
        fcntl.flock(choosing, fcntl.LOCK_EX)
        for slot in (Slot(d, n) for n in range(jobs_per_device) for d in range(len(devices))):
            if len(taken) == count:
                break
            name = re.sub(r"[^A-Za-z0-9_-]", "_", devices[slot.device])
            path = folder / f"{name}.{slot.number}.lock"
            file = None if slot.device in taken else _try_lock(path)
            if file is not None:
                stack.enter_context(file)
                taken[slot.device] = slot
    return list(taken.values())


def _try_lock(path: Path) -> TextIOWrapper | None:
    """The locked file, which holds the lock until it is closed; None where another holds it."""
    file = path.open("a", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    # Who holds the lock, for people who look.
    file.truncate(0)
    print(os.getpid(), file=file, flush=True)
    return file
