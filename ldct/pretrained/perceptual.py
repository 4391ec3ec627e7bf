"""The feature extractor of a perceptual loss, with pretrained weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from ldct.common.errors import InputError
from ldct.pretrained.vgg import FeatureStack, check_weights


def load_features(
    loss: Mapping[str, Any], weights: Path | None, device: torch.device, where: str
) -> nn.Module | None:
    """The frozen extractor that a loss's perceptual term names; None for a loss without one.

    weights : safetensors file written by `python -m ldct fetch-weights`.
    where : the model named in messages.
    Raises InputError where the weights are missing or belong to another network: a perceptual loss
    on random features would be another method.
    """
    if "perceptual" not in loss:
        return None
    settings = loss["perceptual"]
    network = settings["features"]
    if weights is None or not weights.is_file():
        found = "no weights" if weights is None else f"no file {weights}"
        raise InputError(
            f"{where}: its perceptual loss needs pretrained {network} weights, found {found}; make "
            f"them with `python -m ldct fetch-weights --network {network} --output FILE`, or name "
            f"a torchvision file in the configuration: perceptual_weights: {{{network}: FILE}}"
        )
    state = load_file(weights)
    check_weights(state, network, str(weights))
    try:
        stack = FeatureStack(network, settings["layers"], settings["normalisation"])
    except InputError as error:
        raise InputError(f"{where}: key 'loss.perceptual.layers': {error}") from None
    stack.load_state_dict({name: state[name] for name in stack.state_dict()})
    stack = stack.to(device, memory_format=torch.channels_last).eval()
    return stack.requires_grad_(False)
