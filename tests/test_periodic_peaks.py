"""Periodic peaks: planted patterns are found, and noise without a pattern is left alone."""

import numpy as np
import pytest
from scipy import ndimage

from ldct.evaluation.noise_power import noise_power
from ldct.evaluation.periodic_peaks import (
    LOWEST_BIN,
    MODEL_ERROR,
    NullLevel,
    cross_fitted_excess,
    null_level,
    peak_excess,
    pooling_bins,
    searched_bins,
    strongest_peak,
)

SIDE, PIXEL_MM = 32, (0.7, 0.7)
ANYWHERE, POOLING = searched_bins((SIDE, SIDE)), pooling_bins((SIDE, SIDE))
ROW, COLUMN = np.indices((SIDE, SIDE))
CHECKERBOARD = (-1.0) ** (ROW + COLUMN)


def wave(row_cycles: float, column_cycles: float) -> np.ndarray:
    """Sinusoid of 1 HU root mean square; frequencies in cycles per pixel."""
    return np.sqrt(2) * np.cos(2 * np.pi * (row_cycles * ROW + column_cycles * COLUMN) + 0.6)


def slices(rng, pattern=0.0, *, blur_px=0.8, count=6, squares=9, std_hu=12.0):
    """Mean spectra of slices: squares of whole HU, noise correlated like a soft CT kernel's."""
    extents = blur_px if isinstance(blur_px, tuple) else (blur_px, blur_px)
    shape = (count * squares, SIDE + 24, SIDE + 24)
    field = ndimage.gaussian_filter(rng.standard_normal(shape), (0, *extents))
    field = field[:, 12:-12, 12:-12] * (std_hu / field.std())
    power = noise_power(np.rint(50 + field + pattern), PIXEL_MM)
    return power.reshape(count, squares, SIDE, SIDE).mean(axis=1)


def excess(spectra):
    return np.stack([peak_excess(power, PIXEL_MM) for power in spectra])


def is_found(image, null, bins) -> bool:
    return cross_fitted_excess(image, bins).mean() > null_level(null, bins).level


@pytest.mark.parametrize("side", [15, 16, 32])
def test_one_of_each_pair_of_frequencies_is_searched(side):
    found = searched_bins((side, side))
    centre = side // 2
    for row, column in np.ndindex(side, side):
        partner = (2 * centre - row) % side, (2 * centre - column) % side
        far = np.hypot(row - centre, column - centre) >= LOWEST_BIN
        near_partner = np.hypot(partner[0] - centre, partner[1] - centre) >= LOWEST_BIN
        if far and near_partner:
            expected = 1 if partner == (row, column) else 2
            assert found[row, column] + (expected == 2 and found[partner]) == 1, (row, column)


def test_pooling_frequencies_are_multiples_of_an_eighth():
    cycles = (np.argwhere(POOLING) - SIDE // 2) / SIDE
    assert len(cycles) == 33
    np.testing.assert_array_equal(cycles * 8, np.rint(cycles * 8))
    assert not (pooling_bins((SIDE, SIDE), strides=[2]) & ~POOLING).any()
    assert pooling_bins((SIDE, SIDE), strides=[2]).sum() == 3


@pytest.mark.parametrize("bins", [ANYWHERE, POOLING], ids=["anywhere", "pooling"])
@pytest.mark.parametrize(
    "pattern",
    [
        CHECKERBOARD,
        1.5 * wave(0.25, 0.0),
        1.5 * wave(0.25, -0.25),
        2.5 * wave(0.125, 0.375),
        4 * wave(0.125, 0),
    ],
    ids=["checkerboard of 1 HU", "stride 4", "stride 4 diagonal", "stride 8", "stride 8 low"],
)
def test_planted_patterns_are_found(pattern, bins):
    rng = np.random.default_rng(1)
    assert is_found(excess(slices(rng, pattern)), excess(slices(rng)), bins)


def test_a_pattern_off_the_lattice_is_found_anywhere_and_not_at_pooling_frequencies():
    rng = np.random.default_rng(2)
    image, null = excess(slices(rng, 2 * wave(0.31, 0.19))), excess(slices(rng))
    assert is_found(image, null, ANYWHERE)
    assert not is_found(image, null, POOLING)


@pytest.mark.parametrize("bins", [ANYWHERE, POOLING], ids=["anywhere", "pooling"])
def test_without_a_pattern_the_score_stays_below_the_null_level(bins):
    """In one case of twenty at most; 40 data sets leave room for six (probability 0.014)."""
    rng = np.random.default_rng(3)
    found = [is_found(excess(slices(rng)), excess(slices(rng)), bins) for _ in range(40)]
    assert sum(found) <= 6


def test_ndct_quantile_alone_holds_its_nominal_rate():
    """The level without its lower limit: one case in twenty, by construction, for like texture."""
    rng = np.random.default_rng(4)
    found = 0
    for _ in range(60):
        image, null = excess(slices(rng)), excess(slices(rng))
        level = null_level(null, ANYWHERE).ndct_quantile
        found += cross_fitted_excess(image, ANYWHERE).mean() > level
    assert found <= 8  # probability 0.006 at a rate of 0.05


@pytest.mark.parametrize("blur_px", [0.0, 0.6, 0.9, 1.2, 1.6, 2.5])
def test_background_fits_spectra_without_a_pattern(blur_px):
    """What is left after 600 patches is the error of the fit: below MODEL_ERROR for every blur."""
    rng = np.random.default_rng(5)
    power = slices(rng, blur_px=blur_px, count=1, squares=600)[0]
    assert peak_excess(power, PIXEL_MM)[ANYWHERE].max() < MODEL_ERROR


@pytest.mark.parametrize("bins", [ANYWHERE, POOLING], ids=["anywhere", "pooling"])
def test_streaks_are_no_pattern(bins):
    """Noise correlated four times as far along rows, more than in any LDCT image."""
    rng = np.random.default_rng(6)
    image = excess(slices(rng, blur_px=(0.5, 2.0)))
    assert not is_found(image, excess(slices(rng)), bins)


@pytest.mark.parametrize("amplitude_hu", [0.002, 0.01, 0.1, 1.0])
def test_a_pattern_is_weighed_against_rounding_to_whole_hu(amplitude_hu):
    """Without noise, excess of a checkerboard is its power over that of rounding: 1/12 HU²."""
    raw = np.random.default_rng(7).standard_normal((60, SIDE, SIDE))
    smooth = 5 * ndimage.gaussian_filter(raw, (0, 1.6, 1.6), mode="wrap")
    power = noise_power(smooth + amplitude_hu * CHECKERBOARD, PIXEL_MM).mean(axis=0)
    window = np.sin(np.pi * (np.arange(SIDE) + 0.5) / SIDE) ** 2
    gain = (np.sum(window) ** 2 / np.sum(window**2)) ** 2
    expected = 12 * gain * amplitude_hu**2
    assert peak_excess(power, PIXEL_MM)[0, 0] == pytest.approx(expected, rel=0.05, abs=0.01)


@pytest.mark.parametrize(
    ("pattern", "place", "rms"),
    [
        (2 * CHECKERBOARD, (0.5, 0.5), 2.0),
        (3 * wave(0.25, 0), (0.25, 0), 3.0),
        (3 * wave(0.125, -0.375), (0.125, -0.375), 3.0),
    ],
    ids=["checkerboard", "stripes", "oblique"],
)
def test_strongest_peak_gives_place_and_amplitude(pattern, place, rms):
    power = slices(np.random.default_rng(8), pattern, count=1, squares=100)[0]
    found = strongest_peak(power, PIXEL_MM, ANYWHERE)
    measured = np.array([found["row_frequency"], found["column_frequency"]])
    aliased = [np.allclose((sign * measured - place) % 1, 0) for sign in (1, -1)]
    assert any(aliased)
    assert found["rms_hu"] == pytest.approx(rms, rel=0.15)


def test_cross_fitting_reads_each_block_at_the_peak_of_the_other():
    found = np.zeros((4, SIDE, SIDE))
    first, second = np.argwhere(ANYWHERE)[[10, 60]]
    found[:2, *first] = 5.0
    found[:2, *second] = 1.0
    found[2:, *second] = 3.0
    np.testing.assert_array_equal(cross_fitted_excess(found, ANYWHERE), [1, 1, 0, 0])


def test_one_slice_has_no_other_to_look_in():
    assert np.isnan(cross_fitted_excess(np.zeros((1, SIDE, SIDE)), ANYWHERE)).all()
    assert len(cross_fitted_excess(np.zeros((0, SIDE, SIDE)), ANYWHERE)) == 0
    none = null_level(np.zeros((0, SIDE, SIDE)), ANYWHERE)
    assert np.isnan(none.level)
    assert none.applied is None


def test_null_level_is_the_higher_of_ndct_and_floor_and_says_which():
    flat = np.zeros((3, SIDE, SIDE))
    low, high = (null_level(flat + excess, ANYWHERE) for excess in (0.25, 0.75))
    assert (low.ndct_quantile, low.level, low.applied) == (0.25, MODEL_ERROR, "floor")
    assert (high.ndct_quantile, high.level, high.applied) == (0.75, 0.75, "ndct_quantile")
    assert NullLevel(MODEL_ERROR).applied == "floor"
