"""Loss terms by the names that cards use."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ldct.devices.choice import autocast

# An image to its feature maps.
Features = Callable[[Tensor], Sequence[Tensor]]

SSIM_SIGMA = 1.5
SSIM_RADIUS = 5
SSIM_K1, SSIM_K2 = 0.01, 0.03
SHARPNESS_WINDOW = 7
# Keeps the square root's derivative finite where the image is flat.
SHARPNESS_EPSILON = 1e-6


def dssim(prediction: Tensor, target: Tensor) -> Tensor:
    """Structural dissimilarity (1 - SSIM) / 2, in [0, 1]; 0 for identical images.

    prediction, target : [batch, channel, row, column] in network units (data range 1), at least
        11 x 11 pixels.
    SSIM of Wang et al. 2004: Gaussian window of 11 x 11 pixels with sigma 1.5, mean over the pixels
    that the whole window fits around.
    """
    with autocast(prediction.device, False):
        a, b = (image.float().flatten(0, 1).unsqueeze(1) for image in (prediction, target))
        maps = torch.cat([a, b, a * a, b * b, a * b])
        mean_a, mean_b, mean_aa, mean_bb, mean_ab = _gaussian_mean(maps).chunk(5)
        variances = mean_aa - mean_a**2 + mean_bb - mean_b**2
        covariance = mean_ab - mean_a * mean_b
        luminance = (2 * mean_a * mean_b + SSIM_K1**2) / (mean_a**2 + mean_b**2 + SSIM_K1**2)
        structure = (2 * covariance + SSIM_K2**2) / (variances + SSIM_K2**2)
        return (1 - (luminance * structure).mean()) / 2


def _gaussian_mean(maps: Tensor) -> Tensor:
    offsets = torch.arange(-SSIM_RADIUS, SSIM_RADIUS + 1, device=maps.device, dtype=maps.dtype)
    window = torch.exp(-(offsets**2) / (2 * SSIM_SIGMA**2))
    window = window / window.sum()
    return functional.conv2d(
        functional.conv2d(maps, window[None, None, :, None]), window[None, None, None]
    )


def sharpness_map(image: Tensor) -> Tensor:
    """Mean gradient magnitude around each pixel.

    image : [batch, channel, row, column] in network units, at least 9 x 9 pixels. The magnitude is
    Sobel's in units per pixel, averaged over 7 x 7 pixels; pixels without a whole window are left
    out, so the map is 8 pixels smaller on a side.
    """
    planes = image.flatten(0, 1).unsqueeze(1)
    slopes = functional.conv2d(planes, sobel_kernels(image))
    magnitude = torch.sqrt((slopes**2).sum(dim=1, keepdim=True) + SHARPNESS_EPSILON)
    return functional.avg_pool2d(magnitude, SHARPNESS_WINDOW, stride=1)


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


# Mean over batch, channels, rows and columns: a weight means the same at every tile size.
CONTENT_LOSSES = {
    "mse": functional.mse_loss,
    "mae": functional.l1_loss,
    "dssim": dssim,
    "sharpness": sharpness_loss,
}


def content_terms(
    prediction: Tensor, target: Tensor, loss: Mapping[str, Any], features: Features | None = None
) -> dict[str, Tensor]:
    """The unweighted content terms that a card's loss names, in its order.

    prediction : [batch, channel, row, column], network units.
    target : [batch, 1, row, column]; every channel of the prediction is compared with it.
    features : the feature extractor of `loss["perceptual"]`.
    """
    target = target.expand_as(prediction)
    terms = {}
    for name, settings in loss.items():
        if name in CONTENT_LOSSES:
            terms[name] = CONTENT_LOSSES[name](prediction, target)
        elif name == "perceptual":
            distance = CONTENT_LOSSES[settings["distance"]]
            terms[name] = feature_distance(prediction, target, features, distance)
    return terms


def content_loss(
    prediction: Tensor, target: Tensor, loss: Mapping[str, Any], features: Features | None = None
) -> tuple[Tensor, dict[str, Tensor]]:
    """Weighted sum of the content terms, and each unweighted term by name (see content_terms)."""
    terms = content_terms(prediction, target, loss, features)
    total = sum((weight_of(loss, name) * value for name, value in terms.items()), torch.zeros(()))
    return total, {name: value.detach() for name, value in terms.items()}


def weight_of(loss: Mapping[str, Any], name: str) -> Any:
    """Weight of one term: the term itself, or its key `weight` where the term is a mapping."""
    term = loss[name]
    return term["weight"] if isinstance(term, Mapping) and "weight" in term else term


def feature_distance(
    prediction: Tensor,
    target: Tensor,
    features: Features,
    distance: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """Perceptual loss: the distance of feature maps, summed over layers (paper, Eq. 2).

    The target's features are computed once and carry no gradient.
    """
    with torch.no_grad():
        wanted = features(target)
    found = features(prediction)
    return sum(distance(a, b) for a, b in zip(found, wanted, strict=True))


def least_squares(scores: Tensor, aim: float) -> Tensor:
    """Mean squared distance of discriminator scores to one target value (paper, Eq. 1).

    With targets -1/+1 one unit equals eight units of Eq. 1: its targets 1/0 are half as far apart,
    and it has a factor 1/2.
    """
    return functional.mse_loss(scores, torch.full_like(scores, aim))
