"""Non-local means and total variation: what they gain, and what tuning chooses."""

from pathlib import Path

import numpy as np
import pytest
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle

from ldct.configuration.registry import read_card
from ldct.denoising.classical import load_denoiser

METHODS = Path(__file__).parents[2] / "methods"


def phantom(shape=(96, 80)) -> np.ndarray:
    rows, columns = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    image = np.full(shape, 40.0)
    image[rows**2 + columns**2 < 0.3] = 90.0
    return image.astype(np.float32)


@pytest.fixture(scope="module")
def pairs():
    rng = np.random.default_rng(0)
    full = phantom()
    return [(full + rng.normal(0, 20, full.shape).astype(np.float32), full) for _ in range(2)]


@pytest.fixture(scope="module", params=["nlm", "tv"])
def tuned(request, pairs):
    module = load_denoiser(METHODS / request.param)
    settings = read_card(METHODS / request.param)["settings"]
    return request.param, module, module.tune(pairs, {**settings, "pixel_mm": [[1, 1]] * 2})


def test_tuned_method_removes_most_noise(tuned, pairs):
    _, module, parameters = tuned
    for quarter, full in pairs:
        found = module.denoise(quarter, parameters)
        assert found.dtype == np.float32
        assert np.mean((found - full) ** 2) < 0.3 * np.mean((quarter - full) ** 2)


def test_tuning_follows_the_noise(tuned):
    name, module, parameters = tuned
    settings = {**read_card(METHODS / name)["settings"], "pixel_mm": [[1, 1]]}
    full = phantom()
    quarter = full + np.random.default_rng(1).normal(0, 5, full.shape).astype(np.float32)
    weaker = module.tune([(quarter, full)], settings)
    key = {"nlm": "strength_hu", "tv": "weight_hu"}[name]
    assert weaker[key] < 0.5 * parameters[key]


def test_the_filters_are_those_of_scikit_image(pairs):
    quarter = pairs[0][0]
    nlm = {"patch_size": 5, "patch_distance": 6, "strength_hu": 18.0, "noise_hu": 20.0}
    wanted = denoise_nl_means(quarter, 5, 6, 18.0, sigma=20.0, preserve_range=True)
    found = load_denoiser(METHODS / "nlm").denoise(quarter, nlm)
    np.testing.assert_array_equal(found, wanted)
    found = load_denoiser(METHODS / "tv").denoise(quarter, {"weight_hu": 15.0})
    np.testing.assert_array_equal(found, denoise_tv_chambolle(quarter, 15.0))
