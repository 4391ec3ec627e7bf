"""One line on the network. Source, number of parameters, receptive field."""

import torch
from torch import Tensor, nn


def build() -> nn.Module:
    """Build the untrained network; keyword arguments come from the card's network.options."""
    return Denoiser()


class Denoiser(nn.Module):
    """Two convolutions that predict what to add to the image."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 32, 3, padding=1)
        self.last = nn.Conv2d(32, 1, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Map [batch, 1, row, column] in network units to the same shape, any image size."""
        return image + self.last(torch.relu(self.first(image)))
