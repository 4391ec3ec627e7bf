"""FC-AIDE: an affine function of each pixel, whose coefficients never see that pixel.

Cha and Moon, Fully convolutional pixel adaptive image denoiser, ICCV 2019, in the form of the
authors' PyTorch code: 1,098,690 stored parameters, 765,762 of them inside the masks, receptive
field 93 x 93. Three streams (Q, E, D) of masked 3x3 convolutions see everything above-left,
above-right and below a pixel; all else is 1x1.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

WIDTH = 64
# Dilations of the layers after the first.
DILATIONS = (1, 2, 3, 4, 5, 6, 7, 8, 9)
FIRST_MASKS = {
    "q": [[1, 1, 0], [1, 0, 0], [0, 0, 0]],
    "e": [[0, 1, 1], [0, 0, 1], [0, 0, 0]],
    "d": [[0, 0, 0], [0, 0, 0], [1, 1, 1]],
}
# Read after the first layer, so the centre of these is a pixel's neighbour, never the pixel.
LATER_MASKS = {
    "q": [[1, 1, 1], [1, 1, 0], [1, 0, 0]],
    "e": [[1, 1, 1], [0, 1, 1], [0, 0, 1]],
    "d": [[0, 0, 0], [1, 1, 1], [1, 1, 1]],
}


def build() -> nn.Module:
    """Build an untrained FC-AIDE that returns its input (a = 1, b = 0).

    Other weights start as He et al. (2015) advise, by the number of weights inside the mask. With
    PyTorch's own start, which the authors rely on, the signal fades over ten layers: after 60
    steps nothing is learned where this start has gained 0.8 dB.
    """
    return PixelAdaptiveDenoiser()


class MaskedConvolution(nn.Module):
    """A 3x3 convolution whose weights are zero outside a fixed mask."""

    def __init__(self, channels: int, mask: list[list[int]], dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.register_buffer("mask", torch.tensor(mask, dtype=torch.float32), persistent=False)
        # Rows and columns without any weight are not computed. Triangles (later Q and E) are: as
        # rows, or as a square and two single weights, they take as long as whole.
        inside = self.mask.nonzero()
        first, last = inside.amin(dim=0), inside.amax(dim=0)
        self.box = [slice(a, b + 1) for a, b in zip(first.tolist(), last.tolist(), strict=True)]
        # What both sides need is the convolution's own padding, which costs nothing. Padding all
        # sides and cutting the output triples the gradient's cost: its memory has gaps.
        before, after = (1 - first) * dilation, (last - 1) * dilation
        both = torch.minimum(before, after).clamp(min=0)
        self.padding = both.tolist()
        (top, left), (bottom, right) = (before - both).tolist(), (after - both).tolist()
        self.further_padding = [left, right, top, bottom]
        start = torch.randn(WIDTH, channels, 3, 3) * math.sqrt(2 / (channels * self.mask.sum()))
        self.weight = nn.Parameter(start * self.mask)
        self.bias = nn.Parameter(torch.zeros(WIDTH))

    def forward(self, image: Tensor) -> Tensor:
        """Same size as the input, which is padded with zeros."""
        weight = (self.weight * self.mask)[:, :, *self.box]
        if any(self.further_padding):
            image = functional.pad(image, self.further_padding)
        return functional.conv2d(
            image, weight, self.bias, padding=self.padding, dilation=self.dilation
        )


class PReLU(nn.PReLU):
    """PyTorch's, with a gradient made of operations on whole tensors.

    On one CPU thread PyTorch's own, pixel by pixel, takes longer than a pointwise convolution.
    """

    def forward(self, features: Tensor) -> Tensor:
        """[batch, channel, row, column] to the same shape."""
        return _Rectified.apply(features, self.weight)


class _Rectified(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(features, slope)
        return functional.prelu(features, slope)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        features, slope = ctx.saved_tensors
        above = torch.ops.aten.threshold_backward(gradient, features, 0)
        below = gradient - above
        return torch.addcmul(above, below, slope[:, None, None]), (below * features).sum((0, 2, 3))


class ResidualModule(nn.Module):
    """Two 1x1 convolutions, averaged with their input."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = _pointwise(WIDTH), _pointwise(WIDTH)
        self.activation1, self.activation2 = _activation(), _activation()

    def forward(self, features: Tensor) -> Tensor:
        """[batch, 64, row, column] to the same shape."""
        correction = self.conv2(self.activation1(self.conv1(features)))
        return self.activation2((features + correction) / 2)


class Layer(nn.Module):
    """The three streams' masked convolutions, and what all of them give to the output."""

    def __init__(self, channels: int, masks: dict[str, list[list[int]]], dilation: int) -> None:
        super().__init__()
        self.streams = nn.ModuleDict(
            {name: MaskedConvolution(channels, mask, dilation) for name, mask in masks.items()}
        )
        later = channels == WIDTH
        self.activations = nn.ModuleDict({name: _activation() for name in masks if later})
        self.average_activation = _activation()
        self.residual = ResidualModule()

    def forward(self, features: dict[str, Tensor]) -> tuple[dict[str, Tensor], Tensor]:
        """Features of the streams to the next features and this layer's output."""
        if self.activations:
            features = {name: self.activations[name](value) for name, value in features.items()}
        features = {name: self.streams[name](value) for name, value in features.items()}
        mean = (features["q"] + features["e"] + features["d"]) / 3
        return features, self.residual(self.average_activation(mean))


class PixelAdaptiveDenoiser(nn.Module):
    """Ten layers of three masked streams, averaged over depth, and a 1x1 head for (a, b)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Layer(1, FIRST_MASKS, 1)])
        self.layers += [Layer(WIDTH, LATER_MASKS, dilation) for dilation in DILATIONS]
        self.head = nn.Sequential(_activation(), _pointwise(WIDTH), _activation(), ResidualModule())
        self.output = _pointwise(2)
        nn.init.zeros_(self.output.weight)
        with torch.no_grad():
            self.output.bias.copy_(torch.tensor([1.0, 0.0]))

    def coefficients(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(a, b), each [batch, 1, row, column]: the image's neighbourhoods without their centre."""
        features = dict.fromkeys(FIRST_MASKS, image)
        total = torch.zeros(())
        for layer in self.layers:
            features, output = layer(features)
            total = total + output
        pair = self.output(self.head(total / len(self.layers)))
        return pair[:, :1], pair[:, 1:]

    def forward(self, image: Tensor) -> Tensor:
        """Denoise [batch, 1, row, column]: a * image + b."""
        slope, offset = self.coefficients(image)
        return slope * image + offset


def _activation() -> PReLU:
    """A ReLU whose slope below zero is learned, one per channel."""
    return PReLU(WIDTH, init=0.0)


def _pointwise(output_channels: int) -> nn.Conv2d:
    """A 1x1 convolution.

    The dilation means nothing for one weight, but on one CPU thread PyTorch takes a convolution
    without it out of the fast library's hands, at three times the cost.
    """
    convolution = nn.Conv2d(WIDTH, output_channels, 1, dilation=2)
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    nn.init.zeros_(convolution.bias)
    return convolution
