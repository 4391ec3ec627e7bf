"""Options of the engine: what they act on, what they refuse, and that they are recorded."""

import shutil

import numpy as np
import pytest
import torch
from training_inputs import (
    DISCRIMINATOR,
    killed_at_step,
    stage_of,
    train_arguments,
    train_here,
    write_cards,
    write_training_data,
)

from ldct.cli import main
from ldct.common.files import read_json
from ldct.devices.engine import Engine, engine_settings, resolve_engine
from ldct.training.checkpoint import newest_checkpoint
from ldct.training.recipe import make_optimizer

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    folder = tmp_path_factory.mktemp("engine")
    volumes, tiles = write_training_data(folder)
    return volumes, tiles, write_cards(folder / "cards")


NETWORK = "from torch import nn\ndef build():\n    return nn.Conv2d(1, 1, 3, padding=1)\n"


def train(material, folder, engine, steps=2, checkpoint_every=1000, **changes):
    volumes, tiles, cards = material
    stage = stage_of("small_drl", cards, steps) | changes
    train_here(stage, volumes, tiles, folder, engine=engine, checkpoint_every=checkpoint_every)


def test_options_of_a_gpu_are_off_on_a_cpu_and_auto_is_decided():
    wishes = Engine(tf32=True, deterministic=True)
    assert resolve_engine(wishes, CPU).result_options() == {
        "compile": False,
        "cuda_graphs": False,
        "tf32": False,
        "fused_optimizer": False,
        "deterministic": False,
    }
    assert resolve_engine(wishes, CUDA).result_options() == {
        "compile": False,
        "cuda_graphs": False,
        "tf32": True,
        "fused_optimizer": True,
        "deterministic": True,
    }


def test_cuda_graphs_without_a_gpu_end_in_one_line(material, tmp_path, capsys):
    volumes, tiles, cards = material
    more = ("--engine", '{"cuda_graphs": true}')
    arguments = train_arguments(stage_of("small_drl", cards, 1), volumes, tiles, tmp_path, *more)
    assert main(arguments) == 1
    assert "error: engine.cuda_graphs: found true on the device 'cpu'" in capsys.readouterr().err
    assert resolve_engine(Engine(cuda_graphs=True), CUDA).cuda_graphs


def test_options_are_recorded_and_new_ones_start_a_new_training(material, tmp_path):
    volumes, tiles, cards = material
    stage = stage_of("small_drl", cards, 1)
    fingerprints = set()
    for more in (
        (),
        ("--workers", "2", "--volumes-on-device", "true"),
        ("--engine", '{"fused_optimizer": true}'),
    ):
        assert main(train_arguments(stage, volumes, tiles, tmp_path, *more)) == 0
        fingerprints.add(read_json(tmp_path / "training.json")["fingerprint"])
    assert len(fingerprints) == 2  # threads and place of the volumes change no bits
    record = read_json(tmp_path / "weights.safetensors.provenance.json")
    assert record["settings"]["engine"]["fused_optimizer"] is True
    assert read_json(tmp_path / "training.json")["engine"]["workers"] == 0


def test_other_pixels_under_the_same_tiles_start_a_new_training(material, tmp_path):
    """The tile table does not show a changed dose; a checkpoint must not survive it."""
    _, tiles, cards = material
    volumes = [shutil.copytree(path, tmp_path / path.name) for path in material[0]]
    stage = stage_of("small_drl", cards, 1)
    found = []
    for change in (0, 1):
        pixels = np.load(volumes[0] / "quarter.npy")
        pixels[0, 0, 0] += change
        np.save(volumes[0] / "quarter.npy", pixels)
        assert main(train_arguments(stage, volumes, tiles, tmp_path / "model")) == 0
        found.append(read_json(tmp_path / "model" / "training.json")["fingerprint"])
    assert found[0] != found[1]


def test_fused_optimizer_takes_the_same_steps_up_to_rounding():
    networks = [torch.nn.Linear(7, 5), torch.nn.Linear(7, 5)]
    networks[1].load_state_dict(networks[0].state_dict())
    recipe = {"learning_rate": 1e-3, "betas": [0.5, 0.999]}
    optimizers = [
        make_optimizer(network, recipe, fused)
        for network, fused in zip(networks, (False, True), strict=True)
    ]
    for step in range(5):
        gradient = torch.randn(5, 7, generator=torch.Generator().manual_seed(step))
        for network, optimizer in zip(networks, optimizers, strict=True):
            network.weight.grad = gradient.clone()
            optimizer.step()
    torch.testing.assert_close(networks[0].weight, networks[1].weight, rtol=1e-6, atol=1e-7)


needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")


@needs_compiler
def test_compiled_network_trains_as_the_plain_one_and_has_its_names(material, tmp_path):
    """Plain and compiled steps end in the same weights up to rounding, under the same names."""
    from safetensors.torch import load_file

    (tmp_path / "network.py").write_text(NETWORK)
    network = {"file": str(tmp_path / "network.py"), "options": {}}
    states = []
    for compiled in (False, True):
        folder = tmp_path / str(compiled)
        train(material, folder, Engine(compile=compiled), network=network)
        states.append(load_file(folder / "weights.safetensors"))
    assert set(states[0]) == set(states[1]) == {"weight", "bias"}
    torch.testing.assert_close(states[1]["weight"], states[0]["weight"], rtol=1e-4, atol=1e-5)


@needs_compiler
def test_resumed_compiled_training_ends_in_the_same_bits(material, tmp_path):
    """A least-squares GAN: its generator and its critic are compiled, each in two modes."""
    (tmp_path / "network.py").write_text(NETWORK)
    (tmp_path / "discriminator.py").write_text(DISCRIMINATOR)
    stage = stage_of("small_lsgan", material[2], 4)
    critic = {"name": "tiny", "file": str(tmp_path / "discriminator.py"), "options": {}}
    stage["loss"]["adversarial"]["discriminator"] = critic
    stage["network"] = {"file": str(tmp_path / "network.py"), "options": {}}
    saved = tmp_path / "saved"

    def run(folder):
        train(material, folder, Engine(compile=True), **stage, checkpoint_every=2)
        return (folder / "weights.safetensors").read_bytes()

    whole = run(tmp_path / "whole")
    with killed_at_step(3):
        run(saved)
    assert newest_checkpoint(saved, "test")["step"] == 2
    # As in another process.
    torch.compiler.reset()
    assert run(saved) == whole


def test_settings_of_a_gpu_come_back_as_they_were(monkeypatch):
    """Full float32 unless TF32 is asked for: PyTorch's default lets convolutions use TF32."""
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn

    def state():
        deterministic = torch.are_deterministic_algorithms_enabled()
        return matmul.allow_tf32, cudnn.allow_tf32, cudnn.deterministic, deterministic

    before = state()
    with engine_settings(Engine(deterministic=True), CUDA):
        assert state() == (False, False, True, True)
    with engine_settings(Engine(tf32=True), CUDA):
        assert state() == (True, True, False, False)
    assert state() == before
    with engine_settings(Engine(), CPU):
        assert state() == before
