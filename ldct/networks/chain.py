"""A cascade as data: networks applied one after the other, each to the output of the last."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ldct.common.errors import InputError
from ldct.networks.files import build_network, load_weights
from ldct.networks.sizes import served


@dataclass(frozen=True)
class Level:
    """One trained level.

    target : what it predicts, "image" or "residual" (the previous image minus NDCT).
    inputs : the images stacked at its input, in order: "previous" (what the level before returns;
        the LDCT image at level 1) and "low_dose".
    """

    network: nn.Module
    target: str
    inputs: tuple[str, ...] = ("previous",)


def load_levels(
    levels: Sequence[Mapping[str, Any]], weights: Sequence[Path], device: torch.device
) -> list[Level]:
    """Load trained levels in evaluation mode (batch norm with its moving statistics).

    levels : {"model", "network", "target", "inputs"} of each level, first level first.
    weights : one safetensors file per level.
    Raises InputError where their numbers differ, or a file does not fit its network.
    """
    if len(levels) != len(weights):
        raise InputError(
            f"levels: found {len(levels)} with {len(weights)} weights files; expected one each"
        )
    loaded = []
    for level, path in zip(levels, weights, strict=True):
        network = load_weights(path, build_network(level["network"], 0, level["model"]))
        network = served(network, level["network"])
        network = network.to(device, memory_format=torch.channels_last).eval()
        inputs = tuple(level.get("inputs", ("previous",)))
        loaded.append(Level(network.requires_grad_(False), level["target"], inputs))
    return loaded


def apply_levels(levels: Sequence[Level], image: Tensor) -> Tensor:
    """Denoise [batch, 1, row, column] in network units; nothing is clipped between levels.

    A level that predicts the residual r = Y_P1 - NDCT returns Y_P1 - r_hat (paper, discussion).
    Where a network gives several channels (each trained on the NDCT image), their mean counts.
    """
    low_dose = image
    for level in levels:
        output = level.network(stack_inputs(level.inputs, image, low_dose))
        if output.shape[1] > 1:
            output = output.mean(dim=1, keepdim=True)
        image = image - output if level.target == "residual" else output
    return image


def stack_inputs(names: Sequence[str], previous: Tensor, low_dose: Tensor) -> Tensor:
    """Network input of a level: the named images ("previous", "low_dose") as channels."""
    images = {"previous": previous, "low_dose": low_dose}
    if len(names) == 1:
        return images[names[0]]
    return torch.cat([images[name] for name in names], dim=1)
