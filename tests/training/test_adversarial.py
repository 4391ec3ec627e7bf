"""Steps of generator and critic, by hand where a formula exists; resuming with every critic."""

import copy

import pytest
import torch
from torch import nn
from training_inputs import METHODS, TILE, killed_at_step, train_here, write_training_data

from ldct.configuration.registry import find_methods
from ldct.configuration.stages import resolve_models
from ldct.devices.engine import Engine, step_settings
from ldct.training import steps
from ldct.training.critics import Critic, critic_step, gradient_penalty, interpolation_shares
from ldct.training.steps import adversarial_step


class Pair(nn.Module):
    """A small critic that looks at candidate and condition, nonlinear in both."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(4 * 36, 1))

    def forward(self, candidate, condition):
        return self.body(torch.cat([candidate, condition], dim=1))


class Linear(nn.Module):
    """A critic whose slope is known: the norm of its weights, everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(64))

    def forward(self, candidate, condition):
        return candidate.flatten(1) @ self.weight[:, None]


def tiles(seed: int, count: int = 3) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.rand(count, 1, 8, 8, generator=generator) for _ in range(3))


def critic_of(network: nn.Module, rate: float = 0.1, **settings) -> Critic:
    optimizer = torch.optim.SGD(network.parameters(), lr=rate)
    settings = {"weight": 1.0, "targets": {}, "steps": 1} | settings
    return Critic(network=network, optimizer=optimizer, **settings)


def test_gradient_penalty_tile_by_tile():
    torch.manual_seed(1)
    network = Pair()
    real, fake, condition = tiles(1)
    share = interpolation_shares(0, 7, 3)
    slopes = []
    for k in range(3):
        point = (share[k] * real[k] + (1 - share[k]) * fake[k])[None].requires_grad_()
        (slope,) = torch.autograd.grad(network(point, condition[k][None]), point)
        slopes.append(slope.square().sum().sqrt())
    expected = ((torch.stack(slopes) - 1) ** 2).sum() / 3
    torch.testing.assert_close(gradient_penalty(network, real, fake, condition, share), expected)


def test_wasserstein_step_descends_the_written_out_loss():
    torch.manual_seed(2)
    network = Pair()
    real, fake, condition = tiles(2)
    by_hand = copy.deepcopy(network)
    terms = critic_step(
        critic_of(network, kind="wasserstein", gradient_penalty=10.0, seed=3),
        real,
        fake,
        condition,
        number=5,
    )
    share = interpolation_shares(3, 5, 3)
    penalty = gradient_penalty(by_hand, real, fake, condition, share)
    distance = by_hand(real, condition).mean() - by_hand(fake, condition).mean()
    gradients = torch.autograd.grad(10.0 * penalty - distance, list(by_hand.parameters()))
    torch.testing.assert_close(terms["critic_distance"], distance.detach())
    torch.testing.assert_close(terms["critic_penalty"], penalty.detach())
    for after, before, gradient in zip(
        network.parameters(), by_hand.parameters(), gradients, strict=True
    ):
        torch.testing.assert_close(after, before - 0.1 * gradient)


def test_interpolation_shares_follow_from_seed_and_step_alone():
    first = interpolation_shares(1, 2, 500)
    assert torch.equal(first, interpolation_shares(1, 2, 500))
    assert not torch.equal(first, interpolation_shares(1, 3, 500))
    assert not torch.equal(first, interpolation_shares(2, 2, 500))
    assert first.shape == (500, 1, 1, 1)
    assert 0 <= first.min() < 0.05
    assert 0.95 < first.max() < 1


@pytest.mark.parametrize("kind", ["least_squares", "wasserstein"])
def test_critic_steps_leave_the_generator_alone_and_the_generator_step_the_critic(kind):
    torch.manual_seed(4)
    generator = nn.Conv2d(1, 1, 3, padding=1)
    targets = {"real": -1.0, "fake": 1.0, "generator": -1.0}
    settings = {"kind": kind, "targets": targets, "gradient_penalty": 10.0, "steps": 2}
    critic = critic_of(Pair(), **settings)
    real, _, condition = tiles(4)
    seen = []

    def critic_batch(number):
        seen.append(copy.deepcopy(generator.state_dict()))
        return condition, real

    start = copy.deepcopy(generator.state_dict())
    optimizer = torch.optim.SGD(generator.parameters(), lr=0.1)
    by_hand = copy.deepcopy(generator)
    terms = adversarial_step(
        generator, optimizer, critic, (condition, real), critic_batch, {"mae": 100.0}
    )
    assert len(seen) == 2
    for state in seen:
        assert all(torch.equal(state[key], start[key]) for key in start)
    # The critic did not move while the generator did: its scores still explain the generator step.
    scores = critic.network(by_hand(condition), condition)
    adversarial = -scores.mean() if kind == "wasserstein" else ((scores + 1) ** 2).mean()
    loss = 100 * (by_hand(condition) - real).abs().mean() + adversarial
    gradients = torch.autograd.grad(loss, list(by_hand.parameters()))
    torch.testing.assert_close(terms["adversarial"], adversarial.detach())
    for after, before, gradient in zip(
        generator.parameters(), by_hand.parameters(), gradients, strict=True
    ):
        torch.testing.assert_close(after, before - 0.1 * gradient)
    assert all(parameter.requires_grad for parameter in critic.network.parameters())


@pytest.mark.parametrize("kind", ["least_squares", "wasserstein"])
def test_critic_under_bf16_sees_its_own_updates(kind, monkeypatch):
    """Its terms over five updates of one step are float32's up to the rounding of bfloat16."""
    found = []

    def recorded(*arguments):
        terms = critic_step(*arguments)
        found.append({name: float(value) for name, value in terms.items()})
        return terms

    monkeypatch.setattr(steps, "critic_step", recorded)
    targets = {"real": -1.0, "fake": 1.0, "generator": -1.0}
    real, _, condition = tiles(5)
    batch = (condition, real)
    for precision in ("fp32", "bf16"):
        torch.manual_seed(5)
        settings = {"kind": kind, "targets": targets, "steps": 5, "gradient_penalty": 10.0}
        critic, generator = critic_of(Pair(), 0.03, **settings), nn.Conv2d(1, 1, 3, padding=1)
        optimizer = torch.optim.SGD(generator.parameters(), lr=0.1)
        with step_settings(Engine(), torch.device("cpu"), precision):
            adversarial_step(generator, optimizer, critic, batch, lambda _: batch, {"mae": 1.0})
    exact, rounded = found[:5], found[5:]
    for wanted, terms in zip(exact, rounded, strict=True):
        assert terms == pytest.approx(wanted, rel=0.02, abs=0.003)
    for name in exact[0]:
        assert len({terms[name] for terms in rounded}) == 5


def test_critic_under_bf16_compares_rounded_tiles_with_rounded_tiles():
    """Rounding must not tell NDCT from what a network under bf16 returns."""
    seen = []
    critic = critic_of(Pair(), targets={"real": -1.0, "fake": 1.0, "generator": -1.0})
    critic.network.register_forward_pre_hook(lambda _, images: seen.append(images[0].float()))
    real, fake, condition = tiles(6)
    critic_step(critic, real, fake.bfloat16(), condition, 0)
    for image, found in zip((real, fake), seen, strict=True):
        assert torch.equal(found, image.bfloat16().float())


@pytest.mark.parametrize("method", ["lsgan", "wgan_vgg"])
def test_resumed_training_ends_in_the_same_bits(method, tmp_path):
    folders, table = write_training_data(tmp_path / "data")
    models, _ = resolve_models([method], find_methods([METHODS]), {"steps": 4}, TILE)
    stage = models[method]
    stage["recipe"] |= {"batch": 2, "critic_steps": 2}
    stage["loss"].pop("perceptual", None)

    def train(folder):
        train_here(stage, folders, table, folder, seed=1, checkpoint_every=2)
        return (folder / "weights.safetensors").read_bytes()

    whole = train(tmp_path / "whole")
    with killed_at_step(3):
        train(tmp_path / "resumed")
    assert (tmp_path / "resumed/checkpoint.pt").is_file()
    assert train(tmp_path / "resumed") == whole
