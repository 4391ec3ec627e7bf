"""Checkpoints: a training goes on as if it had never stopped, whoever stopped it."""

import hashlib
import io
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ldct.common.files import atomic_path, write_durably

DIGEST_BYTES = hashlib.sha256().digest_size
# The newest, and the one before it, for the case that the newest is damaged.
NEWEST, PREVIOUS = "checkpoint.pt", "checkpoint.previous.pt"


def keep_checkpoint(folder: Path, state: dict[str, Any]) -> bool:
    """Save a checkpoint beside the one before; whether it could be written.

    Where it cannot (disk full, quota, a lost file system) a warning is printed and the older
    checkpoints stay: training on costs less than stopping.
    """
    try:
        save_checkpoint(folder / NEWEST, state)
    except OSError as error:
        reason = error.strerror or error
        print(
            f"warning: {folder / NEWEST}: not written at step {state.get('step')} ({reason}); the "
            "training goes on, and older checkpoints are kept; free some space",
            file=sys.stderr,
        )
        return False
    return True


def newest_checkpoint(folder: Path, fingerprint: str) -> dict[str, Any] | None:
    """The newest checkpoint of this training that is whole; None where there is none.

    Says on standard error which one is taken, or why one that lies there is not.
    """
    for name in (NEWEST, PREVIOUS):
        path = folder / name
        state = load_checkpoint(path, fingerprint)
        if state is not None:
            print(f"{path}: going on after {state['step']} steps", file=sys.stderr)
            return state
        if path.is_file():
            print(
                f"{path}: not used: damaged, or of another training (its settings, data or code)",
                file=sys.stderr,
            )
    return None


def remove_superseded(folder: Path) -> None:
    """Remove what a finished training needs no more: all but the checkpoint of its last step.

    That one stays, so that a job that fails after its training (a full disk, a signal) or whose
    results are not taken over need not train again.
    """
    (folder / PREVIOUS).unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files of killed jobs; only for the one process that works in `folder`."""
    for path in folder.glob(".*.tmp*"):
        path.unlink(missing_ok=True)


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write tensors, numbers and strings atomically; the file there before becomes `PREVIOUS`.

    The file is the sha256 of all that follows, then what `torch.save` writes. It is on the disk,
    not only in the system's memory, before it takes the place of the old one.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()
    with atomic_path(path) as temporary:
        write_durably(temporary, hashlib.sha256(content).digest(), content)
        if path.is_file():
            path.replace(path.with_name(PREVIOUS))


def load_checkpoint(path: Path, fingerprint: str) -> dict[str, Any] | None:
    """Read a checkpoint made by the same stage, data and code; None where there is none.

    fingerprint : digest of all that defines the training; a checkpoint of another one is ignored,
        and so is a damaged one.
    """
    if not path.is_file():
        return None
    stored = path.read_bytes()
    digest, content = stored[:DIGEST_BYTES], stored[DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        return None
    state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return state if state["fingerprint"] == fingerprint else None


@contextmanager
def stop_on_signal(patient: bool = False) -> Iterator[dict[str, int]]:
    """Make SIGTERM and Ctrl-C ask for a checkpoint after the running step; twice, end at once.

    patient : not even then, nor after the block, so that results or a message are still written: a
        process of torchrun gets signals from the system and from torchrun, which kills in the end.

    Yields {"signal": 0}, whose value becomes the number of the signal.
    """
    stop = {"signal": 0}

    def request(number: int, _: object) -> None:
        stop["signal"] = number
        signal.signal(number, signal.SIG_IGN if patient else signal.SIG_DFL)

    previous = {n: signal.signal(n, request) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        if not patient:
            for number, handler in previous.items():
                signal.signal(number, handler)
