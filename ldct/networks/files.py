"""Networks from files: build, load and save."""

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from ldct.common.errors import InputError
from ldct.common.files import atomic_path, write_durably
from ldct.common.inputs import failure, import_file


def build_network(network: Mapping[str, Any], seed: int, purpose: str) -> nn.Module:
    """Build an untrained network with seeded initial weights.

    network : {"file": path of a network.py, "options": keyword arguments of its `build`}.
    purpose : distinguishes networks of one seed (the model's name), so that the two levels of a
        cascade do not start from the same weights.
    Raises InputError where the file has no `build`, or that fails or returns no network.
    """
    file, options = network["file"], network.get("options", {})
    module = import_file(file)
    if not hasattr(module, "build"):
        raise InputError(f"{file}: no function 'build'; expected build(**options)")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(zlib.crc32(f"{seed}/{purpose}".encode()))
        try:
            built = module.build(**options)
        except Exception as error:
            problem = failure(error, Path(file).resolve().parent)
            raise InputError(f"{file}: build with options {options} {problem}") from None
    if not isinstance(built, nn.Module):
        raise InputError(
            f"{file}: build() returns a {type(built).__name__}, expected a torch.nn.Module"
        )
    return built


def save_weights(path: Path, network: nn.Module, description: Mapping[str, Any]) -> None:
    """Write the state of `network` as safetensors, with `description` as JSON metadata."""
    state = {name: tensor.contiguous().cpu() for name, tensor in network.state_dict().items()}
    with atomic_path(path) as temporary:
        # save_file would make a file that only its owner can read.
        metadata = {"stage": json.dumps(description, sort_keys=True)}
        write_durably(temporary, save(state, metadata))


def load_weights(path: Path, network: nn.Module) -> nn.Module:
    """Load safetensors into `network`.

    Raises InputError where the file is missing or none, or names, shapes or types do not match.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: not found; expected trained weights: train this stage first")
    try:
        state = load_file(path)
    except SafetensorError as error:
        raise InputError(f"{path}: not a safetensors file ({error}); retrain it") from None
    wanted = network.state_dict()
    for name in wanted.keys() & state.keys():
        if state[name].dtype != wanted[name].dtype:  # would be cast without a word
            raise InputError(
                f"{path}: key '{name}': found {state[name].dtype}, expected {wanted[name].dtype}; "
                "retrain it"
            )
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        problem = " ".join(str(error).split())
        raise InputError(f"{path}: weights do not fit the network: {problem}; retrain it") from None
    return network
