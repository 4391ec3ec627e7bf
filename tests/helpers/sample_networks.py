"""Networks that tests draw and measure."""

import torch
from torch import nn


class DilatedResidual(nn.Module):
    """The DRL network, written out from its layer table (docs/methods.md, DRL)."""

    def __init__(self):
        super().__init__()

        def block(channels, dilation):
            convolution = nn.Conv2d(channels, 64, 3, padding=dilation, dilation=dilation)
            return nn.Sequential(convolution, nn.BatchNorm2d(64), nn.ReLU())

        self.first = nn.Sequential(nn.Conv2d(1, 64, 5, padding=2), nn.ReLU())
        self.second, self.third, self.fourth = block(64, 2), block(64, 3), block(64, 4)
        self.fifth, self.sixth = block(64, 3), block(128, 2)
        self.seventh = nn.Conv2d(128, 1, 3, padding=1)
        self.last = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, image):
        first = self.first(image)
        second = self.second(first)
        fifth = self.fifth(self.fourth(self.third(second)))
        sixth = self.sixth(torch.cat([fifth, second], dim=1))
        return self.last(self.seventh(torch.cat([sixth, first], dim=1)) + image[:, :1])


class PoolAndGrow(nn.Module):
    """Strides, pooling and a transposed convolution."""

    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(1, 4, 3, stride=2, padding=1)
        self.pool = nn.AvgPool2d(2)
        self.deep = nn.Conv2d(4, 4, 3, padding=1)
        self.up = nn.ConvTranspose2d(4, 1, 4, stride=4)
        self.last = nn.Conv2d(1, 1, 5, padding=2)

    def forward(self, image):
        return self.last(self.up(torch.tanh(self.deep(self.pool(self.down(image))))))
