"""Images that do not fit into memory whole: tiles with the surroundings that their pixels need.

A tile is cut with a margin of at least the networks' reach, so that no pixel that is kept depends
on the cut. At the image's own edge the cut ends there, and the networks pad as they do for the
whole image. Cuts lie on multiples of ALIGNMENT, so that strides and pooling fall as in the whole
image, and none is smaller than the others. Tiles are near the whole slice and need not have its
bits: libraries choose their kernels by processor and shape, and those round differently (1e-5
network units at most).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ldct.common.errors import InputError
from ldct.networks.chain import Level, apply_levels

ALIGNMENT = 32
# Sides of the images, in multiples of ALIGNMENT, on which the reach is looked for.
BLOCKS = (5, 9, 17)
FURTHEST = (BLOCKS[-1] // 2) * ALIGNMENT


@dataclass(frozen=True)
class Span:
    """One axis of a tile: the cut and the kept part in the image, and the kept part in the cut."""

    cut: slice
    kept: slice
    inner: slice


def spans(size: int, tile: int, margin: int, alignment: int = ALIGNMENT) -> Iterator[Span]:
    """Tiles of one axis.

    size : of the image; tile : kept pixels of a tile; margin : pixels added on either side.
    Raises InputError where tile or margin is no multiple of `alignment`.
    """
    if tile % alignment or margin % alignment or tile < alignment:
        raise InputError(
            f"inference.tile: found {tile} (margin {margin}), expected a multiple of {alignment}"
        )
    cut = tile + 2 * margin
    furthest = max(size - cut, 0) // alignment * alignment
    for start in range(0, size, tile):
        first = min(max(start - margin, 0), furthest)
        last = size if first == furthest else first + cut
        stop = min(start + tile, size)
        yield Span(slice(first, last), slice(start, stop), slice(start - first, stop - first))


def apply_tiled(
    apply: Callable[[Tensor], Tensor],
    images: Tensor,
    tile: int,
    margin: int,
    alignment: int = ALIGNMENT,
) -> Tensor:
    """What `apply` makes of images [batch, 1, row, column], tile by tile."""
    result = torch.empty_like(images)
    for rows in spans(images.shape[2], tile, margin, alignment):
        for columns in spans(images.shape[3], tile, margin, alignment):
            made = apply(images[:, :, rows.cut, columns.cut].contiguous())
            result[:, :, rows.kept, columns.kept] = made[:, :, rows.inner, columns.inner]
    return result


def alignment_of(levels: Sequence[Level]) -> int:
    """What cuts must lie on multiples of: ALIGNMENT, and what the levels' cards ask for."""
    return math.lcm(ALIGNMENT, *(getattr(level.network, "alignment", 1) for level in levels))


def margin_of(levels: Sequence[Level], device: torch.device) -> int:
    """Pixels that a tile needs on every side: their reach, up to a multiple of `alignment_of`.

    Raises InputError where that is more than 256 pixels, as with global pooling: such a network
    cannot be tiled.
    """
    reach = reach_of(levels, device)
    if reach is None:
        raise InputError(
            f"inference.tile: a pixel depends on others more than {FURTHEST} pixels away, so the "
            "slice cannot be cut into tiles; give the job more memory (mem_mb)"
        )
    alignment = alignment_of(levels)
    return -(-reach // alignment) * alignment


def reach_of(levels: Sequence[Level], device: torch.device) -> int | None:
    """How far away the pixels are that an output pixel depends on; None for more than 256.

    NaN in one aligned block of the input reaches every output pixel that depends on the block,
    whatever the weights are. Where a card says `tile`, blocks of other places may reach further, by
    a tile at most.
    """
    further = sum(getattr(level.network, "tile", 0) for level in levels)
    for blocks in BLOCKS:
        side, middle = blocks * ALIGNMENT, blocks // 2 * ALIGNMENT
        image = torch.zeros(1, 1, side, side, device=device)
        image[:, :, middle : middle + ALIGNMENT, middle : middle + ALIGNMENT] = torch.nan
        with torch.inference_mode():
            reached = apply_levels(levels, image)[0, 0].isnan().nonzero()
        if len(reached) == 0:
            return 0
        first, last = reached.min().item(), reached.max().item()
        if first > 0 and last < side - 1:
            return max(middle - first, last - (middle + ALIGNMENT - 1)) + further
    return None


def has_strides(levels: Sequence[Level], reach: int, device: torch.device) -> bool:
    """Whether moving an image by one pixel changes more than the place of the output.

    reach : of the levels, from `reach_of`.
    """
    side = BLOCKS[0] * ALIGNMENT
    noise = torch.rand(1, 1, side, side, generator=torch.Generator().manual_seed(0)).to(device)
    inner = slice(side // 2, side // 2 + ALIGNMENT)
    if 2 * reach >= side - 2 * ALIGNMENT:
        return True
    with torch.inference_mode():
        here, moved = (apply_levels(levels, noise.roll(by, 3)).roll(-by, 3) for by in (0, 1))
    return not torch.allclose(here[..., inner, inner], moved[..., inner, inner], atol=1e-4)
