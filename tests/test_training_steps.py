"""One step: the written-out formulas, and no work or waiting that it does not need."""

import numpy as np
import pytest
import torch
from torch import nn

from ldct.training.critics import Critic
from ldct.training.finite import FiniteWatch
from ldct.training.losses import content_loss
from ldct.training.steps import adversarial_step, content_step


class Gain(nn.Module):
    """G(x) = gain x."""

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(gain))

    def forward(self, image):
        return self.gain * image


class Judge(nn.Module):
    """D(candidate, condition) = a mean(candidate) + b mean(condition) + c."""

    def __init__(self, a: float, b: float, c: float) -> None:
        super().__init__()
        self.abc = nn.Parameter(torch.tensor([a, b, c]))

    def forward(self, candidate, condition):
        means = [image.mean(dim=(1, 2, 3)) for image in (candidate, condition)]
        return (self.abc[0] * means[0] + self.abc[1] * means[1] + self.abc[2])[:, None]


@pytest.mark.parametrize("critic_steps", [1, 3])
def test_lsgan_step_follows_the_written_out_formulas(critic_steps):
    """Gradient descent by hand on constant tiles: critic on real, critic on fake, generator."""
    rate, rate_generator, weight, mae = 0.05, 0.01, 0.7, 10.0
    real_aim, fake_aim, generator_aim = -1.0, 1.0, -0.8
    x, y = np.array([0.2, 0.5, 0.9]), np.array([0.3, 0.4, 0.7])
    gain, abc = 0.8, np.array([0.4, -0.3, 0.1])

    def tiles(values):
        return torch.tensor(values, dtype=torch.float32)[:, None, None, None].expand(3, 1, 16, 16)

    generator, judge = Gain(gain), Judge(*abc)
    critic = Critic(
        network=judge,
        optimizer=torch.optim.SGD(judge.parameters(), lr=rate),
        weight=weight,
        targets={"real": real_aim, "fake": fake_aim, "generator": generator_aim},
        steps=critic_steps,
    )
    batch = (tiles(x), tiles(y))
    terms = adversarial_step(
        generator,
        torch.optim.SGD(generator.parameters(), lr=rate_generator),
        critic,
        batch,
        lambda number: batch,
        {"mae": mae, "adversarial": {}},
    )

    for _ in range(critic_steps):
        for candidate, aim, term in (
            (y, real_aim, "critic_real"),
            (gain * x, fake_aim, "critic_fake"),
        ):
            features = np.stack([candidate, x, np.ones(3)])
            error = abc @ features - aim
            expected = {term: np.mean(error**2)}
            abc = abc - rate * (2 * error * features).mean(axis=1)
            last = terms[term].item() if _ == critic_steps - 1 else expected[term]
            assert last == pytest.approx(expected[term], rel=1e-5)
    error = abc @ np.stack([gain * x, x, np.ones(3)]) - generator_aim
    assert terms["adversarial"].item() == pytest.approx(np.mean(error**2), rel=1e-5)
    assert terms["mae"].item() == pytest.approx(np.mean(np.abs(gain * x - y)), rel=1e-5)
    slope = mae * np.mean(np.sign(gain * x - y) * x) + weight * np.mean(2 * error * abc[0] * x)
    assert generator.gain.item() == pytest.approx(gain - rate_generator * slope, rel=1e-5)
    np.testing.assert_allclose(judge.abc.detach().numpy(), abc, rtol=1e-5)


def test_generator_step_leaves_the_critic_alone():
    """After the step the critic trains on: its gradients are on and it is in training mode."""
    judge = Judge(0.4, -0.3, 0.1)
    critic = Critic(
        judge,
        torch.optim.SGD(judge.parameters(), lr=0.0),
        1.0,
        {"real": -1.0, "fake": 1.0, "generator": -1.0},
        1,
    )
    generator = Gain(0.5)
    batch = (torch.rand(2, 1, 16, 16), torch.rand(2, 1, 16, 16))
    optimizer = torch.optim.SGD(generator.parameters(), lr=0.1)
    adversarial_step(generator, optimizer, critic, batch, lambda _: batch, {"mae": 1.0})
    assert judge.training
    assert all(parameter.requires_grad for parameter in judge.parameters())
    assert generator.training


def test_critic_updates_compute_no_gradients_of_the_generator():
    """All gradients of the generator come from its own step: none exist while the critic learns."""
    found = []

    class Watched(Judge):
        def forward(self, candidate, condition):
            found.append((self.training, candidate.requires_grad))
            return super().forward(candidate, condition)

    judge = Watched(0.4, -0.3, 0.1)
    targets = {"real": -1.0, "fake": 1.0, "generator": -1.0}
    critic = Critic(judge, torch.optim.SGD(judge.parameters(), lr=0.1), 1.0, targets, 2)
    generator = Gain(0.5)
    optimizer = torch.optim.SGD(generator.parameters(), lr=0.1)
    batch = (torch.rand(2, 1, 16, 16), torch.rand(2, 1, 16, 16))
    adversarial_step(generator, optimizer, critic, batch, lambda _: batch, {"mae": 1.0})
    assert found == [(True, False)] * 4 + [(False, True)]


def test_features_of_the_target_are_computed_once_and_without_gradient():
    calls = []

    def features(image):
        maps = [2 * image, image**2]
        calls.append((torch.is_grad_enabled(), [one.requires_grad for one in maps]))
        return maps

    loss = {"mse": 1.0, "perceptual": {"weight": 0.1, "distance": "mse"}}
    prediction = torch.rand(2, 1, 8, 8, requires_grad=True)
    total, _ = content_loss(prediction, torch.rand(2, 1, 8, 8), loss, features)
    total.backward()
    assert sorted(calls) == [(False, [False, False]), (True, [True, True])]


READS = ("item", "tolist", "numpy", "cpu", "__float__", "__bool__", "__int__")


@pytest.mark.parametrize("adversarial", [False, True])
def test_steps_read_nothing_back_from_the_device(monkeypatch, adversarial):
    """Between logged steps the host never asks for a value, so a GPU is never waited for."""
    generator, judge = Gain(0.5), Judge(0.4, -0.3, 0.1)
    targets = {"real": -1.0, "fake": 1.0, "generator": -1.0}
    critic = Critic(judge, torch.optim.SGD(judge.parameters(), lr=0.1), 1.0, targets, 2)
    optimizer = torch.optim.SGD(generator.parameters(), lr=0.1)
    batch = (torch.rand(2, 1, 16, 16), torch.rand(2, 1, 16, 16))
    watch = FiniteWatch("model")

    def read(*_):
        raise AssertionError("a value was read back")

    for name in READS:
        monkeypatch.setattr(torch.Tensor, name, read)
    for step in range(3):
        if adversarial:
            terms = adversarial_step(
                generator, optimizer, critic, batch, lambda _: batch, {"mae": 1.0, "dssim": 1.0}
            )
        else:
            terms = content_step(generator, optimizer, batch, {"mse": 1.0})
        watch.look(terms, step)
