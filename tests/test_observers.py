"""Model observers: closed forms in white noise, bias, coverage, invariances."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from ldct.errors import InputError
from ldct.evaluation import observers

SIDE, DIAMETER_PX, NOISE = 21, 7.0, 12.0


def disc(side: int = SIDE, diameter_px: float = DIAMETER_PX) -> np.ndarray:
    axis = np.arange(side) - side // 2
    return (np.hypot(axis[:, None], axis) <= diameter_px / 2).astype(float)


def centred_norm(signal: np.ndarray) -> float:
    return float(np.linalg.norm(signal - signal.mean()))


def white(count: int, seed: int, side: int = SIDE) -> np.ndarray:
    return np.random.default_rng(seed).normal(60, NOISE, (count, side, side))


def pairs(signal: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Places with and without the signal, independent noise in each."""
    return white(count, seed), white(count, seed + 10_000) + signal


def change_of(outputs, reference, **options):
    """Change of d' at the same places, with its interval."""
    first, second = (observers.detectability(*pair, **options) for pair in (outputs, reference))
    return observers.jackknife_interval(
        first.d_prime - second.d_prime, first.leave_one_out - second.leave_one_out
    )


def test_npw_in_white_noise_has_the_closed_form():
    signal = 6 * disc()
    absent, present = pairs(signal, 4000, 1)
    outputs = [observers.npw_outputs(images, signal) for images in (absent, present)]
    assert observers.matched_filter(*outputs) == pytest.approx(
        centred_norm(signal) / NOISE, rel=0.03
    )


@pytest.mark.parametrize("shown", [1.0, 0.0, -1.0], ids=["kept", "removed", "inverted"])
@pytest.mark.parametrize("count", [5, 25])
def test_npw_has_the_sign_of_what_the_images_show_and_no_bias(shown, count):
    """Few places, again and again: the mean is the closed form of white noise, at 0 too."""
    signal = 4 * disc()
    truth = shown * centred_norm(signal) / NOISE
    rng = np.random.default_rng(12)
    absent = rng.normal(60, NOISE, (800, count, SIDE, SIDE)).astype(np.float32)
    classes = absent, absent + (shown * signal).astype(np.float32)
    outputs = [
        np.stack([observers.npw_outputs(images, signal) for images in part]) for part in classes
    ]
    # Less noise in the difference than in the images, as with crops that share theirs.
    outputs[1] = outputs[1] + rng.normal(0, 0.5 * NOISE, outputs[1].shape)
    truth /= np.sqrt((1 + 1.25) / 2)
    found = [observers.matched_filter(*pair) for pair in zip(*outputs, strict=True)]
    error = np.std(found) / np.sqrt(len(found))
    # The classes vary a little independently: more degrees of freedom than the formula counts on.
    assert np.mean(found) == pytest.approx(truth, abs=4 * error + 0.02 * abs(truth))
    assert abs(np.mean(np.array(found) > 0) - (shown + 1) / 2) < 0.05


def test_trained_observer_turns_its_template_round_and_the_fixed_one_cannot():
    signal = 6 * disc()
    absent, present = pairs(signal, 400, 13)
    inverted = pairs(-signal, 400, 13)[1]
    npw, cho = (
        [[measure(images) for images in pair] for pair in ((absent, present), (absent, inverted))]
        for measure in (
            lambda images: observers.npw_outputs(images, signal),
            lambda images: observers.cho_outputs(images, DIAMETER_PX),
        )
    )
    kept, lost = (observers.detectability(*pair, fixed_template=True) for pair in npw)
    assert kept.d_prime > 2
    assert lost.lower < lost.d_prime < lost.upper < 0
    assert lost.d_prime == pytest.approx(-kept.d_prime, rel=0.1)
    kept, lost = (observers.detectability(*pair) for pair in cho)
    assert lost.d_prime == pytest.approx(kept.d_prime, rel=0.1)


def test_interval_of_the_matched_filter_covers_no_signal_at_all():
    """Neither end is cut at zero, so that it holds as often as it says there too."""
    rng = np.random.default_rng(14)
    covered = []
    for _ in range(400):
        absent = rng.normal(size=(40, 1))
        present = absent + rng.normal(0, 0.3, (40, 1))
        found = observers.detectability(absent, present, fixed_template=True)
        covered.append(found.lower <= 0 <= found.upper)
    assert 0.92 <= np.mean(covered) <= 0.98


def test_cho_in_white_noise_has_the_closed_form_of_a_signal_that_its_channels_span():
    axis = np.arange(SIDE) - SIDE // 2
    square = axis[:, None] ** 2 + axis**2
    # L_0 and L_1 of the first two channels, written out.
    gauss = np.exp(-np.pi * square / DIAMETER_PX**2)
    signal = 9 * gauss - 4 * (1 - 2 * np.pi * square / DIAMETER_PX**2) * gauss
    outputs = [observers.cho_outputs(images, DIAMETER_PX) for images in pairs(signal, 6000, 2)]
    found = observers.trained_observer(*outputs)
    assert found == pytest.approx(centred_norm(signal) / NOISE, rel=0.03)


def test_cho_finds_a_disc_nearly_as_well_as_the_best_observer():
    signal = 6 * gaussian_filter(disc(), 0.8)
    outputs = [observers.cho_outputs(images, DIAMETER_PX) for images in pairs(signal, 6000, 3)]
    efficiency = observers.hotelling(*outputs) / (centred_norm(signal) / NOISE) ** 2
    assert 0.9 < efficiency < 1.03


def test_cho_suppresses_a_noise_that_the_matched_filter_cannot():
    """Broad clouds look like a broad signal: prewhitening helps."""
    signal = 6 * gaussian_filter(disc(), 0.8)
    clouds = gaussian_filter(white(3000, 4, 41), (0, 4, 4))[:, 10:31, 10:31] * 12
    absent = clouds - clouds.mean() + white(3000, 5) / 4
    present = absent + signal
    cho = [observers.cho_outputs(images, DIAMETER_PX) for images in (absent, present)]
    npw = [observers.npw_outputs(images, signal) for images in (absent, present)]
    assert observers.trained_observer(*cho) > 1.4 * observers.matched_filter(*npw) > 0


@pytest.mark.parametrize("shared", [True, False], ids=["same noise", "independent noise"])
def test_estimate_of_few_places_is_unbiased(shared):
    rng = np.random.default_rng(6)
    mean = np.array([1.0, 0.5, 0.0, -0.5, 0.2])
    mix = rng.normal(size=(5, 5)) + 2 * np.eye(5)
    truth = mean @ mean
    found = []
    for _ in range(3000):
        absent = rng.normal(size=(25, 5))
        noise = absent if shared else rng.normal(size=(25, 5))
        found.append(observers.hotelling(absent @ mix, (noise + mean) @ mix))
    error = np.std(found) / np.sqrt(len(found))
    # Independent classes have 48 degrees of freedom where the formula counts on 24 (so that it errs
    # low), and their C is 2 K, so that its trace is 2 x 5 / 25 whatever the sample.
    independent = 18 / 24 * (48 / (48 - 6) * (truth + 0.4) - 0.4)
    expected = truth if shared else independent
    assert np.mean(found) == pytest.approx(expected, abs=4 * error)


def test_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(7)
    mean = np.array([1.2, 0.8, 0.0, 0.0, 0.0])
    truth = np.linalg.norm(mean)
    covered = []
    for _ in range(400):
        absent = rng.normal(size=(40, 5))
        found = observers.detectability(absent, absent + mean + 0.1 * rng.normal(size=(40, 5)))
        covered.append(found.lower <= truth <= found.upper)
    assert 0.92 <= np.mean(covered) <= 0.99


def test_blur_does_not_raise_the_cho_beyond_noise():
    signal = 6 * gaussian_filter(disc(), 0.8)
    absent, present = pairs(signal, 300, 8)
    sharp = tuple(observers.cho_outputs(images, DIAMETER_PX) for images in (absent, present))
    for sigma in (0.7, 1.5):
        blurred = tuple(
            observers.cho_outputs(gaussian_filter(images, (0, sigma, sigma)), DIAMETER_PX)
            for images in (absent, present)
        )
        change, lower, _ = change_of(blurred, sharp)
        assert lower <= 0
        assert change < 0.1


def test_paired_change_is_resolved_where_separate_intervals_overlap():
    signal = 6 * disc()
    absent, present = pairs(signal, 40, 9)
    noisier = np.random.default_rng(10).normal(0, 10, absent.shape)
    clean = tuple(observers.npw_outputs(images, signal) for images in (absent, present))
    dirty = tuple(observers.npw_outputs(images + noisier, signal) for images in (absent, present))
    first, second = (observers.detectability(*pair, fixed_template=True) for pair in (clean, dirty))
    assert second.upper > first.lower
    _, _, upper = change_of(dirty, clean, fixed_template=True)
    assert upper < 0


@settings(max_examples=20, deadline=None)
@given(
    level=st.floats(-500, 500),
    factor=st.floats(0.01, 100),
    seed=st.integers(0, 1000),
)
def test_level_and_scale_of_the_images_do_not_matter(level, factor, seed):
    signal = 6 * disc()
    images = pairs(signal, 15, seed)
    changed = [factor * part + level for part in images]
    for measure, observe in (
        (lambda part: observers.npw_outputs(part, signal), observers.matched_filter),
        (lambda part: observers.cho_outputs(part, DIAMETER_PX), observers.hotelling),
    ):
        before = observe(*map(measure, images))
        after = observe(*map(measure, changed))
        assert after == pytest.approx(before, rel=1e-6, abs=1e-9)


def test_no_signal_gives_an_interval_from_zero():
    outputs = [observers.cho_outputs(images, DIAMETER_PX) for images in pairs(0 * disc(), 40, 11)]
    found = observers.detectability(*outputs)
    assert found.lower == 0
    assert found.d_prime < 1


@pytest.mark.parametrize(
    ("count", "channels", "fixed"),
    [(0, 5, False), (1, 5, False), (7, 5, False), (0, 1, True), (4, 1, True)],
)
def test_too_few_places_give_nan(count, channels, fixed):
    absent = np.random.default_rng(0).normal(size=(count, channels))
    found = observers.detectability(absent, absent + 1, fixed_template=fixed)
    assert np.isnan([found.d_prime, found.lower, found.upper]).all()
    assert found.n_signals == count


@pytest.mark.parametrize("fixed", [False, True])
def test_images_without_noise_give_nan_not_infinity(fixed):
    found = observers.detectability(np.zeros((20, 1)), np.ones((20, 1)), fixed_template=fixed)
    assert np.isnan(found.d_prime)


def test_channels_have_norm_one_and_no_mean():
    channels = observers.laguerre_gauss(31, 9.0)
    np.testing.assert_allclose((channels**2).sum(axis=(1, 2)), 1)
    np.testing.assert_allclose(channels.mean(axis=(1, 2)), 0, atol=1e-12)


@pytest.mark.parametrize(
    ("diameter_px", "crop", "side"), [(7, 64, 21), (6, 64, 19), (1, 64, 9), (40, 64, 63)]
)
def test_region_is_odd_three_diameters_and_fits(diameter_px, crop, side):
    assert observers.region_side(diameter_px, crop) == side
    region = observers.central_regions(np.arange(crop**2).reshape(crop, crop), side)
    assert region.shape == (side, side)
    assert region[side // 2, side // 2] == (crop // 2) * crop + crop // 2


def test_tiny_crops_are_refused():
    with pytest.raises(InputError, match="crop of 8 pixels"):
        observers.region_side(3, 8)
