"""VIF and GMSD against written-out formulas; their traps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from scipy.signal import convolve2d

from ldct.metrics.full_reference import gmsd, vif


def scene(side: int = 96, seed: int = 0) -> np.ndarray:
    """A smooth image of structures in [0, 1]."""
    rng = np.random.default_rng(seed)
    image = gaussian_filter(rng.standard_normal((side, side)), 3)
    return (image - image.min()) / np.ptp(image)


def noisy(image: np.ndarray, std: float, seed: int = 1) -> np.ndarray:
    return image + std * np.random.default_rng(seed).standard_normal(image.shape)


def vif_written_out(prediction: np.ndarray, ndct: np.ndarray) -> float:
    """Sheikh and Bovik's pixel-domain VIF in float64, on 0 .. 255."""
    distorted, reference = 255.0 * prediction, 255.0 * ndct
    told, there = 0.0, 0.0
    for scale in range(1, 5):
        side = 2 ** (5 - scale) + 1
        axis = np.arange(side) - (side - 1) / 2
        window = np.exp(-(axis[:, None] ** 2 + axis[None, :] ** 2) / (2 * (side / 5) ** 2))
        window /= window.sum()

        def mean(image, window=window):
            return convolve2d(image, window, mode="valid")

        if scale > 1:
            reference, distorted = mean(reference)[::2, ::2], mean(distorted)[::2, ::2]
        mu_r, mu_d = mean(reference), mean(distorted)
        var_r = np.maximum(mean(reference**2) - mu_r**2, 0)
        var_d = np.maximum(mean(distorted**2) - mu_d**2, 0)
        cov = mean(reference * distorted) - mu_r * mu_d
        gain = np.maximum(cov / (var_r + 1e-10), 0)
        rest = np.maximum(var_d - gain * cov, 1e-10)
        told += np.log10(1 + gain**2 * var_r / (rest + 2.0)).sum()
        there += np.log10(1 + var_r / 2.0).sum()
    return told / there


def gmsd_written_out(prediction: np.ndarray, ndct: np.ndarray) -> float:
    """Xue et al. 2014, section II: 2 x 2 means, Prewitt gradients over 3, T = 170 on 0 .. 255."""
    prewitt = np.array([[1, 0, -1]] * 3) / 3
    magnitudes = []
    for image in (255 * prediction, 255 * ndct):
        half = convolve2d(image, np.full((2, 2), 0.25), mode="valid")[::2, ::2]
        half = np.pad(half, 1, mode="edge")
        x, y = (convolve2d(half, kernel, mode="valid") for kernel in (prewitt, prewitt.T))
        magnitudes.append(np.sqrt(x**2 + y**2))
    ours, theirs = magnitudes
    return float(((2 * ours * theirs + 170) / (ours**2 + theirs**2 + 170)).std())


@pytest.mark.parametrize("std", [0.01, 0.05, 0.2])
def test_vif_is_the_written_out_formula(std):
    ndct = scene()
    for prediction in (noisy(ndct, std), gaussian_filter(ndct, 20 * std), 1.1 * ndct - 0.02):
        assert vif(prediction, ndct) == pytest.approx(vif_written_out(prediction, ndct), abs=1e-4)


@pytest.mark.parametrize("shape", [(96, 96), (95, 64), (64, 71)])
def test_gmsd_is_the_written_out_formula(shape):
    ndct = scene()[: shape[0], : shape[1]]
    prediction = noisy(ndct, 0.05)
    assert gmsd(prediction, ndct) == pytest.approx(gmsd_written_out(prediction, ndct), abs=1e-12)


def test_equal_images_and_more_noise():
    ndct = scene()
    assert vif(ndct, ndct) == pytest.approx(1, abs=1e-5)
    assert gmsd(ndct, ndct) == 0
    levels = [noisy(ndct, std) for std in (0.01, 0.03, 0.1)]
    assert np.all(np.diff([vif(image, ndct) for image in levels]) < 0)
    assert np.all(np.diff([gmsd(image, ndct) for image in levels]) > 0)


@settings(max_examples=20, deadline=None)
@given(st.floats(-0.3, 0.3), st.integers(0, 5))
def test_vif_and_gmsd_do_not_see_a_shift(shift, seed):
    """The trap that the control with 20 HU is for."""
    ndct = scene(64, seed)
    prediction = noisy(ndct, 0.03)
    assert gmsd(prediction + shift, ndct) == pytest.approx(gmsd(prediction, ndct), abs=1e-9)
    assert vif(prediction + shift, ndct) == pytest.approx(vif(prediction, ndct), abs=1e-4)


def test_images_too_small_or_constant_have_no_vif():
    assert np.isnan(vif(scene(40), scene(40)))
    assert np.isnan(gmsd(np.zeros((3, 9)), np.zeros((3, 9))))
    assert np.isnan(vif(noisy(np.zeros((48, 48)), 0.1), np.zeros((48, 48))))
