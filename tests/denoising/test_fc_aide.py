"""FC-AIDE: size, blind spot, supervised start, and fine-tuning without a reference."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from ldct.common.scaling import Scaling
from ldct.denoising.classical import load_denoiser
from ldct.networks.chain import Level
from ldct.networks.cost import seen_pixels
from ldct.networks.facts import count_parameters
from ldct.networks.files import build_network

METHODS = Path(__file__).parents[2] / "methods"
FC_AIDE = {"file": str(METHODS / "fc_aide/network.py"), "options": {}}
SCALING = Scaling(-160.0, 240.0, clip=True)


@pytest.fixture(scope="module")
def random_network():
    """FC-AIDE with all weights random, so that no path is switched off by the start."""
    network = build_network(FC_AIDE, 0, "fc_aide")
    torch.manual_seed(0)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return network.eval()


@pytest.fixture(scope="module")
def finetuning():
    return load_denoiser(METHODS / "fc_aide_finetuned")


def test_stored_and_effective_parameters():
    """The figures of the authors' PyTorch code: 1,098,690 stored, 765,762 inside the masks."""
    network = build_network(FC_AIDE, 0, "fc_aide")
    assert count_parameters(network) == 1_098_690
    masked = sum(
        int((module.mask == 0).sum()) * module.weight.shape[0] * module.weight.shape[1]
        for module in network.modules()
        if hasattr(module, "mask")
    )
    assert 1_098_690 - masked == 765_762


def test_coefficients_see_everything_around_a_pixel_but_not_the_pixel(random_network):
    """By gradient: (a, b) depend on each of the 93 x 93 - 1 pixels around, and on no other."""
    side, middle, reach = 101, 50, 46
    image = torch.rand(1, 1, side, side, requires_grad=True)
    slope, offset = random_network.coefficients(image)
    seen = torch.zeros(side, side, dtype=torch.bool)
    for output in (slope, offset):
        (gradient,) = torch.autograd.grad(output[0, 0, middle, middle], image, retain_graph=True)
        assert gradient[0, 0, middle, middle] == 0
        seen |= gradient[0, 0] != 0
    expected = torch.zeros(side, side, dtype=torch.bool)
    expected[middle - reach : middle + reach + 1, middle - reach : middle + reach + 1] = True
    expected[middle, middle] = False
    assert torch.equal(seen, expected)


@pytest.mark.parametrize("number", [0, 3])
def test_masked_convolution_is_a_masked_convolution(number):
    """Cut kernels and all: values and gradients of a full 3x3 convolution with masked weights."""
    layer = build_network(FC_AIDE, 0, "fc_aide").double().layers[number]
    for stream in layer.streams.values():
        shape = (2, stream.weight.shape[1], 19, 23)
        image = torch.rand(shape, dtype=torch.float64, requires_grad=True)
        wanted = functional.conv2d(
            image,
            stream.weight * stream.mask,
            stream.bias,
            padding=stream.dilation,
            dilation=stream.dilation,
        )
        found, sources = stream(image), (image, stream.weight, stream.bias)
        torch.testing.assert_close(found, wanted)
        weights = torch.rand_like(wanted)
        of_found, of_wanted = (torch.autograd.grad(y, sources, weights) for y in (found, wanted))
        torch.testing.assert_close(of_found, of_wanted)


def test_activation_has_the_gradient_of_pytorchs():
    activation = build_network(FC_AIDE, 0, "fc_aide").layers[3].average_activation.double()
    torch.nn.init.normal_(activation.weight)
    image = torch.randn(2, 64, 5, 7, dtype=torch.float64, requires_grad=True)
    wanted, found = functional.prelu(image, activation.weight), activation(image)
    weights, sources = torch.rand_like(wanted), (image, activation.weight)
    of_found, of_wanted = (torch.autograd.grad(y, sources, weights) for y in (found, wanted))
    torch.testing.assert_close((found, of_found), (wanted, of_wanted))


def test_forward_is_affine_in_the_pixel(random_network):
    image = torch.rand(1, 1, 24, 24)
    with torch.no_grad():
        slope, offset = random_network.coefficients(image)
        torch.testing.assert_close(random_network(image), slope * image + offset)


def test_receptive_field():
    assert seen_pixels(build_network(FC_AIDE, 0, "fc_aide"), 1) == 93


@pytest.mark.parametrize("shape", [(64, 64), (65, 47), (9, 5)])
def test_starts_as_identity_and_keeps_any_size(shape):
    image = torch.rand(1, 1, *shape)
    torch.testing.assert_close(build_network(FC_AIDE, 0, "fc_aide")(image), image)


def test_weights_outside_the_masks_stay_zero_in_training():
    network = build_network(FC_AIDE, 0, "fc_aide")
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(2):
        optimizer.zero_grad()
        functional.mse_loss(network(torch.rand(1, 1, 16, 16)), torch.zeros(1, 1, 16, 16)).backward()
        optimizer.step()
    for module in network.modules():
        if hasattr(module, "mask"):
            assert not (module.weight * (1 - module.mask)).any()


def test_unbiased_loss_formula_and_expectation(finetuning):
    """Its mean over noise is the mean squared error to the clean image."""
    torch.manual_seed(0)
    clean, sigma = torch.rand(1, 1, 30, 30).double(), 0.1
    slope, offset = torch.rand(2, 1, 1, 30, 30).double()
    everywhere = torch.ones_like(clean, dtype=bool)
    losses, errors = [], []
    for _ in range(400):
        noisy = clean + sigma * torch.randn_like(clean)
        losses.append(finetuning.unbiased_loss(slope, offset, noisy, sigma, everywhere))
        errors.append(torch.mean((clean - slope * noisy - offset) ** 2))
    by_hand = ((noisy - slope * noisy - offset) ** 2 + 2 * slope * sigma**2 - sigma**2).mean()
    torch.testing.assert_close(losses[-1], by_hand)
    difference = torch.stack(losses) - torch.stack(errors)
    standard_error = difference.std() / len(losses) ** 0.5
    assert difference.mean().abs() < 4 * standard_error


def test_pull_back_is_the_distance_to_a_frozen_copy(finetuning):
    """The fault of the authors' code, a distance to the trained network itself, is not repeated."""
    start = build_network(FC_AIDE, 0, "fc_aide").requires_grad_(False)
    moved = build_network(FC_AIDE, 0, "fc_aide")
    with torch.no_grad():
        moved.output.bias += torch.tensor([3.0, 4.0])
    distance = finetuning.distance(moved, start)
    torch.testing.assert_close(distance, torch.tensor(5.0))
    distance.backward()
    torch.testing.assert_close(moved.output.bias.grad, torch.tensor([0.6, 0.8]))
    assert all(torch.isfinite(p.grad).all() for p in moved.parameters())


def test_denoise_any_size_in_hu(finetuning):
    """With no steps: the start's output, averaged over the flips; here the input, at all HU."""
    slice_hu = np.random.default_rng(0).normal(40, 300, (33, 21)).astype(np.float32)
    parameters = {"sigma_hu": 20.0, "steps": 0, "learning_rate": 3e-4, "pull_back": 0.0}
    network = build_network(FC_AIDE, 0, "fc_aide").requires_grad_(False).eval()
    found = finetuning.denoise(slice_hu, parameters, [Level(network, "image")], SCALING)
    np.testing.assert_allclose(found, slice_hu, atol=1e-3)


def test_sigma_is_that_of_the_inserted_noise(finetuning):
    rng = np.random.default_rng(0)
    full = rng.normal(0, 10, (80, 80)).astype(np.float32)
    pairs = [(full + rng.normal(0, 20, full.shape).astype(np.float32), full)]
    settings = {"steps": 4, "learning_rate": 1e-4, "pull_back": 1e-5, "pixel_mm": [[1, 1]]}
    assert finetuning.tune(pairs, settings)["sigma_hu"] == pytest.approx(20, rel=0.05)
