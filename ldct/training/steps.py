"""One optimisation step: of a network alone, and of a generator against its critic."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ldct.devices.parallel import WHOLE, Part
from ldct.training.critics import Critic, critic_step, descend, generator_term
from ldct.training.losses import Features, content_loss

# (network input [batch, inputs, tile, tile], target [batch, 1, tile, tile]) in network units. The
# first channel of the input is the image that the stage is to improve.
Batch = tuple[Tensor, Tensor]


def content_step(
    network: nn.Module,
    optimizer: Optimizer,
    batch: Batch,
    loss: Mapping[str, Any],
    features: Features | None = None,
    part: Part = WHOLE,
) -> dict[str, Tensor]:
    """One step on content losses alone; returns the terms. part : what of a batch `batch` is."""
    inputs, target = batch
    total, terms = content_loss(network(inputs), target, loss, features)
    descend(network, optimizer, total, part)
    return part.weigh(terms)


def adversarial_step(
    generator: nn.Module,
    optimizer: Optimizer,
    critic: Critic,
    batch: Batch,
    critic_batch: Callable[[int], Batch],
    loss: Mapping[str, Any],
    features: Features | None = None,
    step: int = 0,
    part: Part = WHOLE,
    critic_part: Callable[[int], Part] = lambda _: WHOLE,
) -> dict[str, Tensor]:
    """`critic.steps` critic steps, then one generator step; returns the terms of the last of each.

    step : of the generator, 0, 1, ...
    critic_batch : gives the batch of a critic step by its number since the training began.
    part, critic_part : what of a batch `batch` is, and that of a critic step by its number.
    """
    terms: dict[str, Tensor] = {}
    for number in range(step * critic.steps, (step + 1) * critic.steps):
        inputs, target = critic_batch(number)
        # Fakes for the critic: no gradient, and batch norm with its moving statistics.
        generator.eval()
        with torch.no_grad():
            # Copied, since CUDA graphs reuse the memory of their outputs.
            fake = generator(inputs).clone()
        generator.train()
        terms = critic_step(critic, target, fake, inputs[:, :1], number, critic_part(number))
    inputs, target = batch
    prediction = generator(inputs)
    total, content_terms = content_loss(prediction, target, loss, features)
    condition = target if critic.generator_condition == "target" else inputs[:, :1]
    adversarial = generator_term(critic, prediction, condition)
    descend(generator, optimizer, total + critic.weight * adversarial, part)
    own = part.weigh({**content_terms, "adversarial": adversarial.detach()})
    return own | terms
