"""Noise power spectra: closed forms, and what blur, scale and a pattern do to their numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, stats

from ldct.texture.noise_power import (
    describe_spectrum,
    detrend,
    frequencies,
    lattice_ratio,
    mean_frequency,
    noise_power,
    noise_variance,
    radial_profile,
    shape_distance,
)

SIDE = 32
PIXEL_MM = (0.7, 0.7)


def noise(seed: int, count: int = 100, blur_px: float = 0.0, std: float = 10.0):
    """Patches [patch, 32, 32] cut from Gaussian noise, filtered with a Gaussian."""
    raw = np.random.default_rng(seed).standard_normal((count, SIDE + 24, SIDE + 24))
    filtered = ndimage.gaussian_filter(raw, (0, blur_px, blur_px))[:, 12:-12, 12:-12]
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


def test_smooth_anatomy_is_no_noise():
    y, x = np.indices((SIDE, SIDE)) / SIDE
    trend = 40 + 30 * x - 20 * y + 15 * x * y - 25 * x**2
    np.testing.assert_allclose(noise_power(trend[None], PIXEL_MM), 0, atol=1e-15)
    patches = noise(2, 5)
    np.testing.assert_allclose(
        noise_power(patches + trend, PIXEL_MM), noise_power(patches, PIXEL_MM), rtol=1e-6, atol=1e-8
    )


def test_a_ring_has_its_mean_frequency_and_blur_lowers_it():
    """Noise filtered to a ring of 0.25 cycles per pixel."""
    rng = np.random.default_rng(4)
    row, column = np.meshgrid(np.fft.fftfreq(256), np.fft.fftfreq(256), indexing="ij")
    ring = np.exp(-(((np.hypot(row, column) - 0.25) / 0.04) ** 2))
    image = np.fft.ifft2(np.fft.fft2(rng.standard_normal((256, 256))) * ring).real
    patches = image.reshape(8, SIDE, 8, SIDE).swapaxes(1, 2).reshape(-1, SIDE, SIDE)
    found = describe_spectrum(spectrum(patches), PIXEL_MM)["mean_frequency"]
    assert found == pytest.approx(0.25 / PIXEL_MM[0], rel=0.05)
    described = [describe_spectrum(spectrum(noise(3, 50, b)), PIXEL_MM) for b in (0, 0.5, 1, 2)]
    assert [one["noise_std_hu"] for one in described[:2]] == pytest.approx([10, 10], rel=0.05)
    means = [one["mean_frequency"] for one in described]
    assert means == sorted(means, reverse=True) and means[0] > 2 * means[-1]


def test_pixel_size_and_hu_scale_what_they_should():
    patches = noise(5, 50, 1.0)
    small, large = (describe_spectrum(spectrum(patches, (mm, mm)), (mm, mm)) for mm in (0.5, 1.0))
    assert large["noise_std_hu"] == pytest.approx(small["noise_std_hu"])
    assert large["mean_frequency"] == pytest.approx(small["mean_frequency"] / 2)
    assert large["lattice_ratio"] == pytest.approx(small["lattice_ratio"])
    np.testing.assert_allclose(spectrum(patches, (1, 1)), 4 * spectrum(patches, (0.5, 0.5)))
    three = describe_spectrum(spectrum(3 * patches, (0.5, 0.5)), (0.5, 0.5))
    assert three["noise_std_hu"] == pytest.approx(3 * small["noise_std_hu"])
    assert three["mean_frequency"] == pytest.approx(small["mean_frequency"])


@pytest.mark.parametrize("side", [32, 16])
@pytest.mark.parametrize("blur_px", [0.0, 0.6, 1.0, 2.5])
def test_lattice_ratio_of_noise_without_a_pattern_is_one(side, blur_px):
    patches = noise(6, 100, blur_px, 12.0)[:, :side, :side]
    assert lattice_ratio(spectrum(patches), PIXEL_MM) == pytest.approx(1, abs=0.07)
    assert lattice_ratio(np.zeros((side, side)), PIXEL_MM) == pytest.approx(1)


def test_lattice_ratio_is_mean_on_the_lattice_over_mean_between():
    """Written out for a spectrum that is flat but for the lattice, with bins counted by hand."""
    power, point = np.full((SIDE, SIDE), 50.0), [n for n in range(SIDE) if n % 4 == 0]
    power[np.ix_(point, point)] = 80.0
    frequency, profile = radial_profile(power + PIXEL_MM[0] ** 2 / 12, PIXEL_MM)
    on, off = [], []
    for i in range(SIDE):
        for j in range(SIDE):
            radius = np.hypot(i - 16, j - 16) / (SIDE * PIXEL_MM[0])
            value = (power[i, j] + PIXEL_MM[0] ** 2 / 12) / np.interp(radius, frequency, profile)
            if i % 4 == j % 4 == 0 and radius:
                on.append(value)
            if 2 in (i % 4, j % 4):
                off.append(value)
    assert len(on) == 63 and len(off) == 448
    assert lattice_ratio(power, PIXEL_MM) == pytest.approx(np.mean(on) / np.mean(off))


@pytest.mark.parametrize("period", [2, 4])
def test_a_pattern_of_one_hu_at_the_lattice_is_seen_and_one_beside_it_is_not(period):
    """Nine squares of 12 HU noise, as a slice has them."""
    patches = noise(7, 9, 1.0, 12.0)
    none = lattice_ratio(spectrum(patches), PIXEL_MM)
    wave = np.cos(2 * np.pi * np.arange(SIDE) / period)
    pattern = np.outer(wave, wave)
    assert lattice_ratio(spectrum(patches + pattern / pattern.std()), PIXEL_MM) > 1.2 * none
    beside = np.outer(*2 * [np.cos(2 * np.pi * np.arange(SIDE) * 13 / 32)])
    assert lattice_ratio(spectrum(patches + beside), PIXEL_MM) < 1.1 * none


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.01, 10), min_size=6, max_size=6), st.floats(0.1, 10))
def test_shape_distance_is_a_distance_of_shapes(values, factor):
    frequency = 0.1 * np.arange(1, 7)
    profile, reference = np.array(values), np.array([6.0, 5, 4, 3, 2, 1])
    found = shape_distance(frequency, profile, reference)
    assert shape_distance(frequency, factor * profile, profile) == pytest.approx(0, abs=1e-12)
    assert shape_distance(frequency, reference, factor * profile) == pytest.approx(found)
    expected = stats.wasserstein_distance(frequency, frequency, profile, reference)
    assert found == pytest.approx(expected)
    assert np.isnan(shape_distance(frequency, 0 * profile, reference))
    assert np.isnan(mean_frequency(frequency, 0 * profile))
