"""CNN-10: three convolutions of 9x9, 3x3 and 5x5.

Chen et al., Low-dose CT via convolutional neural network, Biomedical Optics Express 2017, in the
sizes of the public ldct-benchmark. 24,513 parameters, receptive field 15 x 15, any image size.
"""

from torch import nn


def build() -> nn.Module:
    """Build an untrained CNN-10."""
    return nn.Sequential(
        nn.Conv2d(1, 64, 9, padding=4),
        nn.ReLU(),
        nn.Conv2d(64, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 1, 5, padding=2),
    )
