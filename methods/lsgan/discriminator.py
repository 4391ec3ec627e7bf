"""Conditional discriminator of the LSGAN: candidate image and LDCT, stacked, to one score.

Layer table and sources: docs/methods.md, "LSGAN". 2,765,505 trainable parameters at 64 x 64.
"""

import torch
from torch import Tensor, nn

FILTERS = (64, 128, 256, 512)
LEAKY_SLOPE = 0.2
# Keras momentum 0.8 is PyTorch momentum 0.2.
BATCH_NORM_MOMENTUM = 0.2
BATCH_NORM_EPSILON = 1e-3


def build(tile_size: int) -> nn.Module:
    """Build an untrained discriminator for square tiles of `tile_size` pixels (multiple of 16)."""
    if tile_size % 16:
        raise ValueError(f"tile size {tile_size} is not a multiple of 16")
    return ConditionalDiscriminator(tile_size)


class ConditionalDiscriminator(nn.Module):
    """Four strided convolutions, LeakyReLU before batch norm, and a dense head without sigmoid."""

    def __init__(self, tile_size: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 2
        for number, filters in enumerate(FILTERS):
            layers += [nn.Conv2d(channels, filters, 4, stride=2, padding=1)]
            layers += [nn.LeakyReLU(LEAKY_SLOPE)]
            if number > 0:
                layers += [
                    nn.BatchNorm2d(filters, eps=BATCH_NORM_EPSILON, momentum=BATCH_NORM_MOMENTUM)
                ]
            channels = filters
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(channels * (tile_size // 16) ** 2, 1)
        self.apply(_initialise_as_keras)

    def forward(self, candidate: Tensor, condition: Tensor) -> Tensor:
        """Scores [batch, 1] of candidates given LDCT tiles, both [batch, 1, tile, tile]."""
        features = self.body(torch.cat([candidate, condition], dim=1))
        return self.head(features.flatten(1))


def _initialise_as_keras(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
