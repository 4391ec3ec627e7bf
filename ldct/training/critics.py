"""Critics: how they learn to tell NDCT from predictions, and what they tell the generator."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ldct.devices.choice import autocast, is_gpu, to_device
from ldct.devices.parallel import ALONE, WHOLE, Group, Part, add_up, with_common_statistics
from ldct.networks.files import build_network
from ldct.training.losses import least_squares
from ldct.training.recipe import make_optimizer

# Keeps the random numbers of the gradient penalty apart from those of the batches.
PENALTY_STREAM = 3


@dataclass(frozen=True)
class Critic:
    """A discriminator, its optimiser, and how it plays.

    weight : of the adversarial term in the generator's loss.
    targets : "real", "fake" and "generator" of a least-squares critic; empty for a Wasserstein one.
    steps : critic steps per generator step.
    kind : "least_squares" or "wasserstein".
    gradient_penalty : weight of the penalty of a Wasserstein critic.
    seed : of the penalty's random points between real and fake.
    generator_condition : beside which image the generator is judged, "low_dose" or "target".
    """

    network: nn.Module
    optimizer: Optimizer
    weight: float
    targets: Mapping[str, float]
    steps: int
    kind: str = "least_squares"
    gradient_penalty: float = 0.0
    seed: int = 0
    generator_condition: str = "low_dose"


def make_critic(
    stage: Mapping[str, Any],
    seed: int,
    device: torch.device,
    fused: bool | None = None,
    group: Group = ALONE,
) -> Critic | None:
    """The discriminator that a stage's adversarial loss names; None for a stage without one.

    fused : of its optimiser (see `make_optimizer`). group : processes that train it together.
    """
    adversarial = stage["loss"].get("adversarial")
    if adversarial is None:
        return None
    kind = adversarial.get("kind", "least_squares")
    network = build_network(adversarial["discriminator"], seed, stage["model"] + "/critic")
    if kind != "wasserstein":
        # Batch norm over processes has no second derivatives, which the gradient penalty needs.
        network = with_common_statistics(network, group, is_gpu(device))
    network = network.to(device, memory_format=torch.channels_last).train()
    return Critic(
        network=network,
        optimizer=make_optimizer(network, stage["recipe"], fused),
        weight=adversarial["weight"],
        targets=adversarial.get("targets", {}),
        steps=stage["recipe"]["critic_steps"],
        kind=kind,
        gradient_penalty=adversarial.get("gradient_penalty", 0.0),
        seed=seed,
        generator_condition=adversarial.get("generator_condition", "low_dose"),
    )


def generator_term(critic: Critic, prediction: Tensor, condition: Tensor) -> Tensor:
    """What the generator minimises: how far the critic is from taking its output for NDCT.

    The critic is in training mode: its batch norm normalises by the batch, as Keras' does in a
    frozen network.
    """
    with frozen(critic.network):
        scores = critic.network(prediction, condition)
    if critic.kind == "wasserstein":
        return -scores.mean()
    return least_squares(scores, critic.targets["generator"])


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Within the block neither weights nor moving statistics of `network` can change."""
    norms = [
        module for module in network.modules() if getattr(module, "track_running_stats", False)
    ]
    network.requires_grad_(False)
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        network.requires_grad_(True)
        for norm in norms:
            norm.track_running_stats = True


def critic_step(
    critic: Critic, real: Tensor, fake: Tensor, condition: Tensor, number: int, part: Part = WHOLE
) -> dict[str, Tensor]:
    """One critic step; returns its terms.

    A least-squares critic is updated twice, on the real batch and then on the fake one, as in the
    authors' code; a Wasserstein one once, on D(fake) - D(real) + weight * gradient penalty
    (Gulrajani et al. 2017).
    real, fake, condition : [batch, 1, tile, tile]: NDCT, prediction (no gradient), LDCT.
    number : of this step since the training began; the penalty's random points follow from it.
    part : rows of the batch that the tiles are.
    """
    # Under bf16 the fake is rounded, which must not tell it from the real one.
    terms, real = {}, real.to(fake.dtype)
    if critic.kind == "wasserstein":
        # Drawn for the whole batch: a tile's random point does not depend on who computes it.
        shares = interpolation_shares(critic.seed, number, part.total or len(real))
        share = to_device(shares[part.rows], real.device)
        distance = critic.network(real, condition).mean() - critic.network(fake, condition).mean()
        penalty = gradient_penalty(critic.network, real, fake, condition, share)
        loss = critic.gradient_penalty * penalty - distance
        descend(critic.network, critic.optimizer, loss, part)
        terms = {"critic_distance": distance.detach(), "critic_penalty": penalty.detach()}
    else:
        for name, image in (("real", real), ("fake", fake)):
            loss = least_squares(critic.network(image, condition), critic.targets[name])
            descend(critic.network, critic.optimizer, loss, part)
            terms[f"critic_{name}"] = loss.detach()
    return part.weigh(terms)


def critic_auc(
    critic: Critic,
    generator: nn.Module,
    batches: Callable[[int], tuple[Tensor, Tensor]],
    number: int,
) -> float:
    """How often the critic rates an NDCT tile as more real than a generated one: AUC, in [0, 1].

    0.5 is chance. batches : gives batch 0 .. `number` - 1 of (network input, NDCT), tiles that the
    critic is not trained on. Both networks are in evaluation mode meanwhile.
    """
    networks = [network for network in (generator, critic.network) if network.training]
    for network in networks:
        network.eval()
    real, fake = [], []
    with torch.no_grad():
        for place in range(number):
            inputs, target = batches(place)
            condition = inputs[:, :1]
            for scores, image in ((real, target), (fake, generator(inputs))):
                scores.append(critic.network(image, condition).float().flatten(1).mean(dim=1))
    for network in networks:
        network.train()
    # A least-squares critic may be taught that real is the lower score.
    lower = critic.targets and critic.targets["real"] < critic.targets["fake"]
    ahead = torch.cat(real)[:, None] - torch.cat(fake)
    share = (ahead > 0).double().mean() + (ahead == 0).double().mean() / 2
    return float(1 - share if lower else share)


def gradient_penalty(
    network: nn.Module, real: Tensor, fake: Tensor, condition: Tensor, share: Tensor
) -> Tensor:
    """Mean squared distance from 1 of the critic's slope between real and fake tiles.

    share : [batch, 1, 1, 1], how much of the real tile is in each point.
    The slope of a tile is the Euclidean norm over all its pixels. Computed in float32.
    """
    with autocast(real.device, False):
        points = (share * real + (1 - share) * fake).float().requires_grad_()
        scores = network(points, condition)
        (slopes,) = torch.autograd.grad(scores.sum(), points, create_graph=True)
        return ((slopes.flatten(1).norm(dim=1) - 1) ** 2).mean()


def interpolation_shares(seed: int, number: int, batch: int) -> Tensor:
    """Uniform random numbers [batch, 1, 1, 1], a pure function of seed and critic step."""
    sequence = np.random.SeedSequence([seed, PENALTY_STREAM, number])
    shares = np.random.Generator(np.random.Philox(sequence)).random(batch, dtype=np.float32)
    return torch.from_numpy(shares)[:, None, None, None]


def descend(network: nn.Module, optimizer: Optimizer, total: Tensor, part: Part) -> None:
    """One step of a network's optimiser down the gradient of `total`, a mean over `part`."""
    if part.group.several:
        total = total * part.share
    total.backward()
    add_up(network, part)
    optimizer.step()
    # Now, not before the next step: kept gradients take memory, and keep CUDA graphs from ending.
    optimizer.zero_grad(set_to_none=True)
