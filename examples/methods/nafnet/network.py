"""NAFNet from its paper, sections 3.2 to 3.5: no activation, gates and channel attention alone."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional


class Norm(nn.Module):
    """Layer norm over the channels of each pixel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels, eps=1e-6)

    def forward(self, images: Tensor) -> Tensor:
        return self.norm(images.movedim(1, -1)).movedim(-1, 1)


class Block(nn.Module):
    """Two residual parts: spatial with attention, then channels; both start as the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = 2 * channels
        self.norm1, self.norm2 = Norm(channels), Norm(channels)
        self.widen1, self.widen2 = nn.Conv2d(channels, wide, 1), nn.Conv2d(channels, wide, 1)
        self.depthwise = nn.Conv2d(wide, wide, 3, padding=1, groups=wide)
        self.attention = nn.Conv2d(channels, channels, 1)
        self.narrow1, self.narrow2 = (nn.Conv2d(channels, channels, 1) for _ in range(2))
        self.scale1, self.scale2 = (nn.Parameter(torch.zeros(1, channels, 1, 1)) for _ in range(2))

    def forward(self, images: Tensor) -> Tensor:
        gated = gate(self.depthwise(self.widen1(self.norm1(images))))
        weighted = gated * self.attention(gated.mean(dim=(2, 3), keepdim=True))
        images = images + self.scale1 * self.narrow1(weighted)
        return images + self.scale2 * self.narrow2(gate(self.widen2(self.norm2(images))))


def gate(images: Tensor) -> Tensor:
    """Product of both halves of the channels."""
    first, second = images.chunk(2, dim=1)
    return first * second


def blocks(channels: int, count: int) -> nn.Sequential:
    """So many blocks in a row."""
    return nn.Sequential(*(Block(channels) for _ in range(count)))


class NAFNet(nn.Module):
    """[batch, 1, row, column] to the same shape, of any size.

    width : channels at full size. encoder, decoder : blocks of each level, from the top and from
    the bottom. middle : blocks at the bottom.
    """

    def __init__(self, width: int, encoder: list[int], middle: int, decoder: list[int]) -> None:
        super().__init__()
        sizes = [width * 2**level for level in range(len(encoder) + 1)]
        pairs = list(pairwise(sizes))
        self.first, self.last = nn.Conv2d(1, width, 3, padding=1), nn.Conv2d(width, 1, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        self.encoder = nn.ModuleList(map(blocks, sizes, encoder))
        self.down = nn.ModuleList(nn.Conv2d(small, large, 2, 2) for small, large in pairs)
        self.middle = blocks(sizes[-1], middle)
        self.up = nn.ModuleList(
            nn.Sequential(nn.Conv2d(large, 2 * large, 1, bias=False), nn.PixelShuffle(2))
            for _, large in reversed(pairs)
        )
        self.decoder = nn.ModuleList(map(blocks, sizes[-2::-1], decoder))

    def forward(self, images: Tensor) -> Tensor:
        rows, columns = images.shape[2:]
        side = 2 ** len(self.down)
        padded = functional.pad(images, (0, -columns % side, 0, -rows % side), mode="replicate")
        features, skips = self.first(padded), []
        for stage, down in zip(self.encoder, self.down, strict=True):
            skips.append(stage(features))
            features = down(skips[-1])
        features = self.middle(features)
        for up, stage in zip(self.up, self.decoder, strict=True):
            features = stage(up(features) + skips.pop())
        return (padded + self.last(features))[:, :, :rows, :columns]
