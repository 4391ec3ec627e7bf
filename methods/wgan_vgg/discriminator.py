"""Critic of WGAN-VGG: six convolutions and two dense layers (Yang et al. 2018).

17,923,521 trainable parameters at 64 x 64. No batch norm, since the gradient penalty is on the
slope of each tile by itself.
"""

from torch import Tensor, nn

FILTERS = (64, 64, 128, 128, 256, 256)
DENSE = 1024
LEAKY_SLOPE = 0.2


def build(tile_size: int) -> nn.Module:
    """Build an untrained critic for square tiles of `tile_size` pixels (multiple of 8)."""
    if tile_size % 8:
        raise ValueError(f"tile size {tile_size} is not a multiple of 8")
    network = WassersteinCritic(tile_size)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
    return network


class WassersteinCritic(nn.Module):
    """3x3 convolutions, every second one with stride 2, then dense layers to one score."""

    def __init__(self, tile_size: int) -> None:
        super().__init__()
        self.layers = nn.Sequential()
        channels = 1
        for number, filters in enumerate(FILTERS):
            self.layers.append(nn.Conv2d(channels, filters, 3, stride=1 + number % 2, padding=1))
            self.layers.append(nn.LeakyReLU(LEAKY_SLOPE))
            channels = filters
        self.layers.append(nn.Flatten())
        self.layers.append(nn.Linear(channels * (tile_size // 8) ** 2, DENSE))
        self.layers.append(nn.LeakyReLU(LEAKY_SLOPE))
        self.layers.append(nn.Linear(DENSE, 1))

    def forward(self, candidate: Tensor, condition: Tensor) -> Tensor:
        """Scores [batch, 1] of candidates [batch, 1, tile, tile]; no look at the LDCT tile."""
        return self.layers(candidate)
