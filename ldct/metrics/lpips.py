"""LPIPS v0.1: a learned distance between images, on AlexNet or VGG-16 (docs/metrics.md)."""

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ldct.common.errors import InputError

# Input channels, output channels, kernel, stride, padding of torchvision's AlexNet.
ALEXNET = (
    (3, 64, 11, 4, 2),
    (64, 192, 5, 1, 2),
    (192, 384, 3, 1, 1),
    (384, 256, 3, 1, 1),
    (256, 256, 3, 1, 1),
)
# Convolutions (counted from 0) before which a pooling stands, and after which a head looks.
POOLED_BEFORE = {"alex": (1, 2), "vgg": (2, 4, 7, 10)}
HEADS_AFTER = {"alex": (0, 1, 2, 3, 4), "vgg": (1, 3, 6, 9, 12)}
VGG_WIDTHS = (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
POOLING = {"alex": (3, 2), "vgg": (2, 2)}
# LPIPS' own normalisation of images in [-1, 1].
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
NORM_EPSILON = 1e-10
SMALLEST_SIDE = 64

Network = Literal["alex", "vgg"]


def convolutions(network: Network) -> list[tuple[int, int, int, int, int]]:
    """(input channels, output channels, kernel, stride, padding) of each convolution."""
    if network == "alex":
        return list(ALEXNET)
    widths = (3, *VGG_WIDTHS)
    return [(before, after, 3, 1, 1) for before, after in zip(widths, VGG_WIDTHS, strict=False)]


def tensor_shapes(network: Network) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all weights: "conv.<n>.weight", "conv.<n>.bias" and "head.<k>"."""
    layers = convolutions(network)
    shapes: dict[str, tuple[int, ...]] = {}
    for number, (before, after, kernel, _, _) in enumerate(layers):
        shapes[f"conv.{number}.weight"] = (after, before, kernel, kernel)
        shapes[f"conv.{number}.bias"] = (after,)
    for head, number in enumerate(HEADS_AFTER[network]):
        shapes[f"head.{head}"] = (layers[number][1],)
    return shapes


class Lpips(nn.Module):
    """Distance of two batches of images: unit-length features compared layer by layer.

    network : "alex" or "vgg". weights : safetensors file of `fetch-lpips-weights`.
    Source: Zhang, Isola, Efros, Shechtman, Wang, CVPR 2018, version 0.1 with linear heads.
    Raises InputError where the file does not hold the network's weights.
    """

    def __init__(self, network: Network, weights: str | Path) -> None:
        super().__init__()
        state = load_file(weights)
        for name, shape in tensor_shapes(network).items():
            found = tuple(state[name].shape) if name in state else None
            if found != shape:
                raise InputError(
                    f"{weights}: {name}: found {found}, expected shape {shape}; delete the file, "
                    "it is fetched again"
                )
        self.network = network
        self.layers = nn.ModuleList(
            nn.Conv2d(before, after, kernel, stride, padding)
            for before, after, kernel, stride, padding in convolutions(network)
        )
        for number, layer in enumerate(self.layers):
            layer.weight.data = state[f"conv.{number}.weight"]
            layer.bias.data = state[f"conv.{number}.bias"]
        self.heads = [state[f"head.{head}"] for head in range(len(HEADS_AFTER[network]))]
        self.requires_grad_(False)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Distances [batch] of images [batch, 3, row, column] in [-1, 1]; 0 for equal images."""
        pairs = zip(self._features(first), self._features(second), self.heads, strict=True)
        distance = torch.zeros(len(first))
        for ours, theirs, head in pairs:
            difference = (_unit_length(ours) - _unit_length(theirs)) ** 2
            distance += torch.einsum("bcij,c->bij", difference, head).mean((1, 2))
        return distance

    def _features(self, image: Tensor) -> list[Tensor]:
        shift, scale = (torch.tensor(values)[None, :, None, None] for values in (SHIFT, SCALE))
        maps, found = (image - shift) / scale, []
        for number, layer in enumerate(self.layers):
            if number in POOLED_BEFORE[self.network]:
                maps = nn.functional.max_pool2d(maps, *POOLING[self.network])
            maps = torch.relu(layer(maps))
            if number in HEADS_AFTER[self.network]:
                found.append(maps)
        return found


def lpips(metric: Lpips, prediction_unit: np.ndarray, ndct_unit: np.ndarray) -> float:
    """LPIPS of one slice: 0 for equal images, larger is worse.

    prediction_unit, ndct_unit : (rows, columns), window units; shown to the network as grey RGB in
        [-1, 1]. NaN where a side is shorter than 64 pixels.
    """
    if min(ndct_unit.shape) < SMALLEST_SIDE:
        return float("nan")
    pair = (
        torch.from_numpy(np.asarray(2 * image - 1, dtype=np.float32)).expand(1, 3, -1, -1)
        for image in (prediction_unit, ndct_unit)
    )
    with torch.inference_mode():
        return float(metric(*pair)[0])


def _unit_length(maps: Tensor) -> Tensor:
    return maps / (torch.sqrt((maps**2).sum(1, keepdim=True)) + NORM_EPSILON)
