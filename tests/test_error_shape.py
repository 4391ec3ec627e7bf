"""Shape of the error in soft tissue: which noise it calls non-Gaussian, and which non-uniform."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ldct.evaluation.error_shape import COLUMNS, error_shape

SIDE = 256
NDCT = np.full((SIDE, SIDE), 60.0)
# Noise 40 % stronger to the right: half of the squares have it.
UNEVEN = np.where(np.arange(SIDE) < SIDE // 2, 1.0, 1.4)


def noise(seed: int, blur_px: float = 1.0) -> np.ndarray:
    """Gaussian noise of one strength everywhere, 20 HU, correlated as CT noise is."""
    field = np.random.default_rng(seed).standard_normal((SIDE, SIDE))
    field = gaussian_filter(field, blur_px, mode="wrap") if blur_px else field
    return 20 * field / field.std()


def mean_shape(errors) -> dict[str, float]:
    found = [list(error_shape(NDCT + error, NDCT).values()) for error in errors]
    return dict(zip(("pooled", "local", "ratio"), np.mean(found, axis=0), strict=True))


@pytest.mark.parametrize("blur_px", [0, 1.0, 2.0])
def test_even_gaussian_noise_shows_nothing_whatever_its_spectrum(blur_px):
    found = mean_shape(noise(seed, blur_px) for seed in range(60))
    assert found["pooled"] == pytest.approx(0, abs=0.03)
    assert found["local"] == pytest.approx(0, abs=0.05)
    assert found["ratio"] == pytest.approx(1, abs=0.02)


def test_uneven_gaussian_noise_has_heavy_tails_over_the_slice_alone():
    """Two strengths, 1 and 1.4: kurtosis of their mixture is 3 (mean of 4th powers) / (of 2nd)²."""
    found = mean_shape(noise(seed) * UNEVEN for seed in range(30))
    mixture = 3 * np.mean(UNEVEN**4) / np.mean(UNEVEN**2) ** 2 - 3
    assert found["pooled"] == pytest.approx(mixture, abs=0.06)
    assert found["local"] == pytest.approx(0, abs=0.05)
    # Chance puts some squares in the wrong half.
    assert 1.3 < found["ratio"] < 1.4


def test_heavy_tails_of_even_noise_are_found_in_each_place():
    """Laplace noise has an excess kurtosis of 3."""
    rng = np.random.default_rng(0)
    found = mean_shape(rng.laplace(0, 10, (SIDE, SIDE)) for _ in range(30))
    assert found["pooled"] == pytest.approx(3, abs=0.15)
    assert found["local"] == pytest.approx(3, abs=0.2)
    assert found["ratio"] == pytest.approx(1, abs=0.02)


def test_a_shift_of_all_values_changes_nothing():
    error = noise(0) * UNEVEN
    assert list(error_shape(NDCT + error + 20, NDCT).values()) == pytest.approx(
        list(error_shape(NDCT + error, NDCT).values())
    )


def test_only_soft_tissue_is_measured():
    lung = NDCT.copy()
    lung[:, SIDE // 2 :] = -800
    found = error_shape(lung + noise(0) * UNEVEN, lung)
    assert found["soft_tissue_error_spread_ratio"] < 1.1
    assert abs(found["soft_tissue_error_excess_kurtosis"]) < 0.2


def test_what_cannot_be_told_is_nan():
    nothing = error_shape(NDCT - 800 + noise(0), NDCT - 800)
    equal = error_shape(NDCT, NDCT)
    assert list(nothing) == list(equal) == COLUMNS
    assert np.isnan([*nothing.values(), *equal.values()]).all()
    small = np.full((SIDE, SIDE), -800.0)
    small[:40, :40] = 60  # soft tissue, but fewer than eight squares
    found = list(error_shape(small + noise(0), small).values())
    assert np.isfinite(found[0])
    assert np.isnan(found[1:]).all()
