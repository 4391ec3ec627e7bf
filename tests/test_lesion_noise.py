"""Noise power spectra of windows of any shape, as the lesion bench takes them near lesions."""

import numpy as np
import pytest
from scipy import ndimage

from ldct.evaluation.lesion_noise import (
    BIN_PER_MM,
    SMALLEST_AREA_MM2,
    half_power_radius,
    noise_profile,
    noise_weight,
)
from ldct.evaluation.noise_power import (
    noise_power,
    noise_variance,
    radial_profile,
    weighted_noise_power,
)

PIXEL_MM = (0.7, 0.7)
SHAPE = (72, 90)
ROW, COLUMN = np.indices(SHAPE)


def odd_mask() -> np.ndarray:
    """A ring with a bite out of it, and a bar: some 800 pixels, no two sides alike."""
    radius = np.hypot(ROW - 34, COLUMN - 40)
    ring = (radius < 16) & (radius > 4) & ~((ROW < 30) & (COLUMN > 44))
    return ring | ((ROW > 44) & (ROW < 56) & (COLUMN > 58) & (COLUMN < 70))


def white(count: int, std_hu: float = 20.0, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, std_hu, (count, *SHAPE))


def weight_of(mask: np.ndarray, pixel_mm=PIXEL_MM) -> np.ndarray:
    found = noise_weight(mask, pixel_mm)
    assert isinstance(found, np.ndarray), found
    return found


def mean_profile(images, weight, pixel_mm=PIXEL_MM):
    profiles = [noise_profile(image, weight, pixel_mm) for image in images]
    return profiles[0].frequency, np.mean([profile.power for profile in profiles], axis=0)


def disc(radius_px: float) -> np.ndarray:
    return np.hypot(ROW - 34.5, COLUMN - 40) <= radius_px


@pytest.mark.parametrize("pixel_mm", [(0.7, 0.7), (0.6, 0.9)], ids=["square", "oblong"])
def test_white_noise_is_flat_and_its_integral_is_the_variance(pixel_mm):
    count, std = 300, 20.0
    weight = weight_of(odd_mask(), pixel_mm)
    frequency, profile = mean_profile(white(count, std), weight, pixel_mm)
    true = std**2 * pixel_mm[0] * pixel_mm[1]
    # Independent values in a ring: area of the window times area of the ring.
    area = weight.sum() ** 2 / (weight**2).sum() * pixel_mm[0] * pixel_mm[1]
    error = 1 / np.sqrt(count * area * np.pi * frequency * BIN_PER_MM)
    np.testing.assert_array_less(np.abs(profile / true - 1)[1:], 4 * error[1:])
    # The mean that is removed is power near zero frequency.
    assert profile[0] == pytest.approx(true, rel=0.1)
    variances = [
        noise_variance(weighted_noise_power(image, weight, pixel_mm), pixel_mm)
        for image in white(count, std)
    ]
    assert np.mean(variances) == pytest.approx(std**2, rel=0.02)


def test_integral_is_the_variance_averaged_with_the_squared_weight():
    weight = weight_of(odd_mask())
    image = 70 + white(1)[0]
    expected = np.average((image - np.average(image, weights=weight)) ** 2, weights=weight**2)
    found = noise_variance(weighted_noise_power(image, weight, PIXEL_MM), PIXEL_MM)
    assert found == pytest.approx(expected, rel=1e-9)


def test_blurred_noise_has_a_lower_mean_frequency():
    weight = weight_of(odd_mask())
    for image in white(10, seed=1):
        profiles = [
            noise_profile(ndimage.gaussian_filter(image, blur) if blur else image, weight, PIXEL_MM)
            for blur in (0.0, 0.7, 1.5)
        ]
        means = [profile.mean_frequency for profile in profiles]
        assert means[0] > means[1] > means[2]


def test_spectrum_is_that_of_the_same_noise_in_squares():
    """What the texture lab measures in squares of 32 pixels, in another window.

    The last bin holds a fortieth of the highest: some of it leaked from low frequencies.
    """
    images = ndimage.gaussian_filter(white(150, seed=2), (0, 0.7, 0.7))
    _, profile = mean_profile(images, weight_of(odd_mask()))
    squares = noise_power(images[:, 20:52, 20:52], PIXEL_MM).mean(axis=0)
    _, expected = radial_profile(squares, PIXEL_MM, BIN_PER_MM)
    np.testing.assert_allclose(profile[:-1], expected[:-1], rtol=0.1)
    assert profile[-1] == pytest.approx(expected[-1], rel=0.2)


@pytest.mark.parametrize("outside", [1e4, np.nan])
def test_pixels_outside_the_mask_do_not_matter(outside):
    mask = odd_mask()
    image = white(1)[0]
    found, elsewhere = (
        noise_profile(values, weight_of(mask), PIXEL_MM)
        for values in (image, np.where(mask, image, outside))
    )
    np.testing.assert_array_equal(found.power, elsewhere.power)
    assert found.mean_frequency == elsewhere.mean_frequency


def test_a_wave_stands_in_its_bin():
    wave = 10 * np.cos(2 * np.pi * 0.4 * PIXEL_MM[0] * (0.6 * ROW + 0.8 * COLUMN))
    found = noise_profile(wave, weight_of(disc(12)), PIXEL_MM)
    assert found.frequency[np.argmax(found.power)] == pytest.approx(0.4)
    assert found.mean_frequency == pytest.approx(0.4, abs=0.02)


def test_bins_are_the_same_in_crops_of_every_size():
    image, weight = white(1)[0], weight_of(disc(12))
    whole, cut = (
        noise_profile(image[part], weight[part], PIXEL_MM)
        for part in (np.s_[:, :], np.s_[15:60, 20:62])
    )
    np.testing.assert_array_equal(whole.frequency, cut.frequency)
    assert whole.frequency[-1] <= 0.5 / PIXEL_MM[0]
    assert cut.mean_frequency == pytest.approx(whole.mean_frequency, rel=0.02)


def test_too_small_a_mask_is_refused_with_its_area():
    radius_px = np.sqrt(SMALLEST_AREA_MM2 / np.pi) / PIXEL_MM[0]
    assert isinstance(noise_weight(disc(radius_px + 0.5), PIXEL_MM), np.ndarray)
    small = disc(radius_px - 0.5)
    area = f"{small.sum() * 0.49:.0f} of 100 mm²"
    assert (
        noise_weight(small, PIXEL_MM)
        == f"too few pixels within the window for a noise spectrum ({area})"
    )
    assert "(0 of 100 mm²)" in noise_weight(np.zeros(SHAPE, dtype=bool), PIXEL_MM)


def test_pixels_too_coarse_for_a_profile_are_refused():
    assert isinstance(noise_weight(disc(12), (1.6, 1.6)), np.ndarray)
    found = noise_weight(disc(12), (1.6, 3.0))
    assert found == "pixels too coarse for a noise spectrum (3 mm)"


def test_scattered_pixels_are_refused():
    specks = (ROW % 5 < 2) & (COLUMN % 5 < 2)
    scattered = specks & (np.random.default_rng(3).random(SHAPE) < 0.5)
    assert "too scattered for a noise spectrum" in noise_weight(scattered, PIXEL_MM)


@pytest.mark.parametrize("radius_px", [6, 10, 20])
def test_a_disc_blurs_as_an_airy_pattern_does(radius_px):
    """Half of the power of an Airy pattern lies within 0.535 / diameter."""
    found = half_power_radius(disc(radius_px).astype(float), PIXEL_MM)
    assert found == pytest.approx(0.535 / (2 * radius_px * PIXEL_MM[0]), rel=0.08)
