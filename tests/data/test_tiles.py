"""Tiles: which squares are kept, and that a gathered batch is what slicing gives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ldct.common.errors import InputError
from ldct.data.tiles import gather_tiles, tissue_tiles


def test_only_tiles_with_tissue_are_kept():
    volume = np.full((2, 128, 192), -1024, dtype=np.int16)
    volume[0, 70, 130] = 40  # one voxel, in the tile of row 64, column 128
    volume[1, 0, 0] = -600  # air in the lung: below the threshold
    assert tissue_tiles(volume, 64, 64, -500).tolist() == [[0, 64, 128]]


def test_full_slice_of_tissue_gives_64_tiles():
    """512 x 512 at stride 64: the 8 x 8 tiles per slice behind the paper's count."""
    assert len(tissue_tiles(np.zeros((1, 512, 512), dtype=np.int16), 64, 64, -500)) == 64


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([16, 32]))
def test_gathered_batch_equals_slicing(seed, size):
    rng = np.random.default_rng(seed)
    volumes = [rng.integers(-1024, 3071, (n, 40, 48), dtype=np.int16) for n in (3, 5)]
    tiles = np.array(
        [
            (v := int(rng.integers(2)), rng.integers(len(volumes[v])), rng.integers(40 - size + 1),
             rng.integers(48 - size + 1))
            for _ in range(9)
        ]
    )  # fmt: skip
    batch = gather_tiles(volumes, tiles, size)
    for (v, s, r, c), tile in zip(tiles, batch, strict=True):
        np.testing.assert_array_equal(tile, volumes[v][s, r : r + size, c : c + size])
    assert batch.dtype == np.int16


def test_slices_smaller_than_a_tile_are_named():
    with pytest.raises(InputError, match=r"slices of 48 x 64 pixels .* tiles.size"):
        tissue_tiles(np.zeros((1, 48, 64), dtype=np.int16), 64, 64, -500)
