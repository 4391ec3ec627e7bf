"""Training tiles as coordinates: which 64 x 64 squares of which slices hold tissue."""

import mmap
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ldct.common.errors import InputError
from ldct.common.files import atomic_path
from ldct.common.inputs import open_array
from ldct.common.progress import track
from ldct.common.provenance import recorded
from ldct.data.volumes import load_volume

# Columns of the tile table.
VOLUME, SLICE, ROW, COLUMN = range(4)


def tissue_tiles(
    quarter_hu: np.ndarray, size: int, stride: int, keep_above_hu: float
) -> np.ndarray:
    """Coordinates of the tiles of one patient that hold at least one voxel of tissue.

    quarter_hu : [slice, row, column] HU of the quarter dose; tiles that would cross the border are
        not made.
    keep_above_hu : a tile is kept when any of its voxels lies above this HU.
    Raises InputError where a slice is smaller than a tile.
    Returns int32 [tiles, 3]: slice, row, column of the upper left voxel. Source: docs/methods.md,
    Tiles (stride 64 without overlap; air tiles dropped).
    """
    if min(quarter_hu.shape[1:]) < size:
        rows, columns = quarter_hu.shape[1:]
        raise InputError(
            f"tiles: slices of {rows} x {columns} pixels are smaller than a tile; expected at "
            f"least {size} x {size}; lower tiles.size in the configuration"
        )
    kept = []
    for index, image in enumerate(quarter_hu):
        windows = np.lib.stride_tricks.sliding_window_view(image, (size, size))[::stride, ::stride]
        rows, columns = np.nonzero(windows.max(axis=(2, 3)) > keep_above_hu)
        kept.append(np.stack([np.full_like(rows, index), rows * stride, columns * stride], axis=1))
    return np.concatenate(kept).astype(np.int32)


def write_tiles(
    volume_folders: Sequence[Path], size: int, stride: int, keep_above_hu: float, output: Path
) -> None:
    """Write the tile table of the training patients.

    volume_folders : one per training patient; their order defines the first column.
    output : int32 .npy [tiles, 4]: volume, slice, row, column. Raises InputError when no tile of
        the patients is kept; without patients there is none.
    """
    settings = {"size": size, "stride": stride, "keep_above_hu": keep_above_hu}
    settings |= {"volumes": [folder.name for folder in volume_folders]}
    with recorded([output], [folder / "volume.json" for folder in volume_folders], settings):
        tables = []
        for number, folder in enumerate(track(volume_folders, "tiles")):
            coordinates = tissue_tiles(load_volume(folder).quarter, size, stride, keep_above_hu)
            tables.append(np.insert(coordinates, 0, number, axis=1))
        table = np.concatenate([np.empty((0, 4)), *tables]).astype(np.int32)
        if len(table) == 0 and volume_folders:
            raise InputError(
                f"tiles: no tile of {size} x {size} in {len(volume_folders)} training patients "
                f"holds a voxel above {keep_above_hu} HU; expected some; check tiles.size and "
                "tiles.keep_above_hu in the configuration"
            )
        with atomic_path(output) as temporary:
            np.save(temporary, table)


def read_tiles(path: str | Path) -> np.ndarray:
    """The tile table, memory-mapped: int [tiles, 4]. InputError where the file is none."""
    table = open_array(path)
    if table.ndim != 2 or table.shape[1] != 4 or table.dtype.kind != "i":
        raise InputError(
            f"{path}: found {table.dtype} values of shape {table.shape}, expected a tile table "
            "(whole numbers, [tiles, 4]); make it again"
        )
    return table


def gather_tiles(volumes: Sequence[np.ndarray], tiles: np.ndarray, size: int) -> np.ndarray:
    """Cut tiles out of memory-mapped volumes, all tiles of a volume in one indexing operation.

    volumes : per patient [slice, row, column], all of one dtype.
    tiles : int [batch, 4] rows of the tile table.
    Returns [batch, size, size] of the volumes' dtype.
    """
    batch = np.empty((len(tiles), size, size), dtype=volumes[0].dtype)
    for number in np.unique(tiles[:, VOLUME]):
        chosen = np.flatnonzero(tiles[:, VOLUME] == number)
        corners = tiles[chosen, SLICE], tiles[chosen, ROW], tiles[chosen, COLUMN]
        # A view of all tiles that the volume has, so that NumPy copies whole rows of a tile.
        volume = np.asarray(volumes[number])
        windows = np.lib.stride_tricks.sliding_window_view(volume, (size, size), axis=(1, 2))
        batch[chosen] = windows[corners]
    return batch


def release_pages(volumes: Sequence[np.ndarray]) -> None:
    """Take memory-mapped volumes out of this process's memory; they can be read as before.

    What was read counts as memory of the process until it is given back, up to the size of the data
    set; the pages stay in the system's cache. Does nothing for other arrays and systems.
    """
    for volume in volumes:
        if isinstance(volume.base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            volume.base.madvise(mmap.MADV_DONTNEED)
