"""Applying networks to slices: any size, HU in and out, and the arithmetic of a cascade."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from training_inputs import write_volume

from ldct.cli import main
from ldct.common.errors import InputError
from ldct.common.provenance import of_no_machine
from ldct.common.scaling import Scaling
from ldct.denoising.network import denoise_slices, new_prediction
from ldct.networks.chain import Level, apply_levels
from ldct.networks.files import build_network, save_weights

DRL = {
    "file": str(Path(__file__).parents[2] / "methods/drl/network.py"),
    "options": {},
}
WINDOW = Scaling(-160.0, 240.0, clip=True)
CPU = torch.device("cpu")


def random_network(seed: int) -> nn.Module:
    """DRL with every weight random, in evaluation mode."""
    network = build_network(DRL, seed, "test")
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.05 * torch.randn(parameter.shape, generator=generator))
    return network.eval()


@pytest.mark.parametrize("shape", [(2, 17, 23), (1, 64, 64), (1, 65, 130)])
def test_slices_of_any_size_keep_their_shape(shape):
    slices = np.random.default_rng(0).integers(-1024, 1500, shape).astype(np.int16)
    denoised = denoise_slices(slices, [Level(random_network(0), "image")], WINDOW, CPU)
    assert denoised.shape == shape
    assert denoised.dtype == np.float32
    assert np.isfinite(denoised).all()


def test_cascade_is_level_one_minus_the_predicted_residual():
    """Y_final = Y_P1 - r_hat(Y_P1), to the last bit, and nothing is clipped between the levels."""
    first, second = random_network(1), random_network(2)
    image = torch.rand(2, 1, 40, 52) * 3 - 1
    with torch.inference_mode():
        y_p1 = first(image)
        expected = y_p1 - second(y_p1)
        found = apply_levels([Level(first, "image"), Level(second, "residual")], image)
    assert (y_p1.min() < 0) or (y_p1.max() > 1)
    assert torch.equal(found, expected)


def test_network_sees_the_window_and_its_change_is_added_to_the_image():
    """Half the input as output takes off half of u 400 HU, with u clipped to [0, 1]."""

    class Half(nn.Module):
        def forward(self, image):
            return image / 2

    slices = np.array([[[-1024, -160, 0, 40, 240, 3000]]], dtype=np.int16)
    unit = np.clip((slices + 160) / 400, 0, 1)
    denoised = denoise_slices(slices, [Level(Half(), "image")], WINDOW, CPU)
    np.testing.assert_allclose(denoised, slices - unit / 2 * 400, atol=1e-3)


def test_slices_do_not_depend_on_their_neighbours():
    slices = np.random.default_rng(0).integers(-200, 300, (3, 32, 32)).astype(np.int16)
    levels = [Level(random_network(3), "image")]
    together = denoise_slices(slices, levels, WINDOW, CPU)
    alone = denoise_slices(slices[1:2], levels, WINDOW, CPU)
    np.testing.assert_array_equal(together[1], alone[0])


def test_cascade_from_files_by_the_command_line(tmp_path):
    """Two levels from safetensors files give what the networks in memory give."""
    folder = write_volume(tmp_path / "L001", 0, (2, 48, 40))
    networks = [random_network(1), random_network(2)]
    paths = [tmp_path / f"{number}.safetensors" for number in (1, 2)]
    for path, network in zip(paths, networks, strict=True):
        save_weights(path, network, {})
    levels = [
        {"model": "a", "network": DRL, "target": "image", "inputs": ["previous"]},
        {"model": "b", "network": DRL, "target": "residual", "inputs": ["previous"]},
    ]
    output = tmp_path / "prediction.npy"
    status = main(
        [
            "denoise-network",
            *("--levels", json.dumps(levels)),
            *("--weights", *map(str, paths)),
            *("--window", "-160", "240", "--clip", "--device", "cpu"),
            *("--test-folder", str(folder), "--output", str(output)),
        ]
    )
    assert status == 0
    in_memory = [Level(networks[0], "image"), Level(networks[1], "residual")]
    expected = denoise_slices(np.load(folder / "quarter.npy"), in_memory, WINDOW, CPU)
    np.testing.assert_allclose(np.load(output), expected, atol=1e-2)
    record = json.loads((tmp_path / "prediction.npy.provenance.json").read_text())
    assert {of_no_machine(str(path)) for path in paths} <= set(record["inputs"])


def test_low_dose_prediction_is_the_quarter_dose(tmp_path):
    folder = write_volume(tmp_path / "L001", 0)
    output = tmp_path / "out.npy"
    assert main(["denoise-identity", "--test-folder", str(folder), "--output", str(output)]) == 0
    prediction = np.load(output)
    assert prediction.dtype == np.float32
    np.testing.assert_array_equal(prediction, np.load(folder / "quarter.npy"))


def test_prediction_that_is_not_finite_is_refused(tmp_path):
    with (
        pytest.raises(InputError, match=r"out.npy: slices \[1\] hold NaN"),
        new_prediction(tmp_path / "out.npy", (3, 4, 4)) as prediction,
    ):
        prediction[1, 2, 2] = np.nan
    assert list(tmp_path.iterdir()) == []


def test_weights_of_another_network_are_named(tmp_path, capsys):
    folder = write_volume(tmp_path / "L001", 0)
    path = tmp_path / "weights.safetensors"
    save_weights(path, nn.Linear(2, 2), {})
    levels = [{"model": "a", "network": DRL, "target": "image", "inputs": ["previous"]}]
    status = main(
        [
            "denoise-network",
            *("--levels", json.dumps(levels), "--weights", str(path)),
            *("--window", "-160", "240", "--device", "cpu"),
            *("--test-folder", str(folder), "--output", str(tmp_path / "out.npy")),
        ]
    )
    assert status == 1
    message = capsys.readouterr().err
    assert "weights.safetensors: weights do not fit" in message
    assert "Traceback" not in message
