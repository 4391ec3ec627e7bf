"""Batches: from the tile table and int16 volumes to tensors in network units.

Tiles are gathered in one indexing operation, from memory-mapped files or from volumes held on the
device, and scaled on the device. Either way a batch is a function of seed, stream and number.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ldct.common.errors import InputError
from ldct.common.scaling import Scaling
from ldct.data.tiles import COLUMN, ROW, SLICE, VOLUME, gather_tiles, release_pages
from ldct.data.volumes import Volume
from ldct.denoising.tiling import alignment_of, has_strides, reach_of
from ldct.devices.choice import autocast, free_memory, pinned, to_device
from ldct.devices.parallel import ALONE, Group, part_of
from ldct.networks.chain import Level, apply_levels, stack_inputs
from ldct.training.recipe import steps_per_epoch
from ldct.training.steps import Batch

# Rows of the tile table [batch, 4] to LDCT and NDCT tiles, int16 HU [batch, row, column].
Cutter = Callable[[np.ndarray], tuple[Tensor, Tensor]]

# Streams keep the batches of the generator and of its critic independent of each other. On the
# tiles of the third the critic is judged and never trained.
STREAMS = {"generator": 0, "critic": 1, "held_out": 2}
# Of 128 real and 128 generated tiles an AUC has a standard error of 0.04 at chance, less above.
HELD_OUT_TILES = 128
BATCHES_AHEAD = 2
# What may be mapped before it is given back: host memory stays bounded on any data set.
MAPPED_BYTES = 2**30
# Linux maps this much around a page that is read for the first time.
FAULT_BYTES = 2**16
# Of the free memory of a GPU, what volumes may take under `volumes_on_device: auto`.
DEVICE_SHARE = 0.5
SLICES_PER_COPY = 16


def batch_reader(
    stage: Mapping[str, Any],
    volumes: Sequence[Volume],
    tiles: np.ndarray,
    scaling: Scaling,
    upstream: Sequence[Level],
    seed: int,
    device: torch.device,
    *,
    on_device: bool = False,
    workers: int = 0,
    group: Group = ALONE,
) -> Callable[[str, int], Batch]:
    """Make the function (stream, number) -> (network input, training target) in network units.

    The input is the LDCT tile, or what the upstream levels make of it in its surroundings, as at
    test; the target is the NDCT tile, or input minus NDCT where the stage predicts the residual
    (docs/methods.md, readings 1 and 14). The stream "held_out" has tiles that "critic" never gives.
    on_device : hold all volumes on `device` and gather there.
    workers : threads that gather batches ahead; 0 gathers when a batch is asked for.
    group : processes that share every batch: this one reads its part alone.
    """
    batch_size, size = stage["recipe"]["batch"], stage["tile_size"]
    held_out = held_out_rows(len(tiles), seed)
    table = {"generator": np.arange(len(tiles)), "held_out": np.flatnonzero(held_out)}
    table["critic"] = np.flatnonzero(~held_out)
    samplers = {
        stream: BatchSampler(len(rows), batch_size, seed, stream) for stream, rows in table.items()
    }
    place = surroundings(volumes, upstream, size, device)
    make_cutter = device_cutter if on_device else host_cutter
    cut = make_cutter(volumes, place.size, device)

    def rows_of(stream: str, number: int) -> np.ndarray:
        rows = table[stream][samplers[stream].rows(number)]
        return place.inside(np.asarray(tiles[rows[part_of(group, len(rows)).rows]]))

    def cut_both(rows: np.ndarray) -> tuple[np.ndarray, tuple[Tensor, Tensor]]:
        corners = place.corners(rows)
        return rows[:, ROW:] - corners[:, ROW:], cut(corners)

    draw = read_ahead(rows_of, cut_both, workers)

    def read(stream: str, number: int) -> Batch:
        offsets, doses = draw(stream, number)
        low, normal = (to_unit(dose, scaling, device) for dose in doses)
        # In float32, as predictions are made.
        with torch.no_grad(), autocast(device, False):
            previous = apply_levels(upstream, low)
        if place.size > size:
            previous, low, normal = (
                crop(image, offsets, size) for image in (previous, low, normal)
            )
        target = previous - normal if stage["target"] == "residual" else normal
        return stack_inputs(stage.get("inputs", ("previous",)), previous, low), target

    return read


def held_out_rows(tiles: int, seed: int) -> np.ndarray:
    """Which of the tiles a critic is judged on: bool [tiles], 128 of them, a tenth at most."""
    order = BatchSampler(tiles, tiles, seed, "held_out").rows(0)
    return np.isin(np.arange(tiles), order[: min(HELD_OUT_TILES, tiles // 10)])


@dataclass(frozen=True)
class Surroundings:
    """Squares of `size` pixels around tiles of `tile` pixels, on multiples of `alignment`.

    limits : int [volume, 2], the last row and column at which a square fits into a slice.
    """

    size: int
    tile: int
    alignment: int
    limits: np.ndarray

    def inside(self, rows: np.ndarray) -> np.ndarray:
        """Rows of the tile table, moved so that tiles larger than those listed fit into slices."""
        moved = np.array(rows)
        room = self.limits[rows[:, VOLUME]] + self.size - self.tile
        moved[:, ROW:] = np.minimum(rows[:, ROW:], room)
        return moved

    def corners(self, rows: np.ndarray) -> np.ndarray:
        """Rows of the tile table [batch, 4], moved to the corners of the squares."""
        moved = np.array(rows)
        start = (rows[:, ROW:] - (self.size - self.tile) // 2) // self.alignment * self.alignment
        moved[:, ROW:] = np.clip(start, 0, self.limits[rows[:, VOLUME]])
        return moved


def surroundings(
    volumes: Sequence[Volume], upstream: Sequence[Level], tile: int, device: torch.device
) -> Surroundings:
    """What the upstream levels must see of a slice, so that a tile is as at test.

    That holds where all slices are at least as large as the square and, with strides in a level,
    have sides that 32 divides; else tiles near an edge are only near it.
    """
    shapes = np.array([volume.quarter.shape[1:] for volume in volumes])
    if tile > shapes.min():
        raise InputError(
            f"training tiles: a side of {tile} pixels, but a training slice has only "
            f"{shapes.min()}; take a smaller tile (of the network's card, or tiles.size)"
        )
    size, alignment = tile, 1
    if upstream:
        reach = reach_of(upstream, device)
        if reach is None:
            size = int(shapes.max())
        elif has_strides(upstream, reach, device):
            alignment = alignment_of(upstream)
            # Two more, since corners are moved by up to one.
            size = (-(-(tile + 2 * reach) // alignment) + 2) * alignment
        else:
            size = tile + 2 * reach
    size = min(size, int(shapes.min()))
    return Surroundings(size, tile, alignment, shapes - size)


def crop(images: Tensor, corners: np.ndarray, size: int) -> Tensor:
    """Squares of `size` pixels of images [batch, 1, row, column]; corners : int [batch, 2]."""
    pairs = zip(images, corners.tolist(), strict=True)
    return torch.stack([image[:, r : r + size, c : c + size] for image, (r, c) in pairs])


class BatchSampler:
    """Batches of tile rows; each epoch is one permutation of all tiles.

    Any step can be asked for at any time, so a resumed training draws what an uninterrupted one
    would have drawn. Shuffling is by the counter-based Philox generator, keyed on seed, stream
    and epoch.
    """

    def __init__(self, tiles: int, batch: int, seed: int, stream: str) -> None:
        self.tiles = tiles
        self.batch = batch
        self.key = (seed, STREAMS[stream])
        self._epoch = -1
        self._order = np.empty(0, dtype=np.int64)

    def rows(self, step: int) -> np.ndarray:
        """Rows of the tile table for batch `step` (0, 1, ...): int64 [<= batch]."""
        epoch, place = divmod(step, steps_per_epoch(self.tiles, self.batch))
        if epoch != self._epoch:
            self._order = self._permutation(epoch)
            self._epoch = epoch
        return self._order[place * self.batch : (place + 1) * self.batch]

    def _permutation(self, epoch: int) -> np.ndarray:
        seed = np.random.SeedSequence([*self.key, epoch])
        return np.random.Generator(np.random.Philox(seed)).permutation(self.tiles)


def to_unit(tiles_hu: Tensor, scaling: Scaling, device: torch.device) -> Tensor:
    """int16 HU [batch, row, column] to float32 network units [batch, 1, row, column] on device."""
    return scaling.to_unit(tiles_hu.to(device, non_blocking=True).float()).unsqueeze(1)


def host_cutter(volumes: Sequence[Volume], size: int, device: torch.device) -> Cutter:
    """Cut tiles from memory-mapped volumes into host memory, pinned where `device` is a GPU."""
    doses = [[volume.quarter for volume in volumes], [volume.full for volume in volumes]]
    row_bytes = max(array.strides[1] for array in doses[0])
    bytes_of_tile = len(doses) * (size * row_bytes + 2 * FAULT_BYTES)
    mapped = 0

    def cut(rows: np.ndarray) -> tuple[Tensor, Tensor]:
        nonlocal mapped
        low, normal = (torch.from_numpy(gather_tiles(dose, rows, size)) for dose in doses)
        mapped += len(rows) * bytes_of_tile
        if mapped >= MAPPED_BYTES:
            mapped = 0
            release_pages([array for dose in doses for array in dose])
        return pinned(low, device), pinned(normal, device)

    return cut


def device_cutter(volumes: Sequence[Volume], size: int, device: torch.device) -> Cutter:
    """Copy all volumes to `device` as int16 and cut tiles there; the same bits as `host_cutter`."""
    shapes = np.array([volume.quarter.shape for volume in volumes], dtype=np.int64)
    ends = shapes.prod(axis=1).cumsum()
    starts, heights, widths = (
        torch.from_numpy(values).to(device)
        for values in (ends - shapes.prod(axis=1), shapes[:, 1].copy(), shapes[:, 2].copy())
    )
    doses = [
        _flat_copy([getattr(volume, dose) for volume in volumes], int(ends[-1]), device)
        for dose in ("quarter", "full")
    ]
    offsets = torch.arange(size, device=device)

    def cut(rows: np.ndarray) -> tuple[Tensor, Tensor]:
        table = to_device(torch.from_numpy(rows.astype(np.int64)), device)
        volume, width = table[:, VOLUME], widths[table[:, VOLUME]]
        line = table[:, SLICE] * heights[volume] + table[:, ROW]
        corner = starts[volume] + line * width + table[:, COLUMN]
        places = corner[:, None, None] + offsets[:, None] * width[:, None, None] + offsets
        low, normal = (dose[places] for dose in doses)
        return low, normal

    return cut


def _flat_copy(arrays: Sequence[np.ndarray], total: int, device: torch.device) -> Tensor:
    """Voxels of all volumes one after the other, copied a few slices at a time."""
    flat = torch.empty(total, dtype=torch.int16, device=device)
    place = 0
    for array in arrays:
        for first in range(0, len(array), SLICES_PER_COPY):
            part = np.array(array[first : first + SLICES_PER_COPY]).reshape(-1)
            flat[place : place + len(part)] = torch.from_numpy(part)
            place += len(part)
        release_pages([array])
    return flat


def volumes_fit(volumes: Sequence[Volume], device: torch.device) -> bool:
    """Whether both doses of all volumes take at most half of the device's free memory.

    False on a CPU: the files are in the page cache there, and a copy would only take memory.
    """
    free = free_memory(device)
    if free is None:
        return False
    wanted = sum(volume.quarter.nbytes + volume.full.nbytes for volume in volumes)
    return wanted <= DEVICE_SHARE * free


def read_ahead(
    rows_of: Callable[[str, int], np.ndarray], cut: Callable[[np.ndarray], Any], workers: int
) -> Callable[[str, int], Any]:
    """Make the function (stream, number) -> cut(rows_of(stream, number)).

    workers : threads that cut the next batches of a stream while one is used. Rows are drawn by the
        calling thread, in order, so the result does not depend on their number.
    """
    if workers == 0:
        return lambda stream, number: cut(rows_of(stream, number))
    pool = ThreadPoolExecutor(workers, thread_name_prefix="tiles")
    waiting: dict[tuple[str, int], Future[Any]] = {}

    def draw(stream: str, number: int) -> Any:
        wanted = [(stream, number + ahead) for ahead in range(BATCHES_AHEAD + 1)]
        for key in [key for key in waiting if key[0] == stream and key not in wanted]:
            waiting.pop(key).cancel()
        for key in wanted:
            if key not in waiting:
                waiting[key] = pool.submit(cut, rows_of(*key))
        return waiting.pop(wanted[0]).result()

    return draw
