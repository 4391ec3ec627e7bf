"""The convolutional part of VGG-16 and VGG-19 as a fixed feature extractor."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ldct.common.errors import InputError

# 3x3 convolutions in each of the five blocks (Simonyan and Zisserman 2014, columns D and E).
BLOCKS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
WIDTHS = (64, 128, 256, 512, 512)
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def layer_names(network: str) -> list[str]:
    """Names of all layers ("conv1_1", "relu1_1", ..., "pool5"), each at its torchvision index.

    network : "vgg16" or "vgg19".
    """
    names = []
    for block, convolutions in enumerate(BLOCKS[network], start=1):
        for number in range(1, convolutions + 1):
            names += [f"conv{block}_{number}", f"relu{block}_{number}"]
        names.append(f"pool{block}")
    return names


def convolution_shapes(network: str) -> dict[str, tuple[int, int]]:
    """Torchvision key ("features.0", ...) to (input, output) channels of each convolution."""
    shapes = {}
    channels = 3
    for index, name in enumerate(layer_names(network)):
        if name.startswith("conv"):
            width = WIDTHS[int(name[4]) - 1]
            shapes[f"features.{index}"] = (channels, width)
            channels = width
    return shapes


class FeatureStack(nn.Module):
    """Layers of a VGG network up to the deepest one asked for.

    network : "vgg16" or "vgg19".
    layers : names of layers whose output is wanted; "relu" is after the activation, "conv" before.
    normalisation : "imagenet" (subtract ImageNet's mean colour, divide by its deviation, as the
        weights were trained) or "none" (network units go in as they are).
    Raises InputError for a layer that the network does not have.
    """

    def __init__(self, network: str, layers: Sequence[str], normalisation: str) -> None:
        super().__init__()
        names = layer_names(network)
        unknown = [layer for layer in layers if layer not in names]
        if unknown:
            raise InputError(f"{network} has no layer {unknown[0]}; it has: {', '.join(names)}")
        self.wanted = frozenset(names.index(layer) for layer in layers)
        self.features = nn.Sequential()
        shapes = convolution_shapes(network)
        for index, name in enumerate(names[: max(self.wanted) + 1]):
            if name.startswith("conv"):
                self.features.append(nn.Conv2d(*shapes[f"features.{index}"], 3, padding=1))
            else:
                self.features.append(nn.ReLU() if name.startswith("relu") else nn.MaxPool2d(2))
        raw = normalisation == "none"
        mean, std = ((0.0,), (1.0,)) if raw else (IMAGENET_MEAN, IMAGENET_STD)
        self.register_buffer("mean", torch.tensor(mean)[None, :, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(std)[None, :, None, None], persistent=False)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Feature maps of [batch, 1 or 3, row, column] in [0, 1], shallowest layer first."""
        maps = (image.expand(-1, 3, -1, -1) - self.mean) / self.std
        maps = maps.contiguous(memory_format=torch.channels_last)
        found = []
        for index, layer in enumerate(self.features):
            maps = layer(maps)
            if index in self.wanted:
                found.append(maps)
        return found


def check_weights(state: Mapping[str, Tensor], network: str, where: str) -> None:
    """Raise InputError where a torchvision state lacks a convolution or one has another shape."""
    for key, (before, after) in convolution_shapes(network).items():
        for name, shape in ((f"{key}.weight", (after, before, 3, 3)), (f"{key}.bias", (after,))):
            found = getattr(state.get(name), "shape", None)
            if found is None or tuple(found) != shape:
                what = "nothing" if found is None else f"shape {list(found)}"
                raise InputError(
                    f"{where}: key '{name}': found {what}, expected shape {list(shape)}: the file "
                    f"does not hold {network} in torchvision's layout"
                )
