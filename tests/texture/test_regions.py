"""The texture region is found by rule: flat soft tissue, wherever it is."""

import numpy as np

from ldct.texture.regions import flattest_soft_tissue


def phantom(rng: np.random.Generator) -> np.ndarray:
    """Two slices of structured tissue; slice 1 has one flat 48 px square at row 60, column 20."""
    structure = np.kron(rng.uniform(10, 90, (2, 16, 16)), np.ones((8, 8)))
    structure[1, 60:108, 20:68] = 50
    return structure + rng.normal(0, 15, structure.shape)


def test_the_flat_square_is_found_despite_noise():
    index, (top, bottom, left, right) = flattest_soft_tissue(phantom(np.random.default_rng(0)), 32)
    assert index == 1
    assert (bottom - top, right - left) == (32, 32)
    assert top >= 60 and bottom <= 108 and left >= 20 and right <= 68


def test_air_and_bone_are_no_candidates_nor_are_small_images():
    volume = np.full((1, 64, 64), -1000.0)
    volume[:, :32] = 800.0
    assert flattest_soft_tissue(volume, 16) is None
    assert flattest_soft_tissue(np.zeros((1, 20, 20)), 32) is None
