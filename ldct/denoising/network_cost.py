"""What applying a network costs and how far it sees, measured on the network itself."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

# Sides of the images on which the receptive field is looked for.
SIDES = (65, 129, 257)


def multiply_adds(network: nn.Module, channels: int, side: int = 512) -> int:
    """Multiply-adds of convolutions and matrix products for one image of side x side pixels.

    channels : images stacked at the input.
    Counted without computing anything; masked weights count where the network computes them.
    """
    # Meta tensors have shapes but no values; only a copy's buffers and weights move there.
    state = {name: value.to("meta") for name, value in network.state_dict(keep_vars=False).items()}
    buffers = {name: value.to("meta") for name, value in network.named_buffers()}
    image = torch.empty(1, channels, side, side, device="meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        torch.func.functional_call(network, {**buffers, **state}, (image,))
    return counter.get_total_flops() // 2


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
