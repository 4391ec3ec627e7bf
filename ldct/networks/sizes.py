"""Networks made for some sizes alone, served so that they take images of any size."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

# Keys of a card, and of a resolved stage's `network`.
SIZES = ("tile", "multiple_of")


class AnySize(nn.Module):
    """A network on images [batch, channel, row, column] of any size.

    tile : side of the only squares that the network takes. The image is cut into such squares, half
        a side apart, and of each the middle is kept: a quarter of its side lies around it.
    multiple_of : what the network's sides must be multiples of.
    Images that are too small are reflected at their lower and right edges, and cut afterwards.
    """

    def __init__(self, network: nn.Module, tile: int = 0, multiple_of: int = 1) -> None:
        super().__init__()
        self.network, self.tile, self.multiple_of = network, tile, multiple_of

    @property
    def alignment(self) -> int:
        """Pixels by which an image can be moved so that tiles and strides fall as before."""
        return max(self.tile // 2, self.multiple_of)

    def forward(self, images: Tensor) -> Tensor:
        """Map [batch, channel, row, column] to the same rows and columns."""
        rows, columns = images.shape[2:]
        padded = _reflected(_reflected(images, 2, self._side(rows)), 3, self._side(columns))
        made = self._by_tiles(padded) if self.tile else self.network(padded)
        return made[:, :, :rows, :columns]

    def _side(self, size: int) -> int:
        return max(-(-size // self.multiple_of) * self.multiple_of, self.tile)

    def _by_tiles(self, images: Tensor) -> Tensor:
        columns = list(_tiles(images.shape[3], self.tile))
        bands = []
        for row, kept_rows in _tiles(images.shape[2], self.tile):
            band = images[:, :, row : row + self.tile]
            cut = torch.cat([band[..., start : start + self.tile] for start, _ in columns])
            made = zip(self.network(cut).chunk(len(columns)), columns, strict=True)
            bands.append(torch.cat([tile[..., kept_rows, kept] for tile, (_, kept) in made], dim=3))
        return torch.cat(bands, dim=2)


def served(network: nn.Module, described: Mapping[str, Any]) -> nn.Module:
    """The network itself, or as `AnySize` where its description has `tile` or `multiple_of`."""
    sizes = {key: described[key] for key in SIZES if key in described}
    return AnySize(network, **sizes) if sizes else network


def _tiles(size: int, tile: int) -> list[tuple[int, slice]]:
    """First pixel of each tile of one axis, and what of the tile is kept."""
    starts = [*range(0, size - tile, tile // 2), size - tile]
    seams = [(first + second + tile) // 2 for first, second in pairwise(starts)]
    kept = pairwise([0, *seams, size])
    return [
        (start, slice(first - start, last - start))
        for start, (first, last) in zip(starts, kept, strict=True)
    ]


def _reflected(images: Tensor, axis: int, size: int) -> Tensor:
    have = images.shape[axis]
    if size == have:
        return images
    places = np.pad(np.arange(have), (0, size - have), mode="reflect")
    return images.index_select(axis, torch.from_numpy(places).to(images.device))
