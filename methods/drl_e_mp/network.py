"""DRL with an edge detection layer and three output channels (Gholizadeh-Ansari et al. 2019).

231,526 trainable parameters (231,416 with one output channel), receptive field 39 x 39, any image
size.
"""

import torch
from torch import Tensor, nn

WIDTH = 64
# Keras' default; PyTorch's is 1e-5.
BATCH_NORM_EPSILON = 1e-3
SOBEL = (
    ((-1, -2, -1), (0, 0, 0), (1, 2, 1)),
    ((-1, 0, 1), (-2, 0, 2), (-1, 0, 1)),
    ((0, 1, 2), (-1, 0, 1), (-2, -1, 0)),
    ((-2, -1, 0), (-1, 0, 1), (0, 1, 2)),
)


def build(output_channels: int = 3) -> nn.Module:
    """Build an untrained network whose every output channel starts as the input image.

    output_channels : 3 where a perceptual loss reads them as colours, 1 otherwise.
    """
    network = EdgeDilatedResidualNetwork(output_channels)
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module is not network.sobel:
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
    network.sobel.weight.data.copy_(torch.tensor(SOBEL, dtype=torch.float32).unsqueeze(1))
    network.sobel.requires_grad_(False)
    nn.init.zeros_(network.conv7.weight)
    nn.init.zeros_(network.conv8.weight[:, 1:])
    nn.init.ones_(network.conv8.weight[:, 1, 1, 1])
    return network


class EdgeDilatedResidualNetwork(nn.Module):
    """Image and four Sobel maps, six dilated convolutions, and a convolution that joins both."""

    def __init__(self, output_channels: int) -> None:
        super().__init__()
        inputs = 1 + len(SOBEL)
        self.sobel = nn.Conv2d(1, len(SOBEL), 3, padding=1, padding_mode="reflect", bias=False)
        self.conv1 = nn.Conv2d(inputs, WIDTH, 5, padding=2)
        self.block2 = _dilated_block(WIDTH, 2)
        self.block3 = _dilated_block(WIDTH, 3)
        self.block4 = _dilated_block(WIDTH, 4)
        self.block5 = _dilated_block(WIDTH, 3)
        self.block6 = _dilated_block(2 * WIDTH, 2)
        self.conv7 = nn.Conv2d(2 * WIDTH, 1, 3, padding=1)
        self.conv8 = nn.Conv2d(1 + inputs, output_channels, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Map [batch, 1, row, column] to [batch, output_channels, row, column]."""
        stacked = torch.cat([image, self.sobel(image)], dim=1)
        first = torch.relu(self.conv1(stacked))
        second = self.block2(first)
        fifth = self.block5(self.block4(self.block3(second)))
        sixth = self.block6(torch.cat([fifth, second], dim=1))
        correction = self.conv7(torch.cat([sixth, first], dim=1))
        return self.conv8(torch.cat([correction, stacked], dim=1))


def _dilated_block(input_channels: int, dilation: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(input_channels, WIDTH, 3, padding=dilation, dilation=dilation),
        nn.BatchNorm2d(WIDTH, eps=BATCH_NORM_EPSILON),
        nn.ReLU(),
    )
