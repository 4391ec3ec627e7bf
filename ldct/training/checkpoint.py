"""What a training is at one moment, and its checkpoints: it goes on as if it had never stopped."""

import hashlib
import io
import signal
import sys
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ldct.common.files import atomic_path, write_durably
from ldct.devices.choice import own_random_numbers, random_numbers, set_random_numbers
from ldct.training.critics import Critic

DIGEST_BYTES = hashlib.sha256().digest_size
# The newest, and the one before it, for the case that the newest is damaged.
NEWEST, PREVIOUS = "checkpoint.pt", "checkpoint.previous.pt"
# A system that shuts down or cancels a job; a batch system's warning; Ctrl-C.
STOPS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
# Of a `Training`, what goes into a checkpoint as it is.
PLAIN = ("step", "history", "sums", "summed", "seconds", "cpu_seconds", "restarts")


@dataclass
class Training:
    """All that changes while a stage is trained.

    step : steps done. history : rows of `history.csv`.
    sums, summed : of the loss terms since the last row, and over how many steps.
    seconds, cpu_seconds : spent on these steps, over all processes that worked on them.
    restarts : how often it went on from a checkpoint.
    """

    network: nn.Module
    optimizer: Optimizer
    critic: Critic | None
    step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    sums: Tensor | None = None
    summed: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    restarts: int = 0

    @property
    def optimizers(self) -> list[Optimizer]:
        """The network's optimiser and its critic's."""
        return [self.optimizer] if self.critic is None else [self.optimizer, self.critic.optimizer]


def snapshot(
    training: Training, fingerprint: str, device: torch.device, loss: Mapping[str, Any]
) -> dict[str, Any]:
    """The whole state. Batches need none: they are a function of seed and step.

    loss : of the stage, with numbers for all weights: measured again, they could differ on a GPU.
    """
    state = {
        "fingerprint": fingerprint,
        "loss": dict(loss),
        "network": training.network.state_dict(),
        "optimizer": training.optimizer.state_dict(),
        **{name: getattr(training, name) for name in PLAIN},
        **random_numbers(device),
    }
    if training.critic is not None:
        state["critic"] = training.critic.network.state_dict()
        state["critic_optimizer"] = training.critic.optimizer.state_dict()
    return state


def restore(training: Training, state: dict[str, Any], device: torch.device) -> None:
    """Put a checkpoint's state in place."""
    training.network.load_state_dict(state["network"])
    training.optimizer.load_state_dict(state["optimizer"])
    if training.critic is not None:
        training.critic.network.load_state_dict(state["critic"])
        training.critic.optimizer.load_state_dict(state["critic_optimizer"])
    for name in PLAIN:
        setattr(training, name, state[name])
    if training.sums is not None:
        training.sums = training.sums.to(device)
    training.restarts += 1
    set_random_numbers(state, device)


@contextmanager
def random_state(seed: int, purpose: str, device: torch.device) -> Iterator[None]:
    """PyTorch's random numbers (dropout) from a seed of the training's own, for one block."""
    with own_random_numbers(device):
        torch.manual_seed(zlib.crc32(f"{seed}/{purpose}/steps".encode()))
        yield


def seed_step(seed: int, purpose: str, step: int, rank: int) -> None:
    """Start PyTorch's random numbers of one step and process of several: nothing to be saved."""
    key = [seed, zlib.crc32(purpose.encode()), step, rank]
    torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1))


def state_tensors(training: Training) -> list[Tensor]:
    """Weights, moving statistics and moments: all numbers that must stay finite.

    All on one device: Adam's step counter, which may be on the CPU, is not among them.
    """
    networks = [training.network] + ([training.critic.network] if training.critic else [])
    tensors = [tensor for network in networks for tensor in network.state_dict().values()]
    for optimizer in training.optimizers:
        for entry in optimizer.state.values():
            tensors += [value for name, value in entry.items() if name != "step"]
    return [tensor for tensor in tensors if tensor.is_floating_point()]


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
    """Make STOPS ask for a checkpoint after the running step; twice, end at once.

    patient : not even then, nor after the block, so that results or a message are still written: a
        process of torchrun gets signals from the system and from torchrun, which kills in the end.

    Yields {"signal": 0}, whose value becomes the number of the signal.
    """
    stop = {"signal": 0}

    def request(number: int, _: object) -> None:
        stop["signal"] = number
        signal.signal(number, signal.SIG_IGN if patient else signal.SIG_DFL)

    previous = {n: signal.signal(n, request) for n in STOPS}
    try:
        yield stop
    finally:
        if not patient:
            for number, handler in previous.items():
                signal.signal(number, handler)
