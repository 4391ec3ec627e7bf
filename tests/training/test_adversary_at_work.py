"""The adversary on real tiles: the critic of the short budgets learns, and what its AUC says.

tiles_of_lung1.npz: 60 tiles of the scan lung1 from the test data of PyRadiomics 3.1.0 (Copyright
2017 Harvard Medical School, BSD-3-Clause), clipped to [-160, 240] HU, with simulated quarter dose.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ldct.common.scaling import Scaling
from ldct.configuration.registry import find_methods
from ldct.configuration.stages import resolve_models
from ldct.training.critics import Critic, critic_auc, critic_step, frozen, make_critic
from ldct.training.feeding import to_unit

CPU = torch.device("cpu")
ROOT = Path(__file__).resolve().parents[2]
BATCH, TRAINED_ON = 4, 40


@pytest.fixture(scope="module")
def real_tiles():
    stored = np.load(Path(__file__).with_name("tiles_of_lung1.npz"))
    scaling = Scaling(-160, 240, clip=True)
    return tuple(to_unit(torch.from_numpy(stored[name]), scaling, CPU) for name in ("ldct", "ndct"))


def auc_after(method: str, budget: str, steps: int, real_tiles) -> float:
    """AUC on held-out tiles of a critic that learned low dose against normal dose."""
    low, normal = real_tiles
    models, _ = resolve_models([method], find_methods([ROOT / "methods"]), budget, 64)
    critic = make_critic(models[method], 0, CPU)
    order = np.random.default_rng(0)
    for number in range(steps * critic.steps):
        rows = order.choice(TRAINED_ON, BATCH, replace=False)
        critic_step(critic, normal[rows], low[rows], low[rows], number)
    held_out = low[TRAINED_ON:], normal[TRAINED_ON:]
    return critic_auc(critic, nn.Identity(), lambda _: held_out, 1)


def test_critic_of_the_quick_budget_tells_low_dose_from_normal_dose(real_tiles):
    # Of the budget's 450 steps.
    assert auc_after("lsgan", "quick", 8, real_tiles) >= 0.9


def test_the_authors_critic_does_not_in_that_time(real_tiles):
    assert auc_after("lsgan", "paper", 3, real_tiles) < 0.6


@pytest.mark.parametrize("targets", [{}, {"real": 1.0, "fake": 0.0}, {"real": -1.0, "fake": 1.0}])
def test_auc_is_the_share_of_pairs_in_the_right_order(targets):
    class Mean(nn.Module):
        def forward(self, candidate, condition):
            return candidate.flatten(1).mean(dim=1, keepdim=True)

    generator = torch.Generator().manual_seed(0)
    low, normal = (torch.randn(6, 1, 2, 2, generator=generator).round() for _ in range(2))
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1)
    critic = Critic(Mean(), optimizer, 1.0, targets, 1)
    found = critic_auc(critic, nn.Identity(), lambda _: (low, normal), 1)
    real, fake = (images.flatten(1).mean(dim=1).tolist() for images in (normal, low))
    pairs = [(a > b) + (a == b) / 2 for a in real for b in fake]
    expected = sum(pairs) / len(pairs)
    lower_is_real = targets.get("real", 0) < targets.get("fake", 0)
    assert found == pytest.approx(1 - expected if lower_is_real else expected)


def test_frozen_critic_normalises_by_the_batch_and_keeps_its_state():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    image = torch.randn(3, 1, 6, 6, requires_grad=True)
    with frozen(network):
        scores = network(image)
    scores.square().sum().backward()
    torch.testing.assert_close(scores.mean(dim=(0, 2, 3)), torch.zeros(2), atol=1e-6, rtol=0)
    assert image.grad is not None
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    network(image)
    assert not torch.equal(before["1.running_mean"], network[1].running_mean)
