"""RED-CNN: a residual encoder-decoder of 5x5 convolutions without padding.

Chen et al., Low-dose CT with a residual encoder-decoder convolutional neural network, IEEE TMI
2017. 1,848,865 parameters, receptive field 41 x 41.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTH = 96
KERNEL = 5
LAYERS = 5
# Pixels that the encoder takes off an image's side.
SHRINKAGE = LAYERS * (KERNEL - 1)


def build() -> nn.Module:
    """Build an untrained RED-CNN that returns its input; its last layer starts at zero."""
    network = ResidualEncoderDecoder()
    nn.init.zeros_(network.decoder[-1].weight)
    nn.init.zeros_(network.decoder[-1].bias)
    return network


class ResidualEncoderDecoder(nn.Module):
    """Five convolutions, five transposed ones, and three additions across."""

    def __init__(self) -> None:
        super().__init__()
        channels = [1] + LAYERS * [WIDTH]
        pairs = list(pairwise(channels))
        self.encoder = nn.ModuleList([nn.Conv2d(a, b, KERNEL) for a, b in pairs])
        self.decoder = nn.ModuleList([nn.ConvTranspose2d(b, a, KERNEL) for a, b in pairs[::-1]])

    def forward(self, image: Tensor) -> Tensor:
        """Map [batch, 1, row, column] to the same shape.

        Images under 21 pixels are padded with zeros, as the encoder takes 20 pixels off a side.
        """
        rows, columns = image.shape[2:]
        padded = functional.pad(
            image, (0, max(0, SHRINKAGE + 1 - columns), 0, max(0, SHRINKAGE + 1 - rows))
        )
        kept = [padded]
        for convolution in self.encoder:
            kept.append(torch.relu(convolution(kept[-1])))
        features = kept[LAYERS]
        # The decoder meets the encoder where both have 4, 2 and 0 layers below them.
        for level, convolution in zip(reversed(range(LAYERS)), self.decoder, strict=True):
            features = convolution(features)
            if level % 2 == 0:
                features = features + kept[level]
            if level > 0:
                features = torch.relu(features)
        return features[:, :, :rows, :columns]
