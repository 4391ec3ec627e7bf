"""Benchmarks that need a GPU work on a CPU, and a session of them goes on where it was stopped."""

import importlib
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch
from training_inputs import METHODS

from ldct.data.volumes import Volume
from ldct.devices.engine import Engine
from ldct.plan.counts import KEPT_SHARE

BENCHMARKS = METHODS.parent / "benchmarks"
CPU = torch.device("cpu")


@pytest.fixture
def benchmark(monkeypatch):
    """A benchmark's module by name."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setattr("ldct.devices.choice.keep_freed_memory", lambda: None)
    return importlib.import_module


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_both_loops_make_the_steps_that_are_timed(benchmark, precision):
    """Three steps that are not timed, then two."""
    module = benchmark("training_step")
    setup = module.Setup(CPU, precision, Engine())
    stage = module.drl_stage(setup.warm_up + 2, 1)
    for train in (module.ours, module.plain):
        assert module.seconds_per_step(train, stage, None, setup) > 0


def test_ceiling_is_of_the_precision_and_steps_are_three_passes(benchmark, monkeypatch):
    module = benchmark("measuring")
    monkeypatch.setitem(module.MATRICES, "cpu", ((64, 128), 1))
    for precision in ("fp32", "bf16"):
        speed, side = module.matrix_ceiling(CPU, precision, Engine())
        assert speed > 0
        assert side in (64, 128)
    stage = benchmark("training_step").drl_stage(1, 4)
    weights = 25 * 64 + 9 * (4 * 64 * 64 + 128 * 64 + 128 + 1)  # of DRL's convolutions
    assert module.step_flops(stage, 4) == 4 * 3 * 2 * weights * 64 * 64


def test_made_up_tiles_are_as_many_as_the_papers(benchmark):
    empty = [Volume(np.broadcast_to(np.int16(0), (5092, 512, 512)), None, {})]
    tiles = benchmark("measuring").made_up_tiles(empty, 64, KEPT_SHARE)
    assert len(tiles) == pytest.approx(281_660, abs=1)
    assert len(np.unique(tiles, axis=0)) == len(tiles)
    assert tiles.max(axis=0).tolist() == [0, 5091, 448, 448]


def test_session_goes_on_and_tells_what_failed(benchmark, monkeypatch, tmp_path, capsys):
    module = benchmark("gpu_session")
    noted = tmp_path / "runs"
    note = f"open({str(noted)!r}, 'a').write('x'); print('so fast')"
    steps = {"bad": ["-c", "print('half'); raise SystemExit(3)"], "good": ["-c", note]}
    monkeypatch.setattr(module, "session_steps", lambda *_: steps)
    monkeypatch.setattr(sys, "argv", ["gpu_session.py", "--output", str(tmp_path / "session")])
    for _ in range(2):
        with pytest.raises(SystemExit, match="failed, or out of time: bad"):
            module.main()
        assert "good\nso fast" in capsys.readouterr().out
    assert noted.read_text() == "x"
    assert [file.name for file in (tmp_path / "session").iterdir()] == ["good.txt"]


def test_session_ends_in_its_time(benchmark, monkeypatch, tmp_path):
    module = benchmark("gpu_session")
    steps = {"endless": ["-c", "import time; time.sleep(600)"], "next": ["-c", "print(1)"]}
    monkeypatch.setattr(module, "session_steps", lambda *_: steps)
    arguments = ["gpu_session.py", "--output", str(tmp_path), "--minutes", "0.01"]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit, match="out of time: endless, next"):
        module.main()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("tiny", [True, False])
def test_steps_of_a_session_are_commands_that_exist(benchmark, device, tiny):
    for command in benchmark("gpu_session").session_steps(device, tiny, Path("out")).values():
        assert command[0] in ("-c", "-m") or (BENCHMARKS.parent / command[0]).is_file()
        assert ("--device" in command) == (command[0] not in ("-c", "-m"))


def test_inference_ways_give_the_same_image(benchmark):
    module = benchmark("inference")
    slices = np.random.default_rng(0).integers(-200, 300, (1, 64, 64), np.int16)
    images = [
        module.timed(way, slices, CPU).images for way in module.ways_of("fp32", None).values()
    ]
    whole, bf16 = images[0], images[3]
    for image in (*images[1:3], images[4]):
        np.testing.assert_allclose(image, whole, atol=1e-2)
    assert 0 < np.abs(bf16 - whole).max() < 2
    assert len(module.ways_of("bf16", 2)) == len(images) - 1


def test_options_become_an_engine(benchmark):
    options = Namespace(compile=True, cuda_graphs=False, tf32=True)
    assert benchmark("measuring").engine_of(options) == Engine(compile=True, tf32=True)
