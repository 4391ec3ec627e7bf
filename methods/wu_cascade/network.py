"""One stage of the Wu cascade: a plain CNN with batch norm that predicts a residual.

Wu et al., A cascaded convolutional neural network for x-ray low-dose CT image denoising, arXiv
1705.04267: 3x3 convolutions, 64 filters, batch norm and ReLU except in the first and last layer.
"""

from torch import nn

WIDTH = 64
# Not known from the sources at hand; eight layers have as many parameters as DRL.
DEPTH = 8


def build(input_channels: int = 1) -> nn.Module:
    """Build an untrained stage that predicts a residual of zero; 223,553 parameters.

    input_channels : 1, or 2 where the low-dose image is stacked below the previous stage's output.
    """
    layers: list[nn.Module] = [nn.Conv2d(input_channels, WIDTH, 3, padding=1), nn.ReLU()]
    for _ in range(DEPTH - 2):
        layers += [nn.Conv2d(WIDTH, WIDTH, 3, padding=1), nn.BatchNorm2d(WIDTH), nn.ReLU()]
    last = nn.Conv2d(WIDTH, 1, 3, padding=1)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*layers, last)
