"""Probes compute as the run does: its precision, its engine, and full float32 in predictions."""

import numpy as np
import pytest
import torch
from torch import nn
from training_inputs import stage_of, write_cards, write_volume

from ldct.common.files import read_json, write_json
from ldct.common.scaling import Scaling
from ldct.cost import probes
from ldct.cost.micro_benchmark import time_in_turns
from ldct.denoising import network as inference_module
from ldct.denoising.finetuned import denoise_finetuned
from ldct.devices.engine import Engine, engine_settings
from ldct.networks.chain import Level
from ldct.training import loop

CPU = torch.device("cpu")
WINDOW = Scaling(-160.0, 240.0, clip=True)


class Watcher(nn.Conv2d):
    """A network that notes the switches it runs under."""

    def __init__(self):
        super().__init__(1, 1, 1)
        self.seen = []

    def forward(self, image):
        cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
        self.seen.append((cudnn.allow_tf32, matmul.allow_tf32, torch.is_autocast_enabled("cpu")))
        return super().forward(image)


@pytest.fixture
def watcher(monkeypatch):
    """A watched network wherever one is built, on a CPU that passes for a GPU."""
    network = Watcher()

    def as_on_a_gpu(engine, _device, **how):
        return engine_settings(engine, torch.device("cuda"), **how)

    for module in (probes, loop):
        monkeypatch.setattr(module, "build_network", lambda *_: network)
    for module in (probes, inference_module):
        monkeypatch.setattr(module, "engine_settings", as_on_a_gpu)
    assert torch.backends.cudnn.allow_tf32  # PyTorch's default, which is not full float32
    yield network
    assert torch.backends.cudnn.allow_tf32


@pytest.mark.parametrize("tf32", [False, True])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_step_runs_under_the_settings_of_a_training(watcher, tmp_path, tf32, precision):
    stage = stage_of("small_drl", write_cards(tmp_path / "cards"), 2)
    probes.training_step(stage, {}, 2, CPU, precision, Engine(tf32=tf32))()
    assert watcher.seen == [(tf32, tf32, precision == "bf16")]


def test_slice_runs_under_the_settings_of_inference(watcher, tmp_path):
    levels = [stage_of("small_drl", write_cards(tmp_path / "cards"), 2)]
    for precision in ("fp32", "bf16"):
        plan = inference_module.InferencePlan(precision=precision)
        probes.inference(probes.random_levels(levels, CPU), 16, CPU, plan)()
    assert watcher.seen == [(False, False, False), (False, False, True)]


def test_predictions_are_full_float32(watcher, tmp_path):
    """What PyTorch calls float32 lets convolutions on a GPU use TF32."""
    folder, output = write_volume(tmp_path / "L001", 0, (2, 32, 32)), tmp_path / "out.npy"
    levels = [Level(watcher, "image")]
    with torch.no_grad():
        inference_module.denoise_with_networks(folder, levels, [], WINDOW, CPU, output)
    assert watcher.seen == [(False, False, False)] * 2
    record = read_json(tmp_path / "out.npy.provenance.json")
    assert record["settings"]["inference"]["tf32"] is False


def test_finetuned_predictions_are_full_float32(watcher, tmp_path):
    """The method returns the switch as pixels."""
    folder, output = write_volume(tmp_path / "L001", 0, (2, 32, 32)), tmp_path / "out.npy"
    (tmp_path / "denoise.py").write_text(
        "import numpy as np, torch\n"
        "def denoise(slice_hu, parameters, levels, scaling):\n"
        "    return np.full_like(slice_hu, torch.backends.cudnn.allow_tf32)\n"
    )
    write_json(tmp_path / "parameters.json", {})
    arguments = (tmp_path, tmp_path / "parameters.json", [], [], folder, WINDOW, CPU, output)
    denoise_finetuned(*arguments)
    assert not np.load(output).any()
    record = read_json(tmp_path / "out.npy.provenance.json")
    assert record["settings"]["inference"]["tf32"] is False


def test_variants_are_compiled_and_recorded_before_they_are_timed():
    calls = []
    works = {name: lambda name=name: calls.append(name) for name in "ab"}
    assert probes.warm_up_calls(Engine(compile=True), CPU) == 3
    assert probes.warm_up_calls(Engine(), CPU) == 1
    seconds = time_in_turns(works, 2, CPU, 3)
    assert calls == [*"aaabbb", *"abab"]
    assert [len(values) for values in seconds.values()] == [2, 2]
