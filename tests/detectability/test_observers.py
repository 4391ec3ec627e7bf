"""Channelised Hotelling observer: closed forms in white noise, bias, coverage, invariances."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from ldct.common.errors import InputError
from ldct.detectability import observers

SIDE, DIAMETER_PX, NOISE = 21, 7.0, 12.0
AXIS = np.arange(SIDE) - SIDE // 2
SQUARE = AXIS[:, None] ** 2 + AXIS**2
DISC = gaussian_filter((np.sqrt(SQUARE) <= DIAMETER_PX / 2).astype(float), 0.8)


def centred_norm(signal: np.ndarray) -> float:
    return float(np.linalg.norm(signal - signal.mean()))


def white(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(60, NOISE, (count, SIDE, SIDE))


def outputs_of(signal: np.ndarray, count: int, seed: int, sigma: float = 0.0) -> list[np.ndarray]:
    """Places with and without the signal, independent noise in each, all blurred alike."""
    images = white(count, seed), white(count, seed + 10_000) + signal
    return [
        observers.channel_outputs(gaussian_filter(part, (0, sigma, sigma)), DIAMETER_PX)
        for part in images
    ]


def test_white_noise_has_the_closed_form_of_a_signal_that_the_channels_span():
    # L_0 and L_1 of the first two channels, written out.
    gauss = np.exp(-np.pi * SQUARE / DIAMETER_PX**2)
    signal = 9 * gauss - 4 * (1 - 2 * np.pi * SQUARE / DIAMETER_PX**2) * gauss
    found = np.sqrt(observers.hotelling(*outputs_of(signal, 4000, 2)))
    assert found == pytest.approx(centred_norm(signal) / NOISE, rel=0.03)


def test_a_disc_is_found_nearly_as_well_as_by_the_best_observer():
    found = observers.hotelling(*outputs_of(6 * DISC, 4000, 3))
    assert 0.9 < found / (centred_norm(6 * DISC) / NOISE) ** 2 < 1.03


@pytest.mark.parametrize("shared", [True, False], ids=["same noise", "independent noise"])
def test_estimate_of_few_places_is_unbiased(shared):
    rng = np.random.default_rng(6)
    mean = np.array([1.0, 0.5, 0.0, -0.5, 0.2])
    mix = rng.normal(size=(5, 5)) + 2 * np.eye(5)
    truth = mean @ mean
    found = []
    for _ in range(1000):
        absent = rng.normal(size=(25, 5))
        noise = absent if shared else rng.normal(size=(25, 5))
        found.append(observers.hotelling(absent @ mix, (noise + mean) @ mix))
    error = np.std(found) / np.sqrt(len(found))
    # Independent classes have 48 degrees of freedom where the formula counts on 24 (so that it errs
    # low), and their C is 2 K, so that its trace is 2 x 5 / 25 whatever the sample.
    independent = 18 / 24 * (48 / (48 - 6) * (truth + 0.4) - 0.4)
    expected = truth if shared else independent
    assert np.mean(found) == pytest.approx(expected, abs=4 * error)


def test_blur_that_can_be_undone_does_not_raise_d_prime():
    sharp, blurred = (
        observers.detectability(*outputs_of(6 * DISC, 200, 8, sigma)) for sigma in (0, 1.5)
    )
    error = np.sqrt(observers.jackknife_variance(blurred[1] - sharp[1]))
    assert blurred[0] - sharp[0] < 2 * error


@settings(max_examples=20, deadline=None)
@given(level=st.floats(-500, 500), factor=st.floats(0.01, 100), seed=st.integers(0, 1000))
def test_level_and_scale_of_the_images_do_not_matter(level, factor, seed):
    images = white(15, seed), white(15, seed + 1) + 6 * DISC
    before, after = (
        observers.hotelling(*(observers.channel_outputs(part, DIAMETER_PX) for part in pair))
        for pair in (images, [factor * part + level for part in images])
    )
    assert after == pytest.approx(before, rel=1e-6, abs=1e-9)


def test_d_prime_without_signal_is_not_below_zero_but_its_noise_stays_symmetric():
    found = [observers.detectability(*outputs_of(0 * DISC, 20, seed)) for seed in range(6)]
    assert min(d_prime for d_prime, _ in found) >= 0
    assert min(without.min() for _, without in found) < 0


@pytest.mark.parametrize("count", [0, 1, observers.FEWEST_PLACES - 1])
def test_too_few_places_give_nan(count):
    absent = np.random.default_rng(0).normal(size=(count, 5))
    assert np.isnan(observers.detectability(absent, absent + 1)[0])
    more = np.random.default_rng(0).normal(size=(observers.FEWEST_PLACES, 5))
    noise = np.random.default_rng(1).normal(size=more.shape)
    assert np.isfinite(observers.detectability(more, more + 1 + noise)[0])


def test_images_without_noise_give_nan_not_infinity():
    assert np.isnan(observers.detectability(np.zeros((20, 1)), np.ones((20, 1)))[0])


def test_channels_have_norm_one_and_no_mean():
    channels = observers.laguerre_gauss(31, 9.0)
    np.testing.assert_allclose((channels**2).sum(axis=(1, 2)), 1)
    np.testing.assert_allclose(channels.mean(axis=(1, 2)), 0, atol=1e-12)


def test_region_is_about_the_pixel_where_discs_are():
    region = observers.central_regions(np.arange(64**2).reshape(64, 64), 21)
    assert region.shape == (21, 21)
    assert region[10, 10] == 32 * 64 + 32


def test_tiny_crops_are_refused():
    with pytest.raises(InputError, match="crop of 8 pixels"):
        observers.region_side(3, 8)
