"""BM3D rows: what they gain on white and coloured noise, their noise measures, and their errors."""

import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from skimage.metrics import peak_signal_noise_ratio

from ldct.common.errors import InputError
from ldct.denoising.block_matching import bm3d_slice, import_bm3d, tune_factor
from ldct.denoising.classical import load_denoiser

METHODS = Path(__file__).parents[2] / "methods"
SIZE = 96
PIXEL_MM = [0.7, 0.7]


@pytest.fixture(scope="module")
def scalar():
    return load_denoiser(METHODS / "bm3d")


@pytest.fixture(scope="module")
def spectral():
    return load_denoiser(METHODS / "bm3d_psd")


def settings(name: str, **changes) -> dict:
    card = yaml.safe_load((METHODS / name / "method.yaml").read_text())
    return card["settings"] | {"spectrum_tile": 32, "factors": [0.75, 1.0, 1.5]} | changes


def phantom(size: int = SIZE) -> np.ndarray:
    """Soft tissue with organs of other HU and a bone."""
    rows, columns = np.mgrid[:size, :size] / size - 0.5
    image = np.full((size, size), 30.0)
    image[(rows / 0.2) ** 2 + ((columns + 0.1) / 0.25) ** 2 < 1] = 90.0
    image[(rows + 0.25) ** 2 + (columns - 0.25) ** 2 < 0.02] = -60.0
    image[(rows - 0.3) ** 2 + (columns - 0.2) ** 2 < 0.006] = 500.0
    return image.astype(np.float32)


def noise(kind: str, std: float, seed: int, size: int = SIZE) -> np.ndarray:
    """Stationary noise of one standard deviation: white, or with the spectrum of FBP."""
    white = np.random.default_rng(seed).standard_normal((size, size))
    if kind == "white":
        return (std * white).astype(np.float32)
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None, :])
    gain = np.sqrt(frequency) * np.cos(np.pi * np.minimum(frequency, 0.5)) ** 2
    gain /= np.sqrt(np.mean(gain**2))
    return (std * np.fft.ifft2(np.fft.fft2(white) * gain).real).astype(np.float32)


def psnr(image_hu: np.ndarray, truth_hu: np.ndarray) -> float:
    unit = [np.clip((hu + 160) / 400, 0, 1) for hu in (truth_hu, image_hu)]
    return peak_signal_noise_ratio(*unit, data_range=1.0)


def training(kind: str) -> list:
    return [(phantom() + noise(kind, 30, 1), phantom())]


def test_scalar_row_removes_white_noise_with_a_sigma_near_the_truth(scalar):
    parameters = scalar.tune(training("white"), settings("bm3d"))
    assert parameters["noise_hu"] == pytest.approx(30, rel=0.05)
    assert 0.7 < parameters["tuning"]["factor"] < 1.5
    noisy = phantom() + noise("white", 30, 3)
    assert psnr(scalar.denoise(noisy, parameters), phantom()) > psnr(noisy, phantom()) + 6


def test_measured_spectrum_beats_the_scalar_on_coloured_noise(scalar, spectral):
    pairs = training("coloured")
    noisy = phantom() + noise("coloured", 30, 3)
    by_sigma = scalar.denoise(noisy, scalar.tune(pairs, settings("bm3d")))
    parameters = spectral.tune(pairs, settings("bm3d_psd", pixel_mm=[PIXEL_MM]))
    by_spectrum = spectral.denoise(noisy, parameters | {"pixel_mm": PIXEL_MM})
    assert psnr(by_sigma, phantom()) > psnr(noisy, phantom())
    assert psnr(by_spectrum, phantom()) > psnr(by_sigma, phantom()) + 1


def test_profile_is_the_spectrum_of_the_noise(spectral):
    size, tile = 256, 64
    pairs = [(noise("coloured", 20, seed, size), np.zeros((size, size))) for seed in range(4)]
    frequencies, profile = spectral.radial_profile(pairs, [PIXEL_MM] * 4, tile, bins=16)
    cycles_per_pixel = frequencies * PIXEL_MM[0]
    expected = cycles_per_pixel * np.cos(np.pi * np.minimum(cycles_per_pixel, 0.5)) ** 4
    inner = (cycles_per_pixel > 0.06) & (cycles_per_pixel < 0.45)
    ratio = profile[inner] / profile[inner].sum() / (expected[inner] / expected[inner].sum())
    np.testing.assert_allclose(ratio[expected[inner] > 0.1 * expected.max()], 1, atol=0.1)


@pytest.mark.parametrize("std", [8.0, 25.0, 60.0])
def test_level_is_measured_in_the_slice_alone(spectral, std):
    size = 256
    truth = phantom(size)
    pairs = [(truth + noise("coloured", 30, 1, size), truth)]
    frequencies, profile = spectral.radial_profile(pairs, [PIXEL_MM], 64, 32)
    parameters = {
        "pixel_mm": PIXEL_MM,
        "frequencies_per_mm": frequencies,
        "profile": profile,
        "band_sigmas_px": [1.0, 2.0],
        "fallback_level_hu": -1.0,
    }
    spectrum = spectral.spectrum_of_unit_level((size, size), parameters)
    noisy = truth + noise("coloured", std, 5, size)
    level = spectral.noise_level(noisy, spectrum, parameters)
    assert level == pytest.approx(std, rel=0.25)
    air = np.full((size, size), -1000.0)
    assert spectral.noise_level(air, spectrum, parameters) == -1.0


@pytest.mark.parametrize("shape", [(64, 64), (65, 71)])
def test_same_bits_every_time_and_any_size(shape):
    image = phantom(80)[: shape[0], : shape[1]] + noise("white", 20, 0, 80)[: shape[0], : shape[1]]
    first, second = (bm3d_slice(image, 20.0, 400.0) for _ in range(2))
    assert first.shape == shape
    assert first.dtype == np.float32
    np.testing.assert_array_equal(first, second)


def test_factor_is_the_peak_of_the_grid_refined_by_a_parabola():
    truth = np.zeros((4, 4), np.float32)
    # Air, equal in both doses within the window, counts for no factor.
    pairs = [(truth + 1, truth), (truth - 990, truth - 1000)]

    def error_by_factor(_, index, factor):
        assert index == 0
        decibels = 30 - 3 * np.log(factor / 1.3) ** 2  # PSNR is this parabola of log(factor)
        return truth + 400 * 10 ** (-decibels / 20)

    tuning = tune_factor(error_by_factor, pairs, [0.5, 1.0, 2.0], (-160, 240))
    assert tuning["factor"] == pytest.approx(1.3, rel=1e-3)
    np.testing.assert_allclose(
        tuning["psnr_db"], 30 - 3 * np.log(np.array([0.5, 1.0, 2.0]) / 1.3) ** 2, rtol=1e-4
    )
    edge = tune_factor(error_by_factor, pairs, [0.5, 1.0], (-160, 240))
    assert edge["factor"] == 1.0
    with pytest.raises(InputError, match="in each of 1 training crops both doses are equal"):
        tune_factor(error_by_factor, pairs[1:], [0.5], (-160, 240))


def test_missing_package_says_how_to_install_it_and_its_licence(monkeypatch):
    monkeypatch.setitem(sys.modules, "bm3d", None)
    with pytest.raises(InputError, match=r"non-commercial.*pip install"):
        import_bm3d()
    with pytest.raises(InputError, match="bm3d"):
        bm3d_slice(phantom(64), 20.0, 400.0)
