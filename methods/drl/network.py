"""Dilated residual network (DRL) in the form the paper's first author published.

Layer table and sources: docs/methods.md, "DRL". 224,971 trainable parameters, receptive field
37 x 37, any image size.
"""

import torch
from torch import Tensor, nn

WIDTH = 64
# Keras' default; PyTorch's is 1e-5.
BATCH_NORM_EPSILON = 1e-3


def build(input_channels: int = 1, start: str = "identity", global_skip: bool = True) -> nn.Module:
    """Build an untrained DRL.

    input_channels : images stacked at the input; the global skip adds the first of them.
    start : what the untrained network returns: "identity", its input (a first level), "zero" (a
        level that predicts a residual), or "keras", something random. All other weights are
        initialised as in Keras.
    global_skip : whether the input is added before the last convolution; without it there is no
        start "identity".
    """
    if start not in ("identity", "zero", "keras"):
        raise ValueError(f"start: found '{start}', expected identity, zero or keras")
    if start == "identity" and not global_skip:
        raise ValueError("start 'identity' needs the global skip; use start: zero or keras")
    network = DilatedResidualNetwork(input_channels, global_skip)
    network.apply(_initialise_as_keras)
    if start == "identity":
        nn.init.zeros_(network.conv7.weight)
        nn.init.dirac_(network.conv8.weight)
    elif start == "zero":
        nn.init.zeros_(network.conv8.weight)
    return network


class DilatedResidualNetwork(nn.Module):
    """Six dilated convolutions with two concatenation skips and one global addition."""

    def __init__(self, input_channels: int, global_skip: bool) -> None:
        super().__init__()
        self.global_skip = global_skip
        self.conv1 = nn.Conv2d(input_channels, WIDTH, 5, padding=2)
        self.block2 = _dilated_block(WIDTH, 2)
        self.block3 = _dilated_block(WIDTH, 3)
        self.block4 = _dilated_block(WIDTH, 4)
        self.block5 = _dilated_block(WIDTH, 3)
        self.block6 = _dilated_block(2 * WIDTH, 2)
        self.conv7 = nn.Conv2d(2 * WIDTH, 1, 3, padding=1)
        self.conv8 = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Map [batch, input_channels, row, column] to [batch, 1, row, column]."""
        first = torch.relu(self.conv1(image))
        second = self.block2(first)
        fifth = self.block5(self.block4(self.block3(second)))
        sixth = self.block6(torch.cat([fifth, second], dim=1))
        correction = self.conv7(torch.cat([sixth, first], dim=1))
        return self.conv8(correction + image[:, :1] if self.global_skip else correction)


def _dilated_block(input_channels: int, dilation: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(input_channels, WIDTH, 3, padding=dilation, dilation=dilation),
        nn.BatchNorm2d(WIDTH, eps=BATCH_NORM_EPSILON),
        nn.ReLU(),
    )


def _initialise_as_keras(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
