"""Noise power spectra: closed forms, and what blur, scale and direction do to their numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, stats

from ldct.evaluation.noise_power import (
    anisotropy,
    describe_spectrum,
    detrend,
    frequencies,
    mean_frequency,
    noise_power,
    noise_variance,
    peak_frequency,
    radial_profile,
    shape_distance,
)

SIDE = 32
PIXEL_MM = (0.7, 0.7)


def noise(seed: int, count: int = 200, blur_px: float | tuple = 0.0, std: float = 10.0, rows=SIDE):
    """Patches [patch, rows, 32] cut from Gaussian noise, filtered with a Gaussian."""
    extents = blur_px if isinstance(blur_px, tuple) else (blur_px, blur_px)
    raw = np.random.default_rng(seed).standard_normal((count, rows + 24, SIDE + 24))
    filtered = ndimage.gaussian_filter(raw, (0, *extents))[:, 12:-12, 12:-12]
    return filtered * (std / filtered.std())


def spectrum(patches, pixel_mm=PIXEL_MM):
    return noise_power(patches, pixel_mm).mean(axis=0)


def test_white_noise_is_flat_within_chi_square_bounds():
    """Each bin of the mean over n patches is the true power times chi-square (2n) / 2n."""
    count, std = 400, 10.0
    power = spectrum(noise(0, count, std=std))
    true = std**2 * PIXEL_MM[0] * PIXEL_MM[1]
    row, column = frequencies((SIDE, SIDE), PIXEL_MM)
    # Detrending takes power near zero; bins that are their own conjugate have one degree a patch.
    bins = np.hypot(row, column) > 3.5 / (SIDE * PIXEL_MM[0])
    bins[0, :] = bins[:, 0] = False
    tail = 0.01 / bins.sum()  # all bins inside in 99 of 100 cases
    low, high = stats.chi2(2 * count).ppf([tail / 2, 1 - tail / 2]) / (2 * count)
    assert low < power[bins].min() / true and power[bins].max() / true < high
    # A ring of radius five holds 16 pairs of bins, about five of them independent under the window.
    _, profile = radial_profile(power, PIXEL_MM)
    assert profile[4:] == pytest.approx(true, rel=4 / np.sqrt(5 * count))


@settings(max_examples=20, deadline=None)
@given(
    std=st.floats(0.1, 100),
    pixel=st.tuples(st.floats(0.2, 3), st.floats(0.2, 3)),
    seed=st.integers(0, 99),
)
def test_integral_is_the_window_weighted_variance(std, pixel, seed):
    patches = noise(seed, 3, 0.8, std)
    window = np.hanning(2 * SIDE + 1)[1::2]
    weight = np.outer(window, window) ** 2
    for patch, power in zip(detrend(patches), noise_power(patches, pixel), strict=True):
        expected = np.average(patch**2, weights=weight)
        assert noise_variance(power, pixel) == pytest.approx(expected, rel=1e-9)


def test_integral_is_the_variance_on_average():
    std = describe_spectrum(spectrum(noise(1, 400, 0.7, 12.0)), PIXEL_MM)["noise_std_hu"]
    assert std == pytest.approx(12.0, rel=0.02)


def test_smooth_anatomy_is_no_noise():
    y, x = np.indices((SIDE, SIDE)) / SIDE
    trend = 40 + 30 * x - 20 * y + 15 * x * y - 25 * x**2
    np.testing.assert_allclose(noise_power(trend[None], PIXEL_MM), 0, atol=1e-15)
    patches = noise(2, 5)
    np.testing.assert_allclose(
        noise_power(patches + trend, PIXEL_MM), noise_power(patches, PIXEL_MM), rtol=1e-6, atol=1e-8
    )


def test_blur_lowers_mean_frequency_and_noise():
    described = [describe_spectrum(spectrum(noise(3, 100, b)), PIXEL_MM) for b in (0, 0.5, 1, 2)]
    means = [found["mean_frequency"] for found in described]
    assert means == sorted(means, reverse=True)
    assert means[0] > 2 * means[-1]


def test_peak_frequency_finds_a_ring():
    """Noise filtered to a ring of 0.25 cycles per pixel."""
    rng = np.random.default_rng(4)
    row, column = np.meshgrid(np.fft.fftfreq(512), np.fft.fftfreq(512), indexing="ij")
    ring = np.exp(-(((np.hypot(row, column) - 0.25) / 0.04) ** 2))
    image = np.fft.ifft2(np.fft.fft2(rng.standard_normal((512, 512))) * ring).real
    patches = image.reshape(16, SIDE, 16, SIDE).swapaxes(1, 2).reshape(-1, SIDE, SIDE)
    found = describe_spectrum(spectrum(patches), PIXEL_MM)
    assert found["peak_frequency"] == pytest.approx(0.25 / PIXEL_MM[0], rel=0.05)
    assert found["mean_frequency"] == pytest.approx(0.25 / PIXEL_MM[0], rel=0.05)


def test_pixel_size_scales_frequencies_and_power():
    patches = noise(5, 50, 1.0)
    small = describe_spectrum(spectrum(patches, (0.5, 0.5)), (0.5, 0.5))
    large = describe_spectrum(spectrum(patches, (1.0, 1.0)), (1.0, 1.0))
    assert large["noise_std_hu"] == pytest.approx(small["noise_std_hu"])
    for key in ("mean_frequency", "peak_frequency"):
        assert large[key] == pytest.approx(small[key] / 2)
    np.testing.assert_allclose(spectrum(patches, (1, 1)), 4 * spectrum(patches, (0.5, 0.5)))


def test_hu_scale_changes_power_alone():
    patches = noise(6, 50, 1.0)
    one, three = (describe_spectrum(spectrum(f * patches), PIXEL_MM) for f in (1, 3))
    assert three["noise_std_hu"] == pytest.approx(3 * one["noise_std_hu"])
    for key in ("mean_frequency", "peak_frequency", "anisotropy"):
        assert three[key] == pytest.approx(one[key])


def test_rotation_by_a_quarter_turn_changes_no_number():
    patches = noise(7, 50, (0.5, 1.5))
    turned = np.rot90(patches, axes=(1, 2))
    one, two = (describe_spectrum(spectrum(p), PIXEL_MM) for p in (patches, turned))
    assert two == pytest.approx(one)


def test_anisotropy_tells_streaks_from_round_noise():
    assert anisotropy(spectrum(noise(8, 400, 0.8)), PIXEL_MM) < 0.05
    assert anisotropy(spectrum(noise(8, 400, (0.5, 2.5))), PIXEL_MM) > 0.4


def test_round_noise_on_oblong_pixels_is_round_in_mm():
    """Squares of 32 mm, filtered with a Gaussian of 1 mm: pixels of 0.5 x 1 mm and of 1 x 1 mm."""
    pixel = (0.5, 1.0)
    oblong = spectrum(noise(9, 600, (2.0, 1.0), rows=2 * SIDE), pixel)
    square = spectrum(noise(9, 600, 1.0), (1.0, 1.0))
    assert anisotropy(oblong, pixel) < 0.05
    assert anisotropy(oblong, (1.0, 1.0)) > 0.3
    frequency, profile = radial_profile(oblong, pixel)
    assert frequency[-1] == pytest.approx(0.5)  # Nyquist of the coarser direction
    found = mean_frequency(frequency, profile)
    assert found == pytest.approx(mean_frequency(*radial_profile(square, (1.0, 1.0))), rel=0.05)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.01, 10), min_size=6, max_size=6), st.floats(0.1, 10))
def test_shape_distance_is_a_distance_of_shapes(values, factor):
    frequency = 0.1 * np.arange(1, 7)
    profile, reference = np.array(values), np.array([6.0, 5, 4, 3, 2, 1])
    found = shape_distance(frequency, profile, reference)
    assert shape_distance(frequency, factor * profile, profile) == pytest.approx(0, abs=1e-12)
    assert shape_distance(frequency, reference, factor * profile) == pytest.approx(found)
    shift = mean_frequency(frequency, profile) - mean_frequency(frequency, reference)
    assert found >= abs(shift) - 1e-12
    expected = stats.wasserstein_distance(frequency, frequency, profile, reference)
    assert found == pytest.approx(expected)


def test_no_power_has_no_shape():
    frequency, profile = radial_profile(np.zeros((SIDE, SIDE)), PIXEL_MM)
    assert np.isnan(mean_frequency(frequency, profile))
    assert np.isnan(peak_frequency(frequency, profile))
    assert np.isnan(shape_distance(frequency, profile, profile + 1))
    assert np.isnan(anisotropy(np.zeros((SIDE, SIDE)), PIXEL_MM))
