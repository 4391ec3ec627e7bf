"""What is read off a network: blocks, parameters, receptive field."""

import torch
from sample_networks import DilatedResidual
from torch import nn

from ldct.networks.cost import seen_pixels
from ldct.networks.facts import count_parameters, network_blocks


def measured_field(network: nn.Module, size: int = 65) -> int:
    """Widest extent, over output pixels in the middle, of the input pixels with a gradient."""
    network = network.double().eval()
    for parameter in network.parameters():
        parameter.data = parameter.abs() / parameter.abs().sum() + 1e-3
    image = torch.rand(1, 1, size, size, dtype=torch.float64, requires_grad=True)
    output = network(image)
    widest = 0
    for column in range(size // 2 - 4, size // 2 + 4):
        (gradient,) = torch.autograd.grad(output[0, 0, size // 2, column], image, retain_graph=True)
        touched = gradient[0, 0].abs().sum(0).nonzero().ravel()
        widest = max(widest, int(touched.max() - touched.min()) + 1)
    return widest


def test_drl_has_the_published_size():
    network = DilatedResidual()
    assert count_parameters(network) == 224_971
    assert seen_pixels(network, 1) == 37


def test_receptive_field_is_where_gradients_reach():
    network = DilatedResidual()
    field = seen_pixels(network, 1)
    assert measured_field(network) == field


def test_network_that_cannot_be_traced_is_one_block():
    class Branching(nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return image if image.mean() > 0 else -image

    assert [block.label for block in network_blocks(Branching())] == ["", "Branching", ""]


def test_blocks_follow_the_definition():
    blocks = network_blocks(DilatedResidual())
    assert [b.kind for b in blocks] == (
        ["input"] + ["conv"] * 5 + ["concat", "conv", "concat", "conv", "add", "conv", "output"]
    )
    assert [b.dilation for b in blocks if b.kind == "conv"] == [1, 2, 3, 4, 3, 2, 1, 1]
    assert [b.normalised for b in blocks if b.kind == "conv"] == [False] + [True] * 5 + [False] * 2
    by_position = {b.name: i for i, b in enumerate(blocks)}
    joins = [[by_position[name] for name in b.inputs] for b in blocks if len(b.inputs) > 1]
    assert joins == [[5, 2], [7, 1], [9, 0]]


def test_value_read_twice_is_not_merged():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 3, padding=1)

        def forward(self, image):
            raw = self.conv(image)
            return raw + torch.relu(raw)

    assert [b.kind for b in network_blocks(Both())] == ["input", "conv", "other", "add", "output"]
