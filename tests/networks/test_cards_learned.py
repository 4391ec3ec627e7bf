"""Every card of the perceptual, adversarial and ablation rows trains, denoises, keeps its facts."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from training_inputs import METHODS, write_training_data

from ldct.common.errors import InputError
from ldct.common.scaling import Scaling
from ldct.common.schema import validate
from ldct.configuration.registry import find_methods, read_card
from ldct.configuration.stages import perceptual_network, resolve_models
from ldct.data.tiles import write_tiles
from ldct.data.volumes import load_volume
from ldct.networks.chain import Level, apply_levels
from ldct.networks.cost import seen_pixels
from ldct.networks.facts import count_parameters
from ldct.networks.files import build_network
from ldct.pretrained.vgg import convolution_shapes
from ldct.training import loop

TILE = 32
SCALING = Scaling(-160.0, 240.0, clip=True)
FOLDERS = find_methods([METHODS])
CARDS = [
    "drlp",
    "drlp_vgg16",
    "ccnn_pl",
    "ccnn_pl_vgg16",
    "drl_dssim",
    "drl_e_mp",
    "wgan_vgg",
    "unet",
    *(name for name in FOLDERS if name.startswith("ablation_")),
]


@pytest.fixture(scope="module")
def vgg_weights(tmp_path_factory) -> dict[str, Path]:
    """Random weights of the right shapes: what is tested here does not need trained ones."""
    folder = tmp_path_factory.mktemp("vgg")
    torch.manual_seed(0)
    files = {}
    for network in ("vgg16", "vgg19"):
        state = {}
        for key, (before, after) in convolution_shapes(network).items():
            state[f"{key}.weight"] = torch.randn(after, before, 3, 3) * (4.5 * before) ** -0.5
            state[f"{key}.bias"] = torch.zeros(after)
        files[network] = folder / f"{network}.safetensors"
        save_file(state, files[network])
    return files


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    volumes, _ = write_training_data(folder)
    write_tiles(volumes, TILE, TILE, -500, folder / "tiles32.npy")
    return [load_volume(volume) for volume in volumes], np.load(folder / "tiles32.npy")


def train_method(name, data, vgg_weights, folder, steps=2) -> list[Level]:
    """Train every level of a method for a few steps; the levels, ready to denoise."""
    models, chains = resolve_models([name], FOLDERS, {"steps": steps}, TILE)
    levels: list[Level] = []
    for model in chains[name]:
        stage = models[model]
        stage["recipe"] |= {"batch": 2}
        network = loop.train_stage(
            stage,
            *data,
            SCALING,
            levels,
            seed=0,
            device=torch.device("cpu"),
            precision="fp32",
            checkpoint_every=100,
            fingerprint=name,
            folder=folder / model,
            perceptual_weights=vgg_weights.get(perceptual_network(models, model)),
        )
        level = Level(network.eval(), stage["target"], tuple(stage["inputs"]))
        levels.append(level)
    return levels


@pytest.mark.parametrize("name", CARDS)
def test_untrained_method_returns_the_low_dose_image(name):
    """Every level starts as the identity or as a zero residual: a short budget can only improve."""
    models, chains = resolve_models([name], FOLDERS, "paper", TILE)
    levels = [
        Level(
            build_network(models[model]["network"], 0, model).eval(),
            models[model]["target"],
            tuple(models[model]["inputs"]),
        )
        for model in chains[name]
    ]
    image = torch.rand(1, 1, 33, 47)
    torch.testing.assert_close(apply_levels(levels, image), image)


def discriminator(name: str, tile_size: int = 64, **options) -> nn.Module:
    file = str(METHODS / name / "discriminator.py")
    return build_network({"file": file, "options": {"tile_size": tile_size, **options}}, 0, "d")


def network(name: str, **options) -> nn.Module:
    return build_network({"file": str(METHODS / name / "network.py"), "options": options}, 0, "n")


def test_sizes_and_receptive_fields_of_the_literature():
    """Gholizadeh-Ansari et al. 2019 (code), Yang et al. 2018; see docs/methods.md."""
    assert count_parameters(network("drl_e_mp")) == 231_526
    assert count_parameters(network("drl_e_mp", output_channels=1)) == 231_416
    assert seen_pixels(network("drl_e_mp"), 1) == 39
    generator = network("wgan_vgg")
    assert count_parameters(generator) == 56_097
    assert sum(p.numel() for n, p in generator.named_parameters() if "weight" in n) == 55_872
    assert seen_pixels(generator, 1) == 17
    assert count_parameters(discriminator("wgan_vgg")) == 17_923_521
    assert count_parameters(discriminator("lsgan")) == 2_765_505
    assert count_parameters(discriminator("lsgan", conditional=False)) == 2_765_505 - 64 * 16
    assert count_parameters(network("unet")) == 4_675_713


def test_unet_sees_what_its_docstring_says():
    net = network("unet").eval()
    torch.manual_seed(0)
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.1)
    spans = set()
    for place in (72, 75, 80, 84):
        image = torch.rand(1, 1, 160, 160, requires_grad=True)
        net(image)[0, 0, place, place].backward()
        rows = torch.nonzero(image.grad[0, 0].abs().sum(1)).flatten()
        spans.add(int(rows.max() - rows.min()) + 1)
    assert spans == {62, 78}


def test_edge_layer_is_four_fixed_sobel_kernels_with_reflected_border():
    net = network("drl_e_mp")
    assert not net.sobel.weight.requires_grad
    image = torch.rand(1, 1, 9, 7)
    padded = np.pad(image[0, 0].numpy(), 1, mode="reflect")
    kernels = [
        [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],
        [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
        [[0, 1, 2], [-1, 0, 1], [-2, -1, 0]],
        [[-2, -1, 0], [-1, 0, 1], [0, 1, 2]],
    ]
    for found, kernel in zip(net.sobel(image)[0], kernels, strict=True):
        expected = sum(
            kernel[r][c] * padded[r : r + 9, c : c + 7] for r in range(3) for c in range(3)
        )
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


def test_several_output_channels_are_averaged():
    image = torch.rand(1, 1, 4, 4)
    levels = [Level(lambda x: torch.cat([x, 2 * x, 3 * x], dim=1), "image")]
    torch.testing.assert_close(apply_levels(levels, image), 2 * image)


def test_training_inputs_of_a_stacked_level_are_those_of_denoising(data):
    """The batches of level 2 hold level 1's output and the LDCT tile; the target is r."""
    stage = {"recipe": {"batch": 2}, "tile_size": TILE, "target": "residual"}
    stage["inputs"] = ["previous", "low_dose"]
    halve = [Level(lambda image: image / 2, "image")]
    read = loop.batch_reader(stage, *data, SCALING, halve, 0, torch.device("cpu"))
    plain = {**stage, "target": "image", "inputs": ["previous"]}
    low, normal = loop.batch_reader(plain, *data, SCALING, [], 0, torch.device("cpu"))(
        "generator", 3
    )
    inputs, target = read("generator", 3)
    assert torch.equal(inputs, torch.cat([low / 2, low], dim=1))
    assert torch.equal(target, low / 2 - normal)


def test_matched_weight_is_stored_with_the_weights_and_reproduced(data, vgg_weights, tmp_path):
    """The same from one run to the next, a number, and printed for the log."""
    stored = []
    for attempt in ("one", "two"):
        train_method("drlp", data, vgg_weights, tmp_path / attempt, steps=1)
        with safe_open(tmp_path / attempt / "drlp/weights.safetensors", "pt") as file:
            stored.append(file.metadata()["stage"])
    assert stored[0] == stored[1]
    assert "match_gradient" not in stored[0]
    assert '"perceptual"' in stored[0]


def test_perceptual_card_without_weights_fails_and_leaves_nothing(data, tmp_path):
    with pytest.raises(InputError, match="drlp: its perceptual loss needs pretrained vgg19"):
        train_method("drlp", data, {}, tmp_path)
    assert not list(tmp_path.rglob("*.safetensors"))


CARD = read_card(METHODS / "drlp")
PERCEPTUAL = CARD["loss"]["perceptual"]
ADVERSARIAL = {"weight": 1.0, "discriminator": "lsgan"}


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ({"perceptual": PERCEPTUAL | {"features": "vgg11"}}, r"features.*'vgg11'.*vgg16, vgg19"),
        ({"perceptual": PERCEPTUAL | {"layers": ["relu6_1"]}}, r"layers.*relu5_4"),
        ({"perceptual": PERCEPTUAL | {"weight": {"match": 1}}}, r"weight.*match_gradient"),
        ({"mse": {"match_gradient": 1.0}}, r"loss.mse.*a weight above 0"),
        ({"adversarial": ADVERSARIAL}, r"adversarial.*missing targets"),
        ({"adversarial": ADVERSARIAL | {"kind": "wasserstein"}}, r"missing gradient_penalty"),
        ({"ssim": 1.0}, r"unknown key 'ssim' in 'loss'.*dssim"),
    ],
)
def test_wrong_losses_are_named_by_key(loss, message):
    with pytest.raises(InputError, match=message):
        validate({**CARD, "loss": loss}, "method", "methods/x/method.yaml")


def test_terms_of_images_are_refused_on_a_residual(tmp_path):
    text = (METHODS / "drl_drl/method.yaml").read_text()
    (tmp_path / "wrong").mkdir()
    (tmp_path / "wrong/method.yaml").write_text(text.replace("mse: 1.0", "dssim: 1.0"))
    methods = {**FOLDERS, "wrong": tmp_path / "wrong"}
    with pytest.raises(InputError, match=r"wrong/method.yaml: key 'loss.dssim'.*target residual"):
        resolve_models(["wrong"], methods, "quick", 64)


def test_only_the_papers_rows_are_marked_as_such():
    assert [name for name in CARDS if read_card(FOLDERS[name])["in_paper"]] == ["drlp", "ccnn_pl"]
