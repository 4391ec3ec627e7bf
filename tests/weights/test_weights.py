"""Sets of trained models: made of a run, found, and taken by a run in place of trainings."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from made_up_trainings import NOISE_HU, resolve_with, write_run, write_set
from workflow_runs import REPOSITORY

import ldct
from ldct.cli import main
from ldct.common.errors import InputError
from ldct.common.files import read_json, sha256_of_file
from ldct.configuration import weights as weights_of_runs
from ldct.configuration.seal import plan_of
from ldct.cost.collect import read_record, training_job
from ldct.plan.counts import expected_tiles
from ldct.plan.estimate import list_jobs, plan_stages
from ldct.weights.card import model_card
from ldct.weights.describe import quarter_noise_hu
from ldct.weights.find import find_models
from ldct.weights.take import take_parameters, take_stage

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Folder with a set and the run that it was made of."""
    folder = tmp_path_factory.mktemp("made")
    write_set(folder)
    return folder


def test_set_tells_its_training_and_holds_hashes_and_no_places(made):
    content = read_json(made / "set/weights.json")
    span = content["span"]
    assert (span["kernel"], span["thickness_mm"]) == (["B0", "B1"], [1.0, 2.0])
    assert span["quarter_noise_hu"] == pytest.approx(list(NOISE_HU.values()), rel=0.25)
    assert (content["tiles"], content["seed"], content["training"]) == (7, 0, "0")
    assert content["parameters"] == {"bm3d": {"factor": 1.25}}
    stage = content["stages"]["drl"]
    assert stage["weights_sha256"] == sha256_of_file(made / "set/drl.safetensors")
    assert stage["stage"]["recipe"]["steps"] == stage["steps"] == 3
    assert sorted(path.name for path in (made / "set").iterdir()) == [
        *("MODEL_CARD.md", "drl.csv", "drl.safetensors", "weights.json")
    ]
    for path in (made / "set").iterdir():
        for place in (made, REPOSITORY, "mine", "network.py"):
            assert str(place).encode() not in path.read_bytes(), path.name


def test_card_is_made_of_the_file_alone_and_says_what_a_reader_must_know(made):
    card = (made / "set/MODEL_CARD.md").read_text(encoding="utf-8")
    assert card == model_card(read_json(made / "set/weights.json"))
    for told in ("research alone", "L901", "dose_fraction 0.25", "B0, B1", "3 steps", "CC BY 3.0"):
        assert told in card


def test_older_set_is_replaced_whole_and_other_folders_are_not_touched(tmp_path):
    run = write_run(tmp_path)
    command = ["export-weights", str(run), "--output"]
    assert main([*command, str(tmp_path / "set")]) == 0
    before = (tmp_path / "set/weights.json").read_bytes()
    (run / "models/drl/0/history.csv").unlink()
    assert main([*command, str(tmp_path / "set")]) == 1
    assert (tmp_path / "set/weights.json").read_bytes() == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/photo.png").touch()
    assert main([*command, str(tmp_path / "mine")]) == 1
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["photo.png"]


def test_models_of_a_set_and_of_its_run_denoise_alike(made):
    slices = np.random.default_rng(0).integers(-100, 200, (1, 32, 32)).astype(np.int16)
    images = []
    for source in (made / "set", made / "results/made-up"):
        found = find_models("drl", source)
        levels = ldct.load_levels(found.levels, found.weights, CPU)
        images.append(ldct.denoise_slices(slices, levels, found.scaling, CPU))
        assert found.about["span"]["pixel_mm"] == [0.5, 0.5] and found.changed == []
    assert np.array_equal(*images) and not np.array_equal(images[0], slices)
    assert find_models("bm3d", made / "set").parameters == {"factor": 1.25}


def test_run_of_several_trainings_asks_which_and_lost_volumes_leave_the_span_open(tmp_path):
    run = write_run(tmp_path, seeds=[0, 1])
    with pytest.raises(InputError, match="expected one of 0, 1: --training NAME"):
        find_models("drl", run)
    (tmp_path / "data/demo/volumes/L901/volume.json").unlink()
    assert find_models("drl", run, "0").about["span"] is None
    assert main(["export-weights", str(run), "--training", "0", "--output", "none"]) == 1


@pytest.mark.parametrize("file", ["drl.safetensors", "drl.csv"])
def test_changed_file_of_a_set_is_refused(tmp_path, capsys, file):
    folder = write_set(tmp_path)
    (folder / file).write_bytes((folder / file).read_bytes() + b" ")
    command = ["take-weights", "--set", str(folder), "--stage", "drl"]
    assert main([*command, "--output", str(tmp_path / "taken")]) == 1
    assert f"{file}: found sha256" in capsys.readouterr().err
    assert not (tmp_path / "taken/weights.safetensors").exists()


def test_run_takes_the_sets_stage_budget_and_window_and_asks_for_test_patients_alone(made):
    run = resolve_with(made / "set", scaling={"window": [-1000, 1000], "clip": False})
    trained = read_json(made / "set/weights.json")["stages"]["drl"]
    stage = run["models"]["drl"]
    assert stage["recipe"] == trained["stage"]["recipe"]
    assert stage["scaling"] == {"window": [-160.0, 240.0], "clip": True}
    assert Path(stage["network"]["file"]).is_file()
    assert list(run["dataset"]["patients"]) == ["L903", "L904"] and run["train_patients"] == []
    assert run["dataset"]["folder"] == "demo-test"
    assert run["weights"]["changed"] == []
    for text in (run["budget_text"], run["dataset"]["credit"]):
        assert "weights of set" in text
    assert "trained on 2 patients" in run["budget_text"]
    assert "L901, L902" in run["dataset"]["credit"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"methods": ["low_dose", "red_cnn"]},
            r"no models of red_cnn .*drl, bm3d: leave the others",
        ),
        ({"methods": ["low_dose", "nlm"]}, r"nlm \(no parameters\)"),
        ({"seeds": [1]}, r"key 'seeds': found \[1\].*expected \[0\]"),
        ({"cross_validation": {"folds": 2}}, "key 'cross_validation'"),
        ({"dataset": "lung.yaml"}, "trained on L902, which demo has as test patients"),
        ({"weights": "nowhere"}, "found no file nowhere/weights.json"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_a_set_cannot_serve_ends_in_one_line(made, tmp_path, monkeypatch, changes, told):
    monkeypatch.chdir(tmp_path)
    demo = (REPOSITORY / "config/datasets/demo.yaml").read_text(encoding="utf-8")
    swapped = demo.replace("L902: {split: train", "L902: {split: test")
    (tmp_path / "lung.yaml").write_text(swapped, encoding="utf-8")
    with pytest.raises(InputError, match=told):
        resolve_with(made / "set", **changes)


@pytest.mark.parametrize("what", ["recipe", "code"])
def test_later_change_of_card_or_code_is_named_and_the_models_stay(made, monkeypatch, what):
    if what == "code":
        monkeypatch.setattr(weights_of_runs, "sha256_of_file", lambda file: "another")
    else:
        resolve = weights_of_runs.plain_stage
        changed = {"recipe": {"batch": 1}}
        monkeypatch.setattr(weights_of_runs, "plain_stage", lambda stage: resolve(stage) | changed)
    run = resolve_with(made / "set")
    assert run["weights"]["changed"] == [f"drl ({what})"]
    assert run["budget_text"].endswith(f"CHANGED SINCE: drl ({what})")
    assert run["models"]["drl"]["recipe"]["steps"] == 3


def test_weights_of_another_network_are_none(made, tmp_path):
    folder = write_set(tmp_path)
    content = read_json(folder / "weights.json")
    content["stages"]["drl"]["stage"]["target"] = "residual"
    (folder / "weights.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError, match="drl: weights of another target"):
        resolve_with(folder)


def test_plan_and_seal_know_that_nothing_is_trained(made):
    run = resolve_with(made / "set")
    assert expected_tiles(run, Path("none"))[0] == 7
    stages = plan_stages(run, 7, 2, 0.0, CPU)
    methods = {"drl": {"seconds_per_slice": 2.0, "tuning_seconds": 0.0}}
    jobs = list_jobs(run, stages, methods, {"L903": 3}, 2, CPU)
    assert [(job.name, job.seconds, job.after) for job in jobs] == [("denoise/drl/0/L903", 6.0, ())]
    sealed = plan_of(run, REPOSITORY)["weights"]
    assert sealed == sha256_of_file(made / "set/weights.json")


def test_cost_of_what_was_taken_is_not_known(made, tmp_path):
    take_stage(made / "set", "drl", tmp_path / "models/drl/0")
    take_parameters(made / "set", "bm3d", tmp_path / "parameters.json")
    job = training_job(tmp_path, "drl", "0")
    assert (job["device"], job["steps"], job["restarts"]) == ("not trained here", 3, 0)
    assert job["training_seconds"] is job["peak_memory_mb"] is None
    assert "cpu_seconds" not in read_record(tmp_path / "parameters.json")
    assert read_json(tmp_path / "parameters.json") == {"factor": 1.25}


def test_noise_is_told_from_low_dose_alone():
    noise = np.random.default_rng(2).normal(50, 25, (3, 64, 64))
    assert quarter_noise_hu(noise) == pytest.approx(25, rel=0.15)
