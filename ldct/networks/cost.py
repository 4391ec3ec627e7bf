"""What applying a network costs and how far it sees, measured on the network itself."""

import weakref
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

# Sides of the images on which the receptive field is looked for.
SIDES = (65, 129, 257)


def multiply_adds(network: nn.Module, channels: int, side: int = 512) -> int:
    """Multiply-adds of convolutions and matrix products for one image of side x side pixels.

    channels : images stacked at the input.
    Counted without computing anything; masked weights count where the network computes them.
    """
    counter = FlopCounterMode(display=False)
    run_without_values(network, (1, channels, side, side), counter)
    return counter.get_total_flops() // 2


def feature_bytes(network: nn.Module, shape: Sequence[int]) -> int:
    """Most bytes of feature maps that exist at one moment while a batch is denoised.

    shape : [batch, channel, row, column] of the input, float32.
    Nothing is computed. The libraries' own working memory is not in it: on a CPU measured peaks
    were 1.1 to 2.9 times as large.
    """
    mode = _LiveBytes()
    run_without_values(network, shape, mode)
    return mode.peak


def run_without_values(network: nn.Module, shape: Sequence[int], mode: Any) -> None:
    """Run a network on an input that has a shape but no values, under a counting mode."""
    # Only a copy's buffers and weights move to the meta device.
    state = {name: value.to("meta") for name, value in network.state_dict(keep_vars=False).items()}
    buffers = {name: value.to("meta") for name, value in network.named_buffers()}
    image = torch.empty(*shape, device="meta")
    with torch.no_grad(), mode:
        torch.func.functional_call(network, {**buffers, **state}, (image,))


class _LiveBytes(TorchDispatchMode):
    """Adds up the storage of new tensors, and takes it off when they are freed."""

    def __init__(self) -> None:
        super().__init__()
        self.live = 0
        self.peak = 0
        self.known: set[int] = set()

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        made = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor):
                self._add(tensor.untyped_storage())
        return made

    def _add(self, storage: torch.UntypedStorage) -> None:
        if storage._cdata in self.known:
            return
        self.known.add(storage._cdata)
        self.live += storage.nbytes()
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._free, storage._cdata, storage.nbytes())

    def _free(self, key: int, size: int) -> None:
        self.live -= size
        self.known.discard(key)


def seen_pixels(network: nn.Module, channels: int) -> int | None:
    """Side of the square of input pixels that an output pixel depends on; None where it is large.

    A NaN in the middle of the input reaches every output pixel that depends on it, whatever the
    weights are. None means more than half the largest image that is tried.
    """
    network.eval()
    for side in SIDES:
        image = torch.zeros(1, channels, side, side)
        image[:, :, side // 2, side // 2] = torch.nan
        with torch.inference_mode():
            reached = network(image)[0, 0].isnan().nonzero()
        if len(reached) == 0:
            return 0
        extent = (reached.max(dim=0).values - reached.min(dim=0).values).max().item() + 1
        at_edge = reached.min().item() == 0 or reached.max().item() == side - 1
        if not at_edge:
            return extent
    return None


def chain_of_fields(fields: Sequence[int | None]) -> int | None:
    """Receptive field of networks applied one after the other."""
    known = [field for field in fields if field is not None]
    return None if len(known) < len(fields) else 1 + sum(field - 1 for field in known)
