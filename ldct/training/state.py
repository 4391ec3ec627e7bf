"""What a training is at one moment, and how it goes into a checkpoint and comes back."""

import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ldct.devices.choice import own_random_numbers, random_numbers, set_random_numbers
from ldct.training.critics import Critic


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
        "step": training.step,
        "network": training.network.state_dict(),
        "optimizer": training.optimizer.state_dict(),
        "history": training.history,
        "sums": training.sums,
        "summed": training.summed,
        "seconds": training.seconds,
        "cpu_seconds": training.cpu_seconds,
        "restarts": training.restarts,
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
    training.step = state["step"]
    training.history = state["history"]
    training.sums = None if state["sums"] is None else state["sums"].to(device)
    training.summed = state["summed"]
    training.seconds, training.cpu_seconds = state["seconds"], state["cpu_seconds"]
    training.restarts = state["restarts"] + 1
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
