"""How sharp an image is at each place: the term that gives the sharpness-aware GAN its name."""

import torch
from torch import Tensor
from torch.nn import functional

WINDOW = 7
# Keeps the square root's derivative finite where the image is flat.
EPSILON = 1e-6
SOBEL = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))


def sharpness_map(image: Tensor) -> Tensor:
    """Mean gradient magnitude around each pixel.

    image : [batch, channel, row, column] in network units, at least 9 x 9 pixels. The magnitude is
    Sobel's in units per pixel, averaged over 7 x 7 pixels; pixels without a whole window are left
    out, so the map is 8 pixels smaller on a side.
    """
    planes = image.flatten(0, 1).unsqueeze(1)
    across = torch.tensor(SOBEL, dtype=image.dtype, device=image.device) / 8
    kernels = torch.stack([across, across.T]).unsqueeze(1)
    slopes = functional.conv2d(planes, kernels)
    magnitude = torch.sqrt((slopes**2).sum(dim=1, keepdim=True) + EPSILON)
    return functional.avg_pool2d(magnitude, WINDOW, stride=1)


def sharpness_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference of two images' sharpness maps."""
    return functional.mse_loss(sharpness_map(prediction), sharpness_map(target))
