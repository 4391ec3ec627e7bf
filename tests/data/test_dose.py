"""What the simulated low dose must be: noise only, with the level and spectrum of real noise."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage

from ldct.common.errors import InputError
from ldct.data.dose.fan_beam import FanBeamGeometry
from ldct.data.dose.kernels import kernel_response
from ldct.data.dose.settings import DoseSettings
from ldct.data.dose.simulate import (
    added_noise,
    calibrate_photons,
    line_integrals,
    noise_std,
    simulate_quarter_dose,
    slice_generator,
)
from ldct.data.noise import soft_tissue, soft_tissue_noise

SIZE, PIXEL_MM, RADIUS_MM = 96, 1.4, 55.0
GEOMETRY = FanBeamGeometry(cells=368, cell_mm=2 * 1.2858, views=576).narrowed(SIZE / 2 * PIXEL_MM)
# Half the default views: half the step keeps the angle between projected views.
SETTINGS = DoseSettings(geometry=GEOMETRY, view_step=2)
PHOTONS = 2e5


def radius() -> np.ndarray:
    axis = (np.arange(SIZE) - (SIZE - 1) / 2) * PIXEL_MM
    return np.hypot(axis[:, None], axis[None, :])


def water_disc() -> np.ndarray:
    """A slice of water (40 HU) in air, in HU."""
    return np.where(radius() < RADIUS_MM, 40.0, -1000.0).astype(np.float32)


def draw(hu: np.ndarray, count: int, settings: DoseSettings = SETTINGS) -> np.ndarray:
    return np.stack(
        [added_noise(hu, PIXEL_MM, PHOTONS, settings, slice_generator(7, i)) for i in range(count)]
    )


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    """Draws of the noise of a water disc."""
    return draw(water_disc(), 30)


def scan(slices: int = 4, noise_hu: float = 12.0) -> np.ndarray:
    """A volume with noise of its own, and padding outside the circle; int16 HU."""
    rng = np.random.default_rng(3)
    shape = (slices, SIZE, SIZE)
    grain = ndimage.gaussian_filter(rng.standard_normal(shape), (0, 0.8, 0.8))
    hu = water_disc() + noise_hu / grain.std() * grain
    hu[:, radius() > SIZE / 2 * PIXEL_MM] = -2048
    return np.rint(hu).astype(np.int16)


def test_noise_has_zero_mean(noise):
    blocks = noise[:, 8:88, 8:88].reshape(len(noise), 8, 10, 8, 10).mean(axis=(2, 4))
    scores = blocks.mean(axis=0) / (blocks.std(axis=0, ddof=1) / np.sqrt(len(noise)))
    # 64 blocks: z-scores of a zero mean have std 1 (1.03 for Student's t) and hardly exceed 4.
    assert np.abs(scores).max() < 4.5
    assert scores.std() == pytest.approx(1.0, abs=0.3)
    assert abs(scores.mean()) < 0.4


@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_noise_goes_with_the_square_root_of_the_dose(fraction):
    quantum = replace(SETTINGS, electronic_noise=0.0)
    quarter = added_noise(water_disc(), PIXEL_MM, PHOTONS, quantum, slice_generator(1, 0))
    other = added_noise(
        water_disc(),
        PIXEL_MM,
        PHOTONS,
        replace(quantum, dose_fraction=fraction),
        slice_generator(1, 0),
    )
    # The scan has variance 1, the low dose 1 / fraction: the added part is the difference.
    assert other.std() / quarter.std() == pytest.approx(np.sqrt((1 / fraction - 1) / 3), rel=1e-4)


def test_formula_is_the_variance_that_thinning_the_photons_adds():
    """Counts drawn at both doses, with electronic noise, through the logarithm."""
    rng = np.random.default_rng(5)
    photons, transmitted, electronic, draws = 1e6, 2e-3, 5.0, 400_000

    def variance(fraction: float) -> float:
        counts = rng.poisson(fraction * photons * transmitted, draws)
        return np.log(counts + rng.normal(0, electronic, draws)).var()

    settings = replace(SETTINGS, electronic_noise=electronic)
    integral = np.float32(-np.log(transmitted))
    expected = noise_std(np.array([integral]), photons, settings)[0] ** 2
    assert variance(0.25) - variance(1.0) == pytest.approx(expected, rel=0.02)


def test_noise_spectrum_is_ramp_times_kernel(noise):
    side = 64
    corner = (SIZE - side) // 2
    patch = noise[:, corner : corner + side, corner : corner + side]
    window = np.hanning(side)[:, None] * np.hanning(side)[None, :]
    power = (np.abs(np.fft.fft2(patch * window)) ** 2).mean(axis=0)
    axis = np.fft.fftfreq(side, PIXEL_MM)
    frequency = np.hypot(axis[:, None], axis[None, :])
    edges = np.arange(0.04, 0.30, 0.02)
    measured, expected = [], []
    for low, high in pairwise(edges):
        ring = (frequency >= low) & (frequency < high)
        response = kernel_response(frequency[ring])
        # Linear interpolation between samples half a cell apart in the back-projection.
        smoothing = np.sinc(frequency[ring] * GEOMETRY.spacing_mm / 2) ** 2
        measured.append(power[ring].mean())
        expected.append((frequency[ring] * (response * smoothing) ** 2).mean())
    shape = np.array(measured) / np.sum(measured) / (np.array(expected) / np.sum(expected))
    assert np.abs(shape - 1).max() < 0.12
    assert np.sqrt(np.mean((shape - 1) ** 2)) < 0.06


def predicted_std(hu: np.ndarray, x_mm: float, y_mm: float) -> float:
    """Relative noise std at a point: the weights of the fan-beam formula on the rays through it."""
    std = noise_std(line_integrals(hu, PIXEL_MM, SETTINGS), PHOTONS, SETTINGS)
    view = 2 * np.pi * np.arange(GEOMETRY.views) / GEOMETRY.views
    depth = GEOMETRY.source_centre_mm - x_mm * np.cos(view) - y_mm * np.sin(view)
    side = x_mm * np.sin(view) - y_mm * np.cos(view)
    fan = np.arctan2(side, depth)
    cell = np.round(fan / GEOMETRY.pitch + (GEOMETRY.cells - 1) / 2).astype(int)
    through = std[np.arange(GEOMETRY.views), cell]
    return np.sqrt(np.mean((through * np.cos(fan) / (side**2 + depth**2)) ** 2))


def test_noise_is_stronger_behind_bone_and_streaks_along_it(noise):
    hu = water_disc()
    x = np.arange(SIZE)
    for column in (22, 74):  # two rods left and right of the middle
        hu[np.hypot(x[:, None] - 48, x[None, :] - column) < 9] = 2500
    plain, behind = (images[:, 43:53, 38:58] for images in (noise, draw(hu, len(noise))))
    expected = predicted_std(hu, 0, 0) / predicted_std(water_disc(), 0, 0)
    assert expected > 1.15
    assert behind.std() / plain.std() == pytest.approx(expected, rel=0.05)

    def streakiness(patch: np.ndarray) -> float:
        """Std of short horizontal means over that of short vertical means."""
        across = patch.reshape(len(patch), 10, 2, 10).mean(axis=3).std()
        down = patch.reshape(len(patch), 10, 20).mean(axis=1).std()
        return across / down

    assert streakiness(behind) > 1.3 * streakiness(plain)


def test_same_seed_gives_the_same_volume_whatever_the_workers_and_padding_stays():
    volume = scan()
    one = simulate_quarter_dose(volume, PIXEL_MM, PHOTONS, SETTINGS, seed=5, workers=1)
    three = simulate_quarter_dose(volume, PIXEL_MM, PHOTONS, SETTINGS, seed=5, workers=3)
    other = simulate_quarter_dose(volume, PIXEL_MM, PHOTONS, SETTINGS, seed=6, workers=1)
    np.testing.assert_array_equal(one, three)
    assert (one != other).mean() > 0.5
    assert (one[volume == -2048] == -1024).all()
    first, second = (one[i].astype(float) - volume[i] for i in (0, 1))
    inside = radius() < RADIUS_MM - 10
    assert abs(np.corrcoef(first[inside], second[inside])[0, 1]) < 0.1


def test_calibration_doubles_the_noise_of_soft_tissue():
    volume = scan()
    photons = calibrate_photons(volume, PIXEL_MM, SETTINGS)
    assert photons == calibrate_photons(volume, PIXEL_MM, SETTINGS)
    quarter = simulate_quarter_dose(volume, PIXEL_MM, photons, SETTINGS, seed=2)
    tissue = soft_tissue(volume)
    ratio = soft_tissue_noise(quarter, tissue) / soft_tissue_noise(volume, tissue)
    assert ratio == pytest.approx(2.0, abs=0.06)


def test_bad_input_is_named():
    with pytest.raises(InputError, match="dose_fraction: 1"):
        DoseSettings(dose_fraction=1.0)
    with pytest.raises(InputError, match="noise_ratio"):
        DoseSettings(noise_ratio=1.0)
    with pytest.raises(InputError, match="no soft tissue"):
        calibrate_photons(np.full((2, SIZE, SIZE), -1000), PIXEL_MM, SETTINGS)
