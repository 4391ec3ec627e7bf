"""U-Net of four levels in the manner of pix2pix, for images of any size.

4,675,713 trainable parameters. An output pixel sees 62 x 62 to 78 x 78 input pixels, depending on
its place in the raster of 16.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTHS = (64, 128, 256, 512)
LEAKY_SLOPE = 0.2
# Keras momentum 0.8 is PyTorch momentum 0.2, as in the discriminator of the LSGAN.
BATCH_NORM_MOMENTUM = 0.2
BATCH_NORM_EPSILON = 1e-3
MULTIPLE = 2 ** len(WIDTHS)


def build() -> nn.Module:
    """Build an untrained U-Net that returns its input (its last convolution starts at zero)."""
    network = ResidualUNet()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
    nn.init.zeros_(network.last.weight)
    return network


class ResidualUNet(nn.Module):
    """Strided convolutions down, nearest upsampling and convolutions up, skips by concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList()
        channels = 1
        for width in WIDTHS:
            self.down.append(_half(channels, width))
            channels = width
        self.up = nn.ModuleList()
        for width in reversed(WIDTHS[:-1]):
            self.up.append(_double(channels, width))
            channels = 2 * width
        self.last = nn.Conv2d(channels, 1, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Map [batch, 1, row, column] to the same shape; the input is added to the output.

        Rows and columns are padded to multiples of 16 by repeating the border, and cut again.
        """
        rows, columns = image.shape[-2:]
        padding = (0, -columns % MULTIPLE, 0, -rows % MULTIPLE)
        maps = functional.pad(image, padding, mode="replicate")
        skips = []
        for layer in self.down:
            maps = layer(maps)
            skips.append(maps)
        for layer, skip in zip(self.up, reversed(skips[:-1]), strict=True):
            maps = torch.cat([layer(maps), skip], dim=1)
        correction = self.last(functional.interpolate(maps, scale_factor=2.0))
        return image + correction[..., :rows, :columns]


def _half(input_channels: int, width: int) -> nn.Sequential:
    layers = [nn.Conv2d(input_channels, width, 4, stride=2, padding=1), nn.LeakyReLU(LEAKY_SLOPE)]
    return nn.Sequential(*layers, *([] if input_channels == 1 else [_norm(width)]))


def _double(input_channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Upsample(scale_factor=2.0),
        nn.Conv2d(input_channels, width, 3, padding=1),
        nn.ReLU(),
        _norm(width),
    )


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=BATCH_NORM_EPSILON, momentum=BATCH_NORM_MOMENTUM)
