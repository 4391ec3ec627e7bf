"""Generator of WGAN-VGG: eight plain convolutions (Yang et al. 2018).

56,097 trainable parameters, receptive field 17 x 17, any image size.
"""

from itertools import pairwise

from torch import Tensor, nn

WIDTH = 32
LAYERS = 8


def build() -> nn.Module:
    """Build an untrained generator that returns its input where that is not negative.

    The first channel of every layer starts as a unit impulse that passes the image on, and the last
    layer reads only that channel. With random weights alone the last ReLU starts at zero for about
    half of all seeds, and then never learns.
    """
    network = Generator()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
            _pass_first_channel(module)
    nn.init.zeros_(network.layers[-2].weight[:, 1:])
    return network


class Generator(nn.Module):
    """3x3 convolutions with 32 filters, one in the last, and ReLU after every one."""

    def __init__(self) -> None:
        super().__init__()
        widths = [1, *[WIDTH] * (LAYERS - 1), 1]
        self.layers = nn.Sequential()
        for before, after in pairwise(widths):
            self.layers.extend([nn.Conv2d(before, after, 3, padding=1), nn.ReLU()])

    def forward(self, image: Tensor) -> Tensor:
        """Map [batch, 1, row, column] to the same shape."""
        return self.layers(image)


def _pass_first_channel(convolution: nn.Conv2d) -> None:
    nn.init.zeros_(convolution.weight[0])
    nn.init.ones_(convolution.weight[0, 0, 1, 1])
