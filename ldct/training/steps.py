"""One optimisation step: of a network alone, and of a generator against its critic."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ldct.training.losses import content_loss, least_squares

# (network input, training target, LDCT), each [batch, 1, tile, tile] in network units.
Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Critic:
    """A discriminator, its optimiser, its target values and its steps per generator step."""

    network: nn.Module
    optimizer: Optimizer
    weight: float
    targets: Mapping[str, float]
    steps: int


def content_step(
    network: nn.Module, optimizer: Optimizer, batch: Batch, loss: Mapping[str, Any]
) -> dict[str, Tensor]:
    """One step on content losses alone; returns the terms."""
    inputs, target = batch
    total, terms = content_loss(network(inputs), target, loss)
    _descend(optimizer, total)
    return terms


def adversarial_step(
    generator: nn.Module,
    optimizer: Optimizer,
    critic: Critic,
    batch: Batch,
    critic_batch: Callable[[int], Batch],
    loss: Mapping[str, Any],
) -> dict[str, Tensor]:
    """`critic.steps` critic steps, then one generator step; returns the terms of the last of each.

    critic_batch : gives the batch of the k-th critic step, k = 0 .. critic.steps - 1.
    Source: METHODS.md 4.2; the critic is updated on the real batch, then on the fake one.
    """
    terms: dict[str, Tensor] = {}
    for number in range(critic.steps):
        terms = _critic_step(generator, critic, critic_batch(number))
    inputs, target = batch
    prediction = generator(inputs)
    total, content_terms = content_loss(prediction, target, loss)
    critic.network.requires_grad_(False)
    critic.network.eval()
    adversarial = least_squares(critic.network(prediction, inputs), critic.targets["generator"])
    _descend(optimizer, total + critic.weight * adversarial)
    critic.network.requires_grad_(True)
    critic.network.train()
    return {**content_terms, "adversarial": adversarial.detach(), **terms}


def _critic_step(generator: nn.Module, critic: Critic, batch: Batch) -> dict[str, Tensor]:
    inputs, target = batch
    generator.eval()
    with torch.no_grad():
        fake = generator(inputs)
    generator.train()
    real_loss = least_squares(critic.network(target, inputs), critic.targets["real"])
    _descend(critic.optimizer, real_loss)
    fake_loss = least_squares(critic.network(fake, inputs), critic.targets["fake"])
    _descend(critic.optimizer, fake_loss)
    return {"critic_real": real_loss.detach(), "critic_fake": fake_loss.detach()}


def _descend(optimizer: Optimizer, total: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    total.backward()
    optimizer.step()
