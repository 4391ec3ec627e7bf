"""DRL and the LSGAN's discriminator against the figures of docs/methods.md."""

from pathlib import Path

import pytest
import torch
from torch import nn

from ldct.common.errors import InputError
from ldct.networks.cost import seen_pixels
from ldct.networks.facts import count_parameters
from ldct.networks.files import build_network, load_weights, save_weights

METHODS = Path(__file__).parents[2] / "methods"
DRL = {"file": str(METHODS / "drl/network.py"), "options": {}}
DISCRIMINATOR = {"file": str(METHODS / "lsgan/discriminator.py"), "options": {"tile_size": 64}}


def randomised(network: nn.Module) -> nn.Module:
    """The network with every weight random, so that no path is switched off by its start."""
    torch.manual_seed(0)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.1)
    return network


def test_drl_size_and_receptive_field():
    """docs/methods.md, DRL: 224,971 trainable parameters, 640 statistics, 37 x 37 pixels."""
    network = build_network(DRL, 0, "drl")
    assert count_parameters(network) == 224_971
    running = [b for name, b in network.named_buffers() if "running" in name]
    assert sum(b.numel() for b in running) == 640
    assert seen_pixels(network, 1) == 37


def test_discriminator_size():
    """docs/methods.md, LSGAN: 2,765,505 trainable parameters at 64 x 64."""
    network = build_network(DISCRIMINATOR, 0, "d")
    assert count_parameters(network) == 2_765_505
    tiles = torch.rand(3, 1, 64, 64)
    assert network(tiles, tiles).shape == (3, 1)


@pytest.mark.parametrize("shape", [(64, 64), (65, 47), (128, 96)])
def test_drl_keeps_any_image_size(shape):
    image = torch.rand(1, 1, *shape)
    assert build_network(DRL, 0, "drl").eval()(image).shape == image.shape


def test_drl_starts_as_identity_or_as_zero():
    image = torch.rand(2, 1, 64, 64)
    first = build_network(DRL, 0, "drl")
    torch.testing.assert_close(first(image), image)
    second = build_network({**DRL, "options": {"start": "zero"}}, 0, "drl")
    assert second(image).abs().max() == 0


def test_same_seed_same_weights_and_other_purpose_other_weights():
    first, again = (build_network(DRL, 5, "drl").state_dict() for _ in range(2))
    other = build_network(DRL, 5, "drl_drl_level2").state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["conv1.weight"], other["conv1.weight"])


def test_weights_round_trip_and_misfit_is_named(tmp_path):
    network = randomised(build_network(DRL, 0, "drl"))
    path = tmp_path / "weights.safetensors"
    save_weights(path, network, {"model": "drl"})
    loaded = load_weights(path, build_network(DRL, 1, "drl"))
    for key, value in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value)
    with pytest.raises(InputError, match="weights do not fit"):
        load_weights(path, build_network(DISCRIMINATOR, 0, "d"))
