"""The Wu cascade and the sharpness-aware GAN."""

from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import sobel, uniform_filter

from ldct.configuration.registry import find_methods
from ldct.configuration.stages import resolve_models
from ldct.networks.chain import Level, apply_levels
from ldct.networks.facts import count_parameters
from ldct.networks.files import build_network
from ldct.training.losses import SHARPNESS_EPSILON, sharpness_loss, sharpness_map

METHODS = Path(__file__).parents[2] / "methods"


def wu(channels: int) -> torch.nn.Module:
    file = str(METHODS / "wu_cascade/network.py")
    return build_network({"file": file, "options": {"input_channels": channels}}, 0, "wu")


def test_wu_has_three_stages_and_later_ones_see_the_low_dose_image():
    models, chains = resolve_models(["wu_cascade"], find_methods([METHODS]), "paper", 64)
    stages = [models[name] for name in chains["wu_cascade"]]
    assert [stage["inputs"] for stage in stages] == [["previous"], *2 * [["previous", "low_dose"]]]
    assert [stage["target"] for stage in stages] == 3 * ["residual"]
    assert [len(stage["upstream"]) for stage in stages] == [0, 1, 2]


def test_wu_size():
    assert count_parameters(wu(1)) == 223_553
    assert count_parameters(wu(2)) == 223_553 + 9 * 64


def test_wu_cascade_with_a_perfect_stage_returns_the_truth():
    """A stage that predicts previous - NDCT exactly gives NDCT, whatever came before."""
    low, normal = torch.rand(2, 1, 1, 16, 16)

    class Perfect(torch.nn.Module):
        def forward(self, stacked):
            torch.testing.assert_close(stacked[:, 1:], low)
            return stacked[:, :1] - normal

    rough = Level(wu(1).eval(), "residual")
    with torch.no_grad():
        found = apply_levels([rough, Level(Perfect(), "residual", ("previous", "low_dose"))], low)
    torch.testing.assert_close(found, normal)


def test_sharpness_map_against_scipy():
    image = np.random.default_rng(0).random((24, 30))
    magnitude = np.sqrt((sobel(image, 0) / 8) ** 2 + (sobel(image, 1) / 8) ** 2 + SHARPNESS_EPSILON)
    wanted = uniform_filter(magnitude[1:-1, 1:-1], 7)[3:-3, 3:-3]
    found = sharpness_map(torch.from_numpy(image)[None, None])[0, 0].numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-10)


def test_sharpness_gradient_is_finite_on_a_flat_image():
    flat = torch.full((1, 1, 20, 20), 0.5, requires_grad=True)
    sharpness_loss(flat, torch.rand(1, 1, 20, 20)).backward()
    assert torch.isfinite(flat.grad).all()
