"""A cascade as data: networks applied one after the other, each to the output of the last."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ldct.training.networks import build_network, load_weights


@dataclass(frozen=True)
class Level:
    """One trained level. target: what it predicts, "image" or "residual" (input minus NDCT)."""

    network: nn.Module
    target: str


def load_levels(
    levels: Sequence[Mapping[str, Any]], weights: Sequence[Path], device: torch.device
) -> list[Level]:
    """Load trained levels in evaluation mode (batch norm with its moving statistics).

    levels : {"model", "network", "target"} of each level, first level first.
    weights : one safetensors file per level.
    """
    loaded = []
    for level, path in zip(levels, weights, strict=True):
        network = load_weights(path, build_network(level["network"], 0, level["model"]))
        network = network.to(device, memory_format=torch.channels_last).eval()
        loaded.append(Level(network.requires_grad_(False), level["target"]))
    return loaded


def apply_levels(levels: Sequence[Level], image: Tensor) -> Tensor:
    """Denoise [batch, 1, row, column] in network units; nothing is clipped between levels.

    A level that predicts the residual r = Y_P1 - NDCT returns Y_P1 - r_hat (METHODS.md 9.1).
    """
    for level in levels:
        output = level.network(image)
        image = image - output if level.target == "residual" else output
    return image
