"""Plans: how long jobs take side by side, counts without data, and the verb on a tiny run."""

import json

import numpy as np
import pytest
import torch
from training_inputs import METHODS

from ldct.cli import main
from ldct.configuration.resolve import resolve_run
from ldct.configuration.stages import (
    LEAST_MEMORY_MB,
    PROCESS_MEMORY_MB,
    TILE_MEMORY_MB,
    requested_memory_mb,
)
from ldct.data.tiles import VOLUME
from ldct.devices.engine import Engine
from ldct.plan.ahead import JOB_SECONDS, plan_ahead
from ldct.plan.counts import expected_slices, expected_tiles, without_slices
from ldct.plan.estimate import kind_of, plan_methods, plan_stages
from ldct.plan.schedule import Job, run_on
from ldct.plan.text import NO_SLICES
from ldct.plan.verbs import merged_configuration

REPOSITORY = METHODS.parent
CPU = torch.device("cpu")


def settings_of(*overlays: str) -> dict:
    paths = [REPOSITORY / "config" / name for name in overlays]
    return resolve_run(merged_configuration(paths), REPOSITORY)


NARROW = [Job(name, 10.0, memory_mb=100) for name in "abcd"]
CHAIN = [Job("first", 10.0), Job("second", 10.0, ("first",))]
WIDE = [*CHAIN, Job("wide", 5.0, cores=2)]
ON_GPU = [
    Job(name, 10.0, gpus=1, memory_mb=5, gpu_memory_mb=mb)
    for name, mb in {"a": 100, "b": 200, "c": 300, "d": 50}.items()
]


@pytest.mark.parametrize(
    ("jobs", "cores", "gpus", "jobs_per_gpu", "course"),
    [
        (NARROW, 1, 0, 1, (40, 100, 0)),
        (NARROW, 2, 0, 1, (20, 200, 0)),
        (NARROW, 8, 0, 1, (10, 400, 0)),
        (CHAIN, 8, 0, 1, (20, 0, 0)),
        (WIDE, 2, 0, 1, (25, 0, 0)),  # the wide job cannot stand beside a narrow one
        (WIDE, 3, 0, 1, (20, 0, 0)),
        (ON_GPU, 8, 1, 1, (40, 5, 300)),
        (ON_GPU, 8, 2, 1, (20, 10, 300)),
        (ON_GPU, 8, 1, 2, (20, 10, 350)),
        (ON_GPU, 8, 2, 2, (10, 20, 500)),
    ],
)
def test_jobs_wait_for_each_other_for_cores_and_for_gpus(jobs, cores, gpus, jobs_per_gpu, course):
    assert run_on(jobs, cores, gpus, jobs_per_gpu) == course


def test_paper_counts_without_data(tmp_path):
    settings = settings_of("paper.yaml")
    assert expected_tiles(settings, tmp_path)[0] == pytest.approx(281_660, abs=1)
    assert sum(expected_slices(settings).values()) == 844


def test_tiles_of_the_validation_patient_are_not_trained_on(tmp_path):
    """Second of the training patients: 23 tiles of 100 in the table, its slices in the estimate."""
    settings = settings_of()
    train = settings["train_patients"]
    settings["validation"] = settings["validation"] | {"patient": train[1]}
    without_data = expected_tiles(settings, tmp_path)[0]
    tiles = np.zeros((100, 4), dtype=np.int32)
    tiles[:23, VOLUME] = 1
    np.save(tmp_path / "tiles.npy", tiles)
    assert expected_tiles(settings_of(), tmp_path) == (100, str(tmp_path / "tiles.npy"))
    assert expected_tiles(settings, tmp_path)[0] == 77
    slices = {name: settings["dataset"]["patients"][name]["slices"] for name in train}
    share = 1 - slices[train[1]] / sum(slices.values())
    everything = expected_tiles(settings_of(), tmp_path / "none")[0]
    assert without_data == pytest.approx(share * everything, abs=1)


def test_patients_without_a_number_of_slices_are_named(tmp_path):
    settings = settings_of()
    assert without_slices(settings, tmp_path) == []
    for name in ("L902", "L903"):
        del settings["dataset"]["patients"][name]["slices"]
    assert without_slices(settings, tmp_path) == ["L902", "L903"]
    np.save(tmp_path / "tiles.npy", np.zeros((1, 4), dtype=np.int32))
    assert without_slices(settings, tmp_path) == ["L903"]
    assert NO_SLICES.format("L903").startswith("Too little: the data set's file does not say")


def test_steps_and_slices_are_timed_as_the_run_computes_them(monkeypatch):
    """Precision and engine of the run reach the processes that measure."""
    settings = settings_of()
    settings |= {"precision": "bf16", "inference": {"tile": 128, "precision": "bf16"}}
    settings["engine"] = settings["engine"] | {"compile": True, "fused_optimizer": True}
    given = {}
    found = dict.fromkeys(
        ("seconds_per_step", "peak_small", "peak_large", "seconds_per_slice"), 1.0
    )
    found |= {"peak_gpu": None}

    def measure(function, *arguments):
        given.setdefault(function.__name__, []).append(arguments)
        return found

    monkeypatch.setattr("ldct.plan.estimate.probes.in_fresh_process", measure)
    plan_stages(settings, 1000, 2, 0.0, CPU)
    plan_methods(settings, 10, CPU)
    engine = Engine(compile=True, fused_optimizer=True)
    assert {arguments[-3:-1] for arguments in given["steps_of_two_sizes"]} == {("bf16", engine)}
    assert {arguments[-2:] for arguments in given["one_slice"]} == {("bf16", 128)}


def test_memory_that_a_training_asks_for_grows_with_batch_tile_and_processes():
    stage = dict(settings_of("paper.yaml")["models"]["drl"])
    small = requested_memory_mb(stage | {"recipe": {"batch": 1}}, 1)
    batch = requested_memory_mb(stage | {"recipe": {"batch": 64}}, 1)
    assert small == LEAST_MEMORY_MB
    assert batch == PROCESS_MEMORY_MB + 64 * TILE_MEMORY_MB
    tiles = {"recipe": {"batch": 64}, "tile_size": 128}
    assert requested_memory_mb(stage | tiles, 2) - PROCESS_MEMORY_MB * 2 == 256 * TILE_MEMORY_MB
    fc_aide = settings_of("paper.yaml")["models"]["fc_aide"] | {"recipe": {"batch": 64}}
    assert requested_memory_mb(fc_aide, 1) > batch  # its card says so


def test_paper_budget_is_twenty_epochs(monkeypatch):
    """20 x ceil(281,660 / 32) steps, and the time of a tile times all tiles."""
    settings = settings_of("paper.yaml")
    probe = {"seconds_per_tile": 0.01, "memory_mb": 400.0, "memory_mb_per_tile": 10.0}
    monkeypatch.setattr(
        "ldct.plan.estimate.probe_stage", lambda *_: probe | {"gpu_memory_mb": None}
    )
    stages = plan_stages(settings, 281_660, 8, 0.0, CPU)
    assert stages["lsgan"]["steps"] == 176_040
    assert stages["lsgan"]["seconds"] == pytest.approx(0.01 * 176_040 * 32)
    assert stages["lsgan"]["peak_memory_mb"] == 400 + 320


def test_equal_second_levels_are_timed_once():
    models = settings_of()["models"]
    kinds = {name: kind_of(stage, models) for name, stage in models.items()}
    assert kinds["proposed_level2"] == kinds["ccnn_pl_level2"]
    assert len({kinds[name] for name in ("drl", "drlp", "lsgan", "proposed_level2")}) == 4


def test_time_ahead_counts_what_waits_alone(tmp_path, monkeypatch):
    """All steps of 4 s, 17 + 20 slices of 2 s, and jobs that are not timed."""
    settings = settings_of()
    times = {"seconds_per_step": 4.0, "peak_small": 1.0, "peak_large": 2.0, "peak_gpu": None}
    times |= {"seconds_per_slice": 2.0, "tuning_seconds": 0.0, "peak_memory_mb": 1.0}
    monkeypatch.setattr("ldct.plan.estimate.probed", lambda *_: times)

    def ahead(*waiting, cores=1):
        return plan_ahead(settings, waiting, tmp_path, cores=cores, gpus=0, device=CPU)[0]

    steps = settings["models"]["drl"]["recipe"]["steps"]
    assert ahead("train/drl/0") == pytest.approx(4 * steps)
    assert ahead("denoise/drl/0/L903") == pytest.approx(2 * (17 + 20))
    assert ahead("train/drl/0", "denoise/drl/0/L903", cores=2) == pytest.approx(4 * steps + 74)
    assert ahead("table1", "cost", cores=2) == JOB_SECONDS


def test_plan_of_a_small_run(tmp_path, capsys, monkeypatch):
    """A learned method, a classical one, and the images as they are, without any data."""
    monkeypatch.chdir(tmp_path)
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(
        "methods: [low_dose, tv, drl]\nbudget: {steps: 3}\ncontrols: []\n"
        "tiles: {size: 32, stride: 32, keep_above_hu: -500}\n"
    )
    monkeypatch.setattr("ldct.plan.estimate.SIDE", 64)
    status = main(["plan", "--configfile", str(overlay), "--cores", "2", "--json", "plan.json"])
    assert status == 0
    printed = capsys.readouterr().out
    for text in (
        "3 steps per stage",
        "Training in fp32; inference in fp32",
        "validation during training",
        "with 2 cores about",
        "estimate:",
    ):
        assert text in printed
    plan = json.loads((tmp_path / "plan.json").read_text())
    (stage,) = plan["stages"].values()
    assert stage["steps"] == 3 and stage["seconds_per_step"] > 0
    assert 150 < stage["peak_memory_mb"] < 4000
    seconds = {name: method["seconds_per_slice"] for name, method in plan["methods"].items()}
    assert seconds["low_dose"] == 0 and seconds["tv"] > 0 and seconds["drl"] > 0
    total = plan["total"]
    assert 0 < total["clock_hours"] <= total["job_hours"]
