"""One step: the written-out formulas, and no work or waiting that it does not need."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import is_tensor, nn
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode
from training_inputs import TILE, write_training_data

from ldct.data.volumes import load_volume
from ldct.scaling import Scaling
from ldct.training.critics import Critic
from ldct.training.devices import to_device
from ldct.training.feeding import batch_reader
from ldct.training.finite import FiniteWatch
from ldct.training.history import add_terms
from ldct.training.losses import content_loss
from ldct.training.recipe import make_optimizer
from ldct.training.state import Training, state_tensors
from ldct.training.steps import adversarial_step, content_step
from ldct.training.vgg import FeatureStack


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


# A device without values: whoever asks for one there gets an error, whatever the way.
DEVICE = torch.device("meta")
# They take a number from host memory as an argument of their kernel.
ARITHMETIC = {torch.ops.aten.add.Tensor, torch.ops.aten.mul.Tensor, torch.ops.aten.div.Tensor}


class NoWaiting(TorchDispatchMode):
    """Refuses copies from host memory to the device for which the host would wait."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        output = func(*args, **(kwargs or {}))
        tensors = [one for one in pytree.tree_leaves((args, kwargs, output)) if is_tensor(one)]
        if len({one.device for one in tensors}) > 1 and func not in ARITHMETIC:
            assert (kwargs or {}).get("non_blocking"), f"{func} copies to the device, and waits"
        return output


@pytest.fixture
def no_waiting(monkeypatch):
    """A mode in which waiting for the device is an error."""
    make = torch.tensor

    def made_on_the_host(*values, device=None, **options):
        assert device != DEVICE, "torch.tensor copies to the device, and waits"
        return make(*values, device=device, **options)

    monkeypatch.setattr(torch, "tensor", made_on_the_host)
    # The made-up device has no autocast.
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    return NoWaiting()


@pytest.mark.parametrize(
    "wait",
    [
        lambda there: torch.tensor([1.0, 2.0], device=there.device),
        lambda there: torch.rand(3).to(there.device),
        lambda there: there.copy_(torch.rand(3)),
        lambda there: torch.where(there > 0, torch.zeros(()), there),
        lambda there: float(there.sum()),
        lambda there: there.cpu(),
    ],
)
def test_waiting_would_be_noticed(no_waiting, wait):
    there = torch.empty(3, device=DEVICE)
    with no_waiting, pytest.raises((AssertionError, RuntimeError, NotImplementedError)):
        wait(there)


@pytest.mark.parametrize("kind", [None, "least_squares", "wasserstein"])
def test_steps_read_nothing_back_from_the_device_and_wait_for_no_copy(no_waiting, kind):
    """Between logged steps the host never waits for a GPU."""
    generator, judge = Gain(0.5).to(DEVICE), Judge(0.4, -0.3, 0.1).to(DEVICE)
    targets = {"real": -1.0, "fake": 1.0, "generator": -1.0}
    options = {"weight": 1.0, "targets": targets, "steps": 2, "gradient_penalty": 10.0}
    critic_optimizer = torch.optim.SGD(judge.parameters(), lr=0.1)
    optimizer = torch.optim.SGD(generator.parameters(), lr=0.1)
    batch = torch.empty(2, 2, 1, 32, 32, device=DEVICE).unbind()
    features = FeatureStack("vgg16", ["relu1_2"], "imagenet").to(DEVICE).requires_grad_(False)
    perceptual = {"weight": 0.1, "distance": "mse"}
    loss = {"mse": 1.0, "mae": 1.0, "dssim": 1.0, "sharpness": 1.0, "perceptual": perceptual}
    watch, training = FiniteWatch("model"), Training(generator, optimizer, None)
    with no_waiting:
        for step in range(3):
            if kind is None:
                terms = content_step(generator, optimizer, batch, loss, features)
            else:
                critic = Critic(judge, critic_optimizer, **options, kind=kind)
                terms = adversarial_step(
                    *(generator, optimizer, critic, batch, lambda _: batch, loss, features)
                )
            watch.look(terms, step)
            add_terms(training, terms)


@pytest.mark.parametrize("on_device", [False, True])
def test_batches_wait_for_no_copy(no_waiting, on_device, tmp_path):
    volumes, tiles = write_training_data(tmp_path)
    stage = {"recipe": {"batch": 4}, "tile_size": TILE, "target": "image"}
    read = batch_reader(
        *(stage, [load_volume(path) for path in volumes], np.load(tiles)),
        *(Scaling(-160.0, 240.0, clip=True), [], 0, DEVICE),
        on_device=on_device,
    )
    with no_waiting:
        for number in range(2):
            inputs, _ = read("generator", number)
    assert inputs.shape == (4, 1, TILE, TILE)


def test_copies_to_a_gpu_are_pinned_and_not_waited_for(monkeypatch):
    done = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: done.append("pinned") or self)
    monkeypatch.setattr(torch.Tensor, "to", lambda self, *where, **how: done.append((where, how)))
    for name in ("cpu", "cuda"):
        to_device(torch.zeros(2), torch.device(name))
    how = {"non_blocking": True}
    assert done == [((torch.device("cpu"),), how), "pinned", ((torch.device("cuda"),), how)]


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
