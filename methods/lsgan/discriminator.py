"""Discriminator of the LSGAN: candidate image and LDCT, stacked, to one score.

Layer table and sources: docs/methods.md, "LSGAN". 2,765,505 trainable parameters at 64 x 64.
With `difference` and without batch norm it learns within a few hundred steps of small batches.
"""

import torch
from torch import Tensor, nn

FILTERS = (64, 128, 256, 512)
LEAKY_SLOPE = 0.2
# Keras momentum 0.8 is PyTorch momentum 0.2.
BATCH_NORM_MOMENTUM = 0.2
BATCH_NORM_EPSILON = 1e-3
# Brings the noise of quarter dose, a few hundredths of the window, near the size of an image.
DIFFERENCE_GAIN = 5.0


def build(
    tile_size: int,
    head: str = "dense",
    conditional: bool = True,
    difference: bool = False,
    batch_norm: bool = True,
) -> nn.Module:
    """Build an untrained discriminator for square tiles of `tile_size` pixels (multiple of 16).

    head : "dense", one score per tile, or "patch", a map of scores, each from 94 x 94 pixels or
        what the tile has of them.
    conditional : whether the LDCT tile is stacked onto the candidate.
    difference : whether the candidate is seen as what was changed: 5 times candidate minus LDCT.
    batch_norm : False leaves the three batch norms out.
    """
    if tile_size % 16:
        raise ValueError(f"tile size {tile_size} is not a multiple of 16")
    if head not in ("dense", "patch"):
        raise ValueError(f"discriminator option head: found '{head}', expected dense or patch")
    return Discriminator(tile_size, head, conditional, difference, batch_norm)


class Discriminator(nn.Module):
    """Four strided convolutions, LeakyReLU before batch norm, and a head without sigmoid."""

    def __init__(
        self, tile_size: int, head: str, conditional: bool, difference: bool, batch_norm: bool
    ) -> None:
        super().__init__()
        self.conditional = conditional
        self.difference = difference
        layers: list[nn.Module] = []
        channels = 2 if conditional else 1
        for number, filters in enumerate(FILTERS):
            layers += [nn.Conv2d(channels, filters, 4, stride=2, padding=1)]
            layers += [nn.LeakyReLU(LEAKY_SLOPE)]
            if number > 0 and batch_norm:
                layers += [
                    nn.BatchNorm2d(filters, eps=BATCH_NORM_EPSILON, momentum=BATCH_NORM_MOMENTUM)
                ]
            channels = filters
        self.body = nn.Sequential(*layers)
        if head == "dense":
            dense = nn.Linear(channels * (tile_size // 16) ** 2, 1)
            self.head = nn.Sequential(nn.Flatten(), dense)
        else:
            # Keras' "same" for an even kernel: one pixel before, two after.
            self.head = nn.Sequential(nn.ZeroPad2d((1, 2, 1, 2)), nn.Conv2d(channels, 1, 4))
        self.apply(_initialise_as_keras)

    def forward(self, candidate: Tensor, condition: Tensor) -> Tensor:
        """Scores [batch, 1] or [batch, 1, row, column] of candidates given LDCT tiles.

        candidate, condition : [batch, 1, tile, tile] in network units.
        """
        if self.difference:
            candidate = DIFFERENCE_GAIN * (candidate - condition)
        tiles = torch.cat([candidate, condition], dim=1) if self.conditional else candidate
        return self.head(self.body(tiles))


def _initialise_as_keras(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
