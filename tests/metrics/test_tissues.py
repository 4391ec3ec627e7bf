"""HU fidelity by tissue: exact on affine images, free of regression to the mean."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from ldct.metrics.columns import IMAGE_QUALITY
from ldct.metrics.tissues import TISSUES, tissue_fidelity

PLATEAUS = {"air": -1000.0, "lung": -800.0, "fat": -90.0, "soft_tissue": 60.0, "bone": 700.0}
NOISE_HU = 30.0


def body(seed: int = 0, side: int = 160) -> np.ndarray:
    """One stripe of each tissue with slow variation inside, HU, no noise."""
    rng = np.random.default_rng(seed)
    stripes = np.repeat(list(PLATEAUS.values()), side // 5)
    texture = gaussian_filter(rng.standard_normal((side, side)), 6)
    widths = np.repeat([(high - low) / 8 for low, high in TISSUES.values()], side // 5)
    widths = np.minimum(widths, 40)
    return stripes + np.clip(texture / texture.std(), -2, 2) * widths


@settings(max_examples=20, deadline=None)
@given(st.floats(0.5, 1.5), st.floats(-50, 50))
def test_affine_output_has_exactly_its_slope_and_bias(slope, offset):
    ndct = body()
    found = tissue_fidelity(slope * ndct + offset, ndct)
    for tissue in TISSUES:
        assert found[f"{tissue}_slope"] == pytest.approx(slope, abs=1e-3)
    shifted = tissue_fidelity(ndct + offset, ndct)
    for tissue in TISSUES:
        assert shifted[f"{tissue}_bias_hu"] == pytest.approx(offset, abs=1e-3)
        assert shifted[f"{tissue}_std_hu"] == pytest.approx(0, abs=1e-3)


def test_known_noise_is_found_as_standard_deviation():
    ndct = body(side=400)
    noise = 20 * np.random.default_rng(1).standard_normal(ndct.shape)
    found = tissue_fidelity(ndct + noise, ndct)
    for tissue in TISSUES:
        assert found[f"{tissue}_std_hu"] == pytest.approx(20, rel=0.03)
        assert found[f"{tissue}_bias_hu"] == pytest.approx(0, abs=0.5)


def test_a_perfect_output_is_not_called_biased():
    """Truth without noise as output, noisy NDCT as reference: naive classes see a bias."""
    truth = body(side=400)
    ndct = truth + NOISE_HU * np.random.default_rng(2).standard_normal(truth.shape)
    found = tissue_fidelity(truth, ndct)
    lower, upper = TISSUES["fat"]
    naive_class = (ndct >= lower) & (ndct < upper)
    x = ndct[naive_class] - ndct[naive_class].mean()
    naive_slope = x @ truth[naive_class] / (x @ x)
    naive_bias = np.mean((truth - ndct)[(ndct >= 0) & (ndct < 150)])
    assert naive_slope < 0.7
    assert abs(naive_bias) > 1
    assert found["fat_slope"] > 0.95
    for tissue in TISSUES:
        assert found[f"{tissue}_bias_hu"] == pytest.approx(0, abs=0.7)


def test_partial_volume_and_padding_are_no_tissue():
    """Between lung and soft tissue every HU of fat occurs; -1024 HU is no air."""
    ndct = np.full((80, 80), -1024.0)
    ndct[:, 40:] = 60.0
    found = tissue_fidelity(ndct + 5, gaussian_filter(ndct, 2))
    assert np.isnan([found["fat_bias_hu"], found["lung_bias_hu"], found["air_bias_hu"]]).all()
    assert np.isfinite(found["soft_tissue_bias_hu"])


def test_what_cannot_be_taken_is_nan():
    constant = np.full((64, 64), 60.0)
    found = tissue_fidelity(constant + 3, constant)
    assert found["soft_tissue_bias_hu"] == pytest.approx(3)
    assert np.isnan(found["soft_tissue_slope"])
    assert np.isnan([found[f"bone_{name}"] for name in ("bias_hu", "slope", "std_hu")]).all()
    assert list(found) == [*IMAGE_QUALITY][3:]
