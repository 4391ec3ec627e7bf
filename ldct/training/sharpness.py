"""How sharp an image is at each place: the term that gives the sharpness-aware GAN its name."""

import torch
from torch import Tensor
from torch.nn import functional

WINDOW = 7
# Keeps the square root's derivative finite where the image is flat.
EPSILON = 1e-6


def sharpness_map(image: Tensor) -> Tensor:
    """Mean gradient magnitude around each pixel.

    image : [batch, channel, row, column] in network units, at least 9 x 9 pixels. The magnitude is
    Sobel's in units per pixel, averaged over 7 x 7 pixels; pixels without a whole window are left
    out, so the map is 8 pixels smaller on a side.
    """
    planes = image.flatten(0, 1).unsqueeze(1)
    slopes = functional.conv2d(planes, sobel_kernels(image))
    magnitude = torch.sqrt((slopes**2).sum(dim=1, keepdim=True) + EPSILON)
    return functional.avg_pool2d(magnitude, WINDOW, stride=1)


def sobel_kernels(image: Tensor) -> Tensor:
    """Sobel's slopes per pixel across and down, [2, 1, 3, 3], of the dtype and device of `image`.

    Computed on the device: a copy from the host would wait for it.
    """
    offsets = torch.arange(-1, 2, dtype=image.dtype, device=image.device)
    across = torch.outer(2 - offsets.abs(), offsets) / 8
    return torch.stack([across, across.T]).unsqueeze(1)


def sharpness_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference of two images' sharpness maps."""
    return functional.mse_loss(sharpness_map(prediction), sharpness_map(target))
