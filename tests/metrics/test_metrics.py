"""PSNR, SSIM, RMSE against written-out formulas and against scikit-image on whole slices."""

from dataclasses import replace

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_scores import ABDOMEN, WIDE
from repository_files import REPOSITORY
from scipy.ndimage import convolve, gaussian_filter
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from ldct.common.errors import InputError
from ldct.metrics.pixelwise import psnr, rmse_hu, slice_scores, ssim
from ldct.metrics.protocol import SsimWindow, load_protocol

SHIPPED = REPOSITORY / "config/protocols"
GAUSSIAN = replace(ABDOMEN, name="gaussian", ssim=SsimWindow("gaussian", 1.5))
UNCLIPPED = replace(WIDE, name="unclipped", clip=False)
TWO = replace(ABDOMEN, name="range_two", data_range=2.0, ssim=SsimWindow("uniform", 11))
PROTOCOLS = [ABDOMEN, GAUSSIAN, UNCLIPPED, TWO]
TOLERANCE = 1e-6


@st.composite
def image_pairs(draw):
    """A prediction (float32) and an NDCT slice (int16) of CT-like values; sizes cross a band."""
    rows, columns = draw(st.integers(11, 150)), draw(st.integers(11, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    ndct = rng.normal(draw(st.floats(-1000, 1000)), draw(st.floats(0, 300)), (rows, columns))
    noise = rng.normal(draw(st.floats(-20, 20)), draw(st.floats(1, 100)), (rows, columns))
    return (ndct + noise).astype(np.float32), ndct.astype(np.int16)


def to_unit(hu, protocol):
    lower, upper = protocol.window
    unit = (hu.astype(np.float64) - lower) / (upper - lower)
    return np.minimum(np.maximum(unit, 0), 1) if protocol.clip else unit


def written_out_ssim(prediction, ndct, protocol):
    """Wang et al. 2004, equation 13, with a kernel that sums to one; the border is left out."""
    side = protocol.ssim.side
    radius = side // 2
    if protocol.ssim.kind == "uniform":
        kernel = np.full((side, side), 1 / side**2)
        correction = side**2 / (side**2 - 1)
    else:
        offset = np.arange(-radius, radius + 1)
        kernel = np.exp(-(offset[:, None] ** 2 + offset**2) / (2 * protocol.ssim.extent**2))
        kernel /= kernel.sum()
        correction = 1
    x, y = to_unit(prediction, protocol), to_unit(ndct, protocol)
    mean_x, mean_y = convolve(x, kernel), convolve(y, kernel)
    variance_x = correction * (convolve(x * x, kernel) - mean_x**2)
    variance_y = correction * (convolve(y * y, kernel) - mean_y**2)
    covariance = correction * (convolve(x * y, kernel) - mean_x * mean_y)
    c1, c2 = (0.01 * protocol.data_range) ** 2, (0.03 * protocol.data_range) ** 2
    numerator = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    denominator = (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
    return (numerator / denominator)[radius:-radius, radius:-radius].mean()


@settings(max_examples=30, deadline=None)
@given(image_pairs(), st.sampled_from(PROTOCOLS))
def test_psnr_and_rmse_equal_their_formulas_and_scikit_image(pair, protocol):
    x, y = (to_unit(image, protocol) for image in pair)
    mse = ((x - y) ** 2).mean()
    if mse == 0:
        assert psnr(*pair, protocol) == np.inf
        return
    expected = 10 * np.log10(protocol.data_range**2 / mse)
    assert psnr(*pair, protocol) == pytest.approx(expected, abs=TOLERANCE)
    assert psnr(*pair, protocol) == pytest.approx(
        peak_signal_noise_ratio(y, x, data_range=protocol.data_range), abs=TOLERANCE
    )
    width = protocol.window[1] - protocol.window[0]
    assert rmse_hu(*pair, protocol) == pytest.approx(width * np.sqrt(mse), abs=TOLERANCE)


@settings(max_examples=30, deadline=None)
@given(image_pairs(), st.sampled_from(PROTOCOLS))
def test_ssim_equals_its_formula_and_scikit_image_on_the_whole_slice(pair, protocol):
    x, y = (to_unit(image, protocol) for image in pair)
    if protocol.ssim.kind == "uniform":
        options = {"win_size": protocol.ssim.side}
    else:
        options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    reference = structural_similarity(y, x, data_range=protocol.data_range, **options)
    assert ssim(*pair, protocol) == pytest.approx(reference, abs=TOLERANCE)
    assert ssim(*pair, protocol) == pytest.approx(written_out_ssim(*pair, protocol), abs=TOLERANCE)


@settings(max_examples=20, deadline=None)
@given(image_pairs())
def test_prediction_range_is_that_of_the_scaled_prediction_and_of_ssim_alone(pair):
    protocol = replace(ABDOMEN, data_range="prediction")
    extent = np.ptp(to_unit(pair[0], protocol))
    if extent == 0:
        assert np.isnan(ssim(*pair, protocol))
        return
    fixed = replace(ABDOMEN, data_range=float(extent))
    assert ssim(*pair, protocol) == pytest.approx(ssim(*pair, fixed), abs=TOLERANCE)
    assert psnr(*pair, protocol) == psnr(*pair, ABDOMEN)


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: path.stem)
@pytest.mark.parametrize("contrast_hu", [30.0, 600.0])
def test_every_shipped_protocol_equals_scikit_image(path, contrast_hu):
    protocol = load_protocol(path)
    rng = np.random.default_rng(5)
    ndct = gaussian_filter(rng.normal(size=(130, 90)), 4)
    ndct = (40 + contrast_hu * ndct / ndct.std()).astype(np.int16)
    prediction = (ndct + rng.normal(0, 30, ndct.shape)).astype(np.float32)
    x, y = to_unit(prediction, protocol), to_unit(ndct, protocol)
    content = yaml.safe_load(path.read_text())
    ssim_range = content["ssim"].get("data_range", content["data_range"])
    reference = structural_similarity(
        y,
        x,
        win_size=content["ssim"]["size"],
        data_range=np.ptp(x) if ssim_range == "prediction" else ssim_range,
    )
    assert ssim(prediction, ndct, protocol) == pytest.approx(reference, abs=TOLERANCE)
    reference = peak_signal_noise_ratio(y, x, data_range=content["data_range"])
    assert psnr(prediction, ndct, protocol) == pytest.approx(reference, abs=TOLERANCE)


def test_values_of_a_case_done_by_hand():
    ndct = np.zeros((16, 16), np.int16)
    prediction = np.full((16, 16), 40, np.float32)
    assert psnr(prediction, ndct, ABDOMEN) == pytest.approx(20)
    assert rmse_hu(prediction, ndct, ABDOMEN) == pytest.approx(40)
    luminance = (2 * 0.5 * 0.4 + 1e-4) / (0.5**2 + 0.4**2 + 1e-4)
    assert ssim(prediction, ndct, ABDOMEN) == pytest.approx(luminance)


def test_identical_images_score_infinite_psnr_one_and_zero_without_a_warning(recwarn):
    image = np.random.default_rng(0).normal(40, 60, (32, 32)).astype(np.float32)
    assert slice_scores(image, image, ABDOMEN) == {
        "psnr": np.inf,
        "ssim": pytest.approx(1),
        "rmse_hu": 0,
    }
    assert not recwarn.list


def test_an_image_smaller_than_the_ssim_window_is_refused():
    with pytest.raises(InputError, match="6x20 pixels: smaller than the 7x7"):
        slice_scores(np.zeros((6, 20)), np.zeros((6, 20)), ABDOMEN)


@pytest.mark.parametrize("shape", [(32, 31), (1, 32, 32)])
def test_unequal_shapes_are_refused(shape):
    with pytest.raises(InputError, match="equal"):
        psnr(np.zeros(shape, np.float32), np.zeros((32, 32), np.int16), ABDOMEN)
