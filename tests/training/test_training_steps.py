"""One step: the written-out formulas, and no work or waiting that it does not need."""

import numpy as np
import pytest
import torch
from torch import nn

from ldct.devices.choice import to_device
from ldct.training.checkpoint import Training, state_tensors
from ldct.training.critics import Critic
from ldct.training.losses import content_loss
from ldct.training.recipe import learning_rate_at, make_optimizer
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


# A device without values: whoever asks for one there gets an error, whatever the way.
DEVICE = torch.device("meta")
# They take a number from host memory as an argument of their kernel.


def test_copies_to_a_gpu_are_pinned_and_not_waited_for(monkeypatch):
    done = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: done.append("pinned") or self)
    monkeypatch.setattr(torch.Tensor, "to", lambda self, *where, **how: done.append((where, how)))
    for name in ("cpu", "cuda"):
        to_device(torch.zeros(2), torch.device(name))
    how = {"non_blocking": True}
    assert done == [((torch.device("cpu"),), how), "pinned", ((torch.device("cuda"),), how)]


def test_every_drop_that_is_behind_a_step_multiplies_its_rate():
    drops = [{"after": part, "factor": 0.5} for part in (0.2, 0.4, 0.6)]
    halved = {"learning_rate": 8.0, "learning_rate_drop": drops}
    assert [learning_rate_at(halved, step, 10) for step in range(0, 10, 2)] == [8, 4, 2, 1, 1]
    once = {"learning_rate": 8.0, "learning_rate_drop": {"after": 0.5, "factor": 0.25}}
    assert [learning_rate_at(once, step, 10) for step in (0, 4, 5, 9)] == [8, 8, 2, 2]
    assert learning_rate_at({"learning_rate": 8.0}, 9, 10) == 8


@pytest.mark.parametrize(("recipe", "epsilon"), [({}, 1e-8), ({"epsilon": 1e-7}, 1e-7)])
def test_epsilon_is_the_recipes(recipe, epsilon):
    recipe = {"learning_rate": 1e-3, "betas": [0.5, 0.999], **recipe}
    assert make_optimizer(nn.Linear(1, 1), recipe).defaults["eps"] == epsilon


def test_state_is_on_one_device_whatever_the_optimiser():
    """Adam keeps its step counter on the CPU unless it is fused; else no checkpoint of a GPU."""
    network = nn.Conv2d(1, 1, 3, padding=1).to(DEVICE)
    recipe = {"learning_rate": 1e-3, "betas": [0.5, 0.999]}
    training = Training(network, make_optimizer(network, recipe, fused=False), None)
    batch = torch.empty(2, 3, 1, 8, 8, device=DEVICE).unbind()
    content_step(network, training.optimizer, batch, {"mse": 1.0})
    found = state_tensors(training)
    assert len(found) == 6  # weight and bias, and two moments of each
    assert {tensor.device for tensor in found} == {DEVICE}
