"""Which lower bound keeps the published number of training tiles."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ldct.errors import InputError
from ldct.evaluation.calibration_scores import load_patients
from ldct.progress import track


@dataclass(frozen=True)
class TileCount:
    """Tiles of the training volumes against the published number of them.

    published : number of tiles that the paper states.
    maxima : highest HU of every tile, falling: a lower bound keeps the tiles whose maximum lies
        above it (the others are all zero once clipped to it).
    size, stride : pixels.
    """

    published: int
    maxima: np.ndarray
    size: int
    stride: int

    def kept(self, lower: float) -> int:
        """Tiles that a lower bound in HU keeps."""
        return int(np.count_nonzero(self.maxima > lower))

    def bounds(self) -> tuple[float, float] | None:
        """Lower bounds that come nearest to the published count: from, below (HU).

        None where the volumes hold fewer tiles than were published: they are not its volumes.
        """
        if self.published > len(self.maxima):
            return None
        # Tiles with one maximum are kept or dropped together.
        levels, members = np.unique(self.maxima, return_counts=True)
        kept_above = len(self.maxima) - np.cumsum(members)
        counts = np.concatenate([[len(self.maxima)], kept_above])
        nearest = int(np.abs(counts - self.published).argmin())
        edges = np.concatenate([[-np.inf], levels, [np.inf]])
        return float(edges[nearest]), float(edges[nearest + 1])


def count_tiles(
    volume_folders: Sequence[Path], published: int, size: int, stride: int
) -> TileCount:
    """Read the quarter dose of training volumes and take the maximum of every tile.

    Raises InputError where a slice is smaller than a tile, or a patient stands twice.
    """
    maxima = []
    for folder, volume in track(load_patients(volume_folders).items(), "tile maxima"):
        quarter = volume.quarter
        if min(quarter.shape[1:]) < size:
            raise InputError(
                f"{folder}: slices of {quarter.shape[1]}x{quarter.shape[2]} pixels are smaller "
                f"than a tile of {size}x{size}; lower the tile size"
            )
        for image in quarter:
            view = np.lib.stride_tricks.sliding_window_view(image, (size, size))[::stride, ::stride]
            maxima.append(view.max(axis=(2, 3)).ravel())
    return TileCount(published, np.sort(np.concatenate(maxima))[::-1], size, stride)
