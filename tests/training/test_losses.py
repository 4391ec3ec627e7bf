"""Loss terms against formulas written out on random images, and weights found by gradients."""

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from ldct.common.errors import InputError
from ldct.training.losses import content_loss, content_terms, dssim
from ldct.training.matching import gradient_norm, match_gradients, wants_matching


def pair(seed: int = 0, shape: tuple[int, ...] = (3, 1, 20, 24)) -> tuple[torch.Tensor, ...]:
    """A random prediction and target in network units."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.rand(shape, generator=generator) for _ in range(2))


def test_squared_and_absolute_error_are_means_over_all_pixels():
    prediction, target = pair()
    difference = prediction.numpy().astype(np.float64) - target.numpy()
    terms = content_terms(prediction, target, {"mse": 1.0, "mae": 1.0})
    assert float(terms["mse"]) == pytest.approx((difference**2).sum() / difference.size, rel=1e-6)
    assert float(terms["mae"]) == pytest.approx(abs(difference).sum() / difference.size, rel=1e-6)


def test_total_is_the_weighted_sum_of_the_terms_on_the_card():
    prediction, target = pair()
    loss = {"mse": 3.0, "dssim": 0.5, "mae": 100.0}
    total, terms = content_loss(prediction, target, loss)
    assert list(terms) == ["mse", "dssim", "mae"]
    expected = sum(loss[name] * float(value) for name, value in terms.items())
    assert float(total) == pytest.approx(expected, rel=1e-6)


def test_every_output_channel_is_compared_with_the_one_target():
    """DRL-E-MP: three outputs against the NDCT image repeated three times."""
    prediction, _ = pair(shape=(2, 3, 16, 16))
    _, target = pair(1, shape=(2, 1, 16, 16))
    terms = content_terms(prediction, target, {"mse": 1.0})
    expected = ((prediction - target.repeat(1, 3, 1, 1)) ** 2).mean()
    torch.testing.assert_close(terms["mse"], expected)


@pytest.mark.parametrize("shape", [(1, 1, 11, 11), (2, 1, 20, 31), (2, 3, 16, 16)])
def test_dssim_is_half_of_one_minus_the_ssim_of_scikit_image(shape):
    prediction, target = pair(2, shape)
    flat = zip(
        prediction.flatten(0, 1).double().numpy(),
        target.flatten(0, 1).double().numpy(),
        strict=True,
    )
    ssim = [
        structural_similarity(
            a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0
        )
        for a, b in flat
    ]
    assert float(dssim(prediction, target)) == pytest.approx((1 - np.mean(ssim)) / 2, abs=1e-6)


@pytest.mark.parametrize("ratio", [0.1, 7.0])
def test_matched_weight_gives_the_term_its_share_of_the_gradient(ratio):
    batches = [pair(seed) for seed in range(3)]
    loss = {"mse": 30.0, "dssim": {"match_gradient": ratio}}
    assert wants_matching(loss) == ["dssim"]
    matched = match_gradients(loss, batches, None)
    assert matched["mse"] == 30.0
    assert wants_matching(matched) == []
    mse = 2 * sum(float((a - b).norm()) / a.numel() for a, b in batches)
    dissimilarity = gradient_norm("dssim", {"dssim": 1.0}, batches, None)
    assert matched["dssim"] * dissimilarity == pytest.approx(ratio * 30.0 * mse, rel=1e-5)


def test_matching_equal_images_is_refused():
    image, _ = pair()
    with pytest.raises(InputError, match=r"'dssim'.*give a number as weight"):
        match_gradients({"mse": 1.0, "dssim": {"match_gradient": 1.0}}, [(image, image)], None)
