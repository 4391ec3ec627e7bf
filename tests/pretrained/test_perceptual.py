"""Perceptual loss: the network, its weights from archives and files, and what is refused."""

import io
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional

from ldct.cli import main
from ldct.common.downloads import fetch_archive
from ldct.common.errors import InputError
from ldct.common.files import read_yaml
from ldct.configuration.resolve import resolve_run
from ldct.pretrained import vgg_weights as weights_archives
from ldct.pretrained.perceptual import load_features
from ldct.pretrained.vgg import FeatureStack, convolution_shapes, layer_names
from ldct.pretrained.vgg_weights import SOURCES, load_arrays
from ldct.training.losses import content_loss

REPOSITORY = Path(__file__).parents[2]
ARCHIVES = REPOSITORY / "data/weights/archives"
CPU = torch.device("cpu")
SETTINGS = {
    "weight": 0.1,
    "features": "vgg16",
    "layers": ["relu1_2", "relu2_2"],
    "normalisation": "imagenet",
    "distance": "mse",
}


def cached_archive(network: str) -> Path:
    """Folder with the network's archive; skips the test where it has not been fetched."""
    name = SOURCES[network].archive.filename
    if not (ARCHIVES / name).is_file():
        pytest.skip(
            f"{name} is not in data/weights/archives: python -m ldct fetch-weights "
            f"--network {network} --output data/weights/{network}.safetensors"
        )
    return ARCHIVES


def random_state(network: str = "vgg16") -> dict[str, torch.Tensor]:
    """Random weights with the shapes of the network."""
    generator = torch.Generator().manual_seed(0)
    state = {}
    for key, (before, after) in convolution_shapes(network).items():
        scale = (9 * before / 2) ** -0.5
        state[f"{key}.weight"] = torch.randn(after, before, 3, 3, generator=generator) * scale
        state[f"{key}.bias"] = torch.randn(after, generator=generator) * 0.1
    return state


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "vgg16.safetensors"
    save_file(random_state(), path)
    return path


def forward_by_hand(state: dict, image: torch.Tensor, normalise: bool) -> dict[str, torch.Tensor]:
    """The first two blocks of VGG-16, written out, in float64."""
    maps = image.double().repeat(1, 3, 1, 1)
    if normalise:
        mean = torch.tensor([0.485, 0.456, 0.406]).double()[None, :, None, None]
        maps = (maps - mean) / torch.tensor([0.229, 0.224, 0.225]).double()[None, :, None, None]
    found = {}
    for index, name in ((0, "1_1"), (2, "1_2"), (5, "2_1"), (7, "2_2")):
        weight, bias = state[f"features.{index}.weight"], state[f"features.{index}.bias"]
        maps = functional.conv2d(maps, weight.double(), bias.double(), padding=1)
        found["conv" + name] = maps
        maps = maps.clamp(min=0)
        found["relu" + name] = maps
        if name == "1_2":
            maps = functional.max_pool2d(maps, 2)
    return found


def test_layers_stand_where_torchvision_has_them():
    """Indices of torchvision's `features`: 13 and 16 convolutions, 5 poolings."""
    expected = {
        "vgg16": [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28],
        "vgg19": [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34],
    }
    for network, indices in expected.items():
        names = layer_names(network)
        assert [i for i, name in enumerate(names) if name.startswith("conv")] == indices
        assert names[-1] == "pool5"
    assert layer_names("vgg19")[34] == "conv5_4"
    assert sum(t.numel() for t in random_state("vgg19").values()) == 20_024_384
    assert sum(t.numel() for t in random_state("vgg16").values()) == 14_714_688


@pytest.mark.parametrize("normalisation", ["imagenet", "none"])
@pytest.mark.parametrize("size", [(16, 16), (23, 17)])
def test_features_against_convolutions_written_out(weights, normalisation, size):
    layers = ["relu2_2", "conv1_1", "conv2_1", "relu1_2"]
    settings = SETTINGS | {"layers": layers, "normalisation": normalisation}
    stack = load_features({"perceptual": settings}, weights, CPU, "test")
    image = torch.rand(2, 1, *size)
    by_hand = forward_by_hand(random_state(), image, normalisation == "imagenet")
    # Shallowest first, whatever the order on the card.
    for name, found in zip(["conv1_1", "relu1_2", "conv2_1", "relu2_2"], stack(image), strict=True):
        torch.testing.assert_close(found.double(), by_hand[name], rtol=1e-4, atol=1e-5)


def test_loss_is_the_squared_feature_distance_summed_over_layers(weights):
    """Paper, Eq. 2: mean over height, width and depth of each layer, sum over layers."""
    loss = {"mse": 1.0, "perceptual": SETTINGS}
    stack = load_features(loss, weights, CPU, "test")
    prediction, target = torch.rand(2, 1, 16, 16), torch.rand(2, 1, 16, 16)
    a, b = (forward_by_hand(random_state(), image, True) for image in (prediction, target))
    expected = sum(((a[name] - b[name]) ** 2).mean() for name in SETTINGS["layers"])
    total, terms = content_loss(prediction, target, loss, stack)
    assert float(terms["perceptual"]) == pytest.approx(float(expected), rel=1e-4)
    assert float(total) == pytest.approx(float(terms["mse"] + 0.1 * terms["perceptual"]), rel=1e-5)


def test_unknown_layer_is_named():
    with pytest.raises(InputError, match=r"vgg16 has no layer conv3_4; it has: conv1_1"):
        FeatureStack("vgg16", ["conv3_4"], "none")


def test_layer_that_the_network_lacks_is_named_with_the_model(weights):
    loss = {"perceptual": SETTINGS | {"layers": ["relu3_4"]}}
    with pytest.raises(InputError, match=r"drlp: key 'loss.perceptual.layers': vgg16 has no layer"):
        load_features(loss, weights, CPU, "drlp")


def test_no_weights_is_an_error_and_not_another_method(tmp_path):
    loss = {"perceptual": SETTINGS}
    for missing in (None, tmp_path / "none.safetensors"):
        with pytest.raises(
            InputError, match=r"drlp: .*fetch-weights --network vgg16.*perceptual_w"
        ):
            load_features(loss, missing, CPU, "drlp")


def test_weights_of_another_network_are_refused(weights):
    loss = {"perceptual": SETTINGS | {"features": "vgg19", "layers": ["relu5_4"]}}
    with pytest.raises(InputError, match=r"vgg16.safetensors: key 'features.16.weight'.*vgg19"):
        load_features(loss, weights, CPU, "drlp")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_users_torchvision_file(tmp_path, suffix):
    state = random_state()
    given, output = tmp_path / f"own{suffix}", tmp_path / "vgg16.safetensors"
    classifier = {"classifier.0.weight": torch.zeros(3, 3)}
    if suffix == ".pth":
        torch.save(OrderedDict(state | classifier), given)
    else:
        save_file(state | classifier, given)
    arguments = ["--network", "vgg16", "--file", str(given), "--output", str(output)]
    assert main(["fetch-weights", *arguments]) == 0
    stored = load_file(output)
    assert stored.keys() == state.keys()
    assert all(torch.equal(stored[name], state[name]) for name in state)


class _Harmful:
    def __reduce__(self):
        return (print, ("executed",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps(_Harmful(), protocol=2), "cannot be read as a state dict"),
        (b"no weights", "cannot be read as a state dict"),
        ({"features.0.weight": torch.zeros(64, 3, 3, 3)}, "key 'features.0.bias': found nothing"),
        (torch.zeros(3), "found Tensor, expected a state dict"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path, capsys, content, message):
    given = tmp_path / "own.pth"
    if isinstance(content, bytes):
        given.write_bytes(content)
    else:
        torch.save(content, given)
    output = tmp_path / "out.safetensors"
    arguments = ["--network", "vgg16", "--file", str(given), "--output", str(output)]
    assert main(["fetch-weights", *arguments]) == 1
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert "executed" not in printed.out + printed.err
    assert not output.exists()


def test_array_unpickler_reads_arrays_and_refuses_everything_else():
    arrays = {"a": {"kernel": np.arange(6.0).reshape(2, 3)}}
    # As written by the NumPy of the archive's time.
    content = pickle.dumps(arrays, protocol=3).replace(b"numpy._core", b"numpy.core")
    np.testing.assert_array_equal(load_arrays(content)["a"]["kernel"], arrays["a"]["kernel"])
    for harmful in (_Harmful(), OrderedDict(), io.BytesIO):
        with pytest.raises(pickle.UnpicklingError, match="only NumPy arrays are read"):
            load_arrays(pickle.dumps(harmful))


def test_archive_with_another_member_is_refused(monkeypatch, tmp_path):
    source = SOURCES["vgg16"]
    fetch_archive(source.archive, cached_archive("vgg16"))
    changed = source.__class__(**{**vars(source), "sha256": "0" * 64})
    monkeypatch.setitem(weights_archives.SOURCES, "vgg16", changed)
    with pytest.raises(InputError, match=r"vgg16.ckpt has sha256 2ecbe4ce.*expected 000"):
        weights_archives.fetch_weights("vgg16", ARCHIVES, tmp_path / "x.safetensors")


def test_published_vgg16_is_torchvisions(tmp_path):
    """First filter of torchvision's VGG-16 to four decimals."""
    output = tmp_path / "vgg16.safetensors"
    weights_archives.fetch_weights("vgg16", cached_archive("vgg16"), output)
    first = load_file(output)["features.0.weight"][0, 0]
    known = [[-0.5537, 0.1427, 0.5290], [-0.5831, 0.3566, 0.7657], [-0.6902, -0.0480, 0.4841]]
    torch.testing.assert_close(first, torch.tensor(known), rtol=0, atol=5e-5)


def test_configured_file_that_is_missing_is_named():
    config = read_yaml(REPOSITORY / "config/config.yaml")
    config["perceptual_weights"] = {"vgg19": "nowhere/vgg19.pth"}
    with pytest.raises(InputError, match=r"key 'perceptual_weights.vgg19': found no file nowhere"):
        resolve_run(config, REPOSITORY)
