"""RED-CNN and CNN-10: size, receptive field, any image size."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional

from ldct.networks.cost import multiply_adds, seen_pixels
from ldct.networks.facts import count_parameters
from ldct.networks.files import build_network

METHODS = Path(__file__).parents[2] / "methods"


def build(name: str) -> torch.nn.Module:
    return build_network({"file": str(METHODS / name / "network.py"), "options": {}}, 0, name)


@pytest.mark.parametrize(
    ("name", "parameters", "field"), [("red_cnn", 1_848_865, 41), ("cnn10", 24_513, 15)]
)
def test_size_and_receptive_field(name, parameters, field):
    network = build(name)
    assert count_parameters(network) == parameters
    assert seen_pixels(network, 1) == field


def test_red_cnn_against_the_layers_written_out():
    """Additions after the first, third and last transposed convolution; ReLU between all."""
    network = build("red_cnn")
    torch.nn.init.normal_(network.decoder[-1].weight, std=0.05)
    image = torch.rand(1, 1, 33, 29)
    relu = torch.relu
    down = [image]
    for layer in network.encoder:
        down.append(relu(functional.conv2d(down[-1], layer.weight, layer.bias)))
    up = [
        lambda x, layer=layer: functional.conv_transpose2d(x, layer.weight, layer.bias)
        for layer in network.decoder
    ]
    x = relu(up[0](down[5]) + down[4])
    x = relu(up[1](x))
    x = relu(up[2](x) + down[2])
    x = relu(up[3](x))
    torch.testing.assert_close(network(image), up[4](x) + image)


def test_multiply_adds_of_cnn10():
    """Per pixel 81 * 64 + 9 * 64 * 32 + 25 * 32."""
    per_pixel = 81 * 64 + 9 * 64 * 32 + 25 * 32
    assert multiply_adds(build("cnn10"), 1, side=32) == per_pixel * 32**2
