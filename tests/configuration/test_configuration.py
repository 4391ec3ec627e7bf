"""Configuration: what a run resolves to, and what the terminal shows where it is wrong."""

import re
from pathlib import Path

import pytest
import yaml
from lookalike import write_lookalike_tree
from workflow_runs import REPOSITORY, snakemake, write_yaml

from ldct.common.errors import InputError
from ldct.configuration.paths import check_source
from ldct.configuration.resolve import resolve_run

DEFAULT = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text(encoding="utf-8"))
FULL = yaml.safe_load((REPOSITORY / "config/full.yaml").read_text(encoding="utf-8"))
PAPER = yaml.safe_load((REPOSITORY / "config/paper.yaml").read_text(encoding="utf-8"))


def resolve(**changes) -> dict:
    return resolve_run(DEFAULT | changes, REPOSITORY)


def test_default_run_is_the_demo_at_the_quick_budget():
    run = resolve()
    assert run["dataset"]["name"] == "demo"
    assert run["train_patients"] == ["L901", "L902"]
    assert run["test_patients"] == ["L903", "L904"]
    assert "quick" in run["budget_text"]
    assert run["protocol_file"].endswith("config/protocols/abdomen.yaml")


def test_further_protocols_follow_the_main_one_and_none_stands_twice():
    run = resolve(**FULL)
    assert run["protocol_names"][0] == "abdomen"
    assert [Path(file).stem for file in run["protocol_files"]] == run["protocol_names"]
    assert {"full_range", "tcia_ldct_benchmark", "drl_author"} < set(run["protocol_names"])
    names = resolve(**FULL, protocol="full_range")["protocol_names"]
    assert names[0] == "full_range"
    assert len(names) == len(set(names))
    assert resolve()["protocol_names"] == ["abdomen"]


def test_two_protocols_of_one_name_are_refused(tmp_path):
    content = yaml.safe_load((REPOSITORY / "config/protocols/abdomen.yaml").read_text())
    own = write_yaml(tmp_path / "mine.yaml", content | {"window": [0, 100]})
    with pytest.raises(InputError, match=r"further_protocols.*both named 'abdomen'"):
        resolve(further_protocols=[str(own)])


def test_the_calibrated_protocol_is_a_result_of_the_run():
    run = resolve(protocol="calibrated", calibration_grid="short")
    assert run["protocol_names"][0] == "calibrated_simulated_dose"
    assert run["protocol_file"] == run["calibrated_protocol"]
    assert run["protocol_file"].startswith("results/demo-quick/calibration/")
    assert resolve(**PAPER)["calibrated_protocol"].endswith("/calibrated.yaml")
    with pytest.raises(InputError, match=r"calibration_grid.*'calibrated'"):
        resolve(protocol="calibrated")


def test_missing_reader_marks_end_in_one_line_with_their_key(tmp_path):
    content = yaml.safe_load((REPOSITORY / "config/datasets/demo.yaml").read_text())
    content["patients"]["L901"]["lidc_xml"] = "nowhere.xml"
    with pytest.raises(InputError, match=r"key 'patients\.L901\.lidc_xml': found no file nowhere"):
        resolve(dataset=str(write_yaml(tmp_path / "own.yaml", content | {"name": "own"})))


def test_paper_run_is_the_papers_split_and_untouched_recipes():
    """Paper, section III-B: eight patients for training, L109 and L506 for the test."""
    run = resolve(**PAPER)
    assert run["test_patients"] == ["L109", "L506"]
    assert len(run["train_patients"]) == 8
    slices = {name: entry["slices"] for name, entry in run["dataset"]["patients"].items()}
    assert slices["L109"] + slices["L506"] == 844
    assert run["models"]["drl"]["recipe"] == run["cards"]["drl"]["recipe"]
    assert run["models"]["lsgan"]["recipe"]["epochs"] == 20


def test_learned_methods_have_the_runs_seeds_and_others_none():
    run = resolve(seeds=[0, 7], methods=["low_dose", "bm3d", "drl", "proposed"], controls=[])
    assert run["method_seeds"] == {
        "low_dose": ["fixed"],
        "bm3d": ["fixed"],
        "drl": ["0", "7"],
        "proposed": ["0", "7"],
    }


def test_dataset_can_be_a_file_and_its_root_can_be_replaced(tmp_path):
    description = yaml.safe_load((REPOSITORY / "config/datasets/aapm.yaml").read_text())
    path = write_yaml(tmp_path / "mine.yaml", description | {"name": "mine"})
    run = resolve(dataset=str(path), dataset_root="elsewhere")
    assert run["dataset"]["name"] == "mine"
    assert run["dataset"]["root"] == "elsewhere"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"budgett": "quick"}, r"unknown key 'budgett' \(did you mean 'budget'\?\); allowed: "),
        ({"budget": "fast"}, "key 'budget': found 'fast', expected quick, paper or"),
        ({"budget": {"steps": 0}}, "key 'budget"),
        ({"test": {"every": 0}}, "key 'test"),
        ({"seeds": []}, "key 'seeds'"),
        ({"methods": []}, "key 'methods'"),
        ({"methods": ["drll"]}, r"unknown method 'drll' \(did you mean 'drl'\?\); known: "),
        ({"dataset": "aapn"}, r"key 'dataset': found 'aapn' \(did you mean 'aapm'\?\)"),
        ({"protocol": "abdomem"}, r"key 'protocol': found 'abdomem' \(did you mean 'abdomen'\?\)"),
        ({"scaling": {"window": [240, -160], "clip": True}}, "key 'scaling.window': found"),
        (
            {"tiles": {"size": 60, "stride": 64, "keep_above_hu": -500}},
            "key 'tiles.size': found 60",
        ),
        ({"precision": "fp16"}, "key 'precision': found 'fp16', expected one of fp32, bf16"),
        ({"statistics": {"reference": "propsed"}}, r"reference': .* \(did you mean 'proposed'\?\)"),
        ({"method_paths": ["nowhere"]}, "no folder nowhere"),
    ],
)
def test_mistakes_are_one_line_that_names_key_and_remedy(changes, message):
    with pytest.raises(InputError, match=message) as caught:
        resolve(**changes)
    assert "\n" not in str(caught.value)


NO_FILE = "key '{}': found no file "


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lesions_csv": "nowhere.csv"}, NO_FILE.format("lesions_csv")),
        ({"lesions_csv": "$HOME"}, NO_FILE.format("lesions_csv") + "{home}, expected a CSV"),
        ({"lesions_csv": "~/{x}.csv"}, "key 'lesions_csv': found '~/{x}.csv', but Snakemake takes"),
        ({"dataset_root": "$NOWHERE/x"}, "key 'dataset_root': .* variable $NOWHERE is not set"),
        ({"method_paths": ["~nobody_here/x"]}, "key 'method_paths.0': .* there is no such user"),
        ({"method_paths": ["~/none"]}, "no folder {home}/none"),
        ({"demo": {"archives": "a}"}}, "key 'demo.archives': found 'a}', but"),
        ({"perceptual_weights": {"vgg16": "~/n.pth"}}, "vgg16': found no file {home}/n.pth"),
        ({"protocol": "~/none.yaml"}, "key 'protocol': found no file {home}/none.yaml"),
        ({"further_protocols": ["$HOME/{a}.yml"]}, "key 'further_protocols': .* braces"),
        ({"dataset": "~/set.yaml"}, "key 'root': .* braces"),
    ],
)
def test_a_path_that_cannot_be_read_names_its_key(tmp_path, monkeypatch, changes, message):
    monkeypatch.setenv("HOME", str(tmp_path))
    description = yaml.safe_load((REPOSITORY / "config/datasets/demo.yaml").read_text())
    write_yaml(tmp_path / "set.yaml", description | {"root": "a/{patient}"})
    changes = {key: with_defaults(key, value) for key, value in changes.items()}
    pattern = re.escape(message.replace("{home}", str(tmp_path))).replace(r"\.\*", ".*")
    with pytest.raises(InputError, match=pattern) as caught:
        resolve(**changes)
    assert "\n" not in str(caught.value)


def with_defaults(key: str, value: object) -> object:
    return DEFAULT[key] | value if isinstance(value, dict) else value


def test_home_and_variables_are_written_out_in_every_path(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SCANS", "/scans")
    for name in ("lesions.csv", "vgg.pth"):
        (tmp_path / name).touch()
    description = yaml.safe_load((REPOSITORY / "config/datasets/demo.yaml").read_text())
    write_yaml(tmp_path / "set.yaml", description | {"root": "$SCANS/dicom"})
    protocol = yaml.safe_load((REPOSITORY / "config/protocols/abdomen.yaml").read_text())
    write_yaml(tmp_path / "own.yaml", protocol)
    run = resolve(
        dataset="~/set.yaml",
        lesions_csv="${HOME}/lesions.csv",
        method_paths=["~"],
        perceptual_weights={"vgg16": "$HOME/vgg.pth", "vgg19": None},
        demo=DEFAULT["demo"] | {"archives": "~/archives"},
        protocol="$HOME/own.yaml",
    )
    assert run["dataset"]["root"] == "/scans/dicom"
    assert run["lesions_csv"] == f"{tmp_path}/lesions.csv"
    assert run["method_paths"] == [str(tmp_path)]
    assert run["perceptual_weights"] == {"vgg16": f"{tmp_path}/vgg.pth", "vgg19": None}
    assert run["demo"]["archives"] == f"{tmp_path}/archives"
    assert run["protocol_file"] == f"{tmp_path}/own.yaml"
    assert resolve(dataset_root="~/ct")["dataset"]["root"] == f"{tmp_path}/ct"


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (["--configfile=missing.yaml", "-n"], "missing.yaml"),
        (["--configfile", "{mine}", "all"], "all"),
        (["--configfile", "{mine}", "results/tiny/tables/table1.csv"], "table1.csv"),
        (["--configfile", "{mine}", "results/tiny/config.yaml", "-n"], "config.yaml"),
        (["--config", "run=x", "table1"], "table1"),
    ],
)
def test_a_target_behind_the_configuration_is_told(tmp_path, words, wrong):
    mine = write_yaml(tmp_path / "mine.yaml", {"run": "tiny"})
    words = [word.format(mine=mine) for word in words]
    snakefile = ("--snakefile", str(REPOSITORY / "Snakefile"))
    outcome = snakemake(tmp_path, *snakefile, *words, configfiles=())
    last = outcome.stdout.rstrip().splitlines()[-1]
    assert outcome.returncode == 1 and "Traceback" not in outcome.stdout
    option = words[0].partition("=")[0]
    assert last.startswith(f"error: {option}: found no configuration ") and wrong in last
    assert f"put the target before {option}: snakemake" in last


@pytest.mark.parametrize("word", ["engine.compile=true", "2nd=1", "=x"])
def test_a_key_that_the_command_line_cannot_give_is_told(tmp_path, word):
    snakefile = ("--snakefile", str(REPOSITORY / "Snakefile"))
    outcome = snakemake(tmp_path, *snakefile, "-n", "--config", word, configfiles=())
    last = outcome.stdout.rstrip().splitlines()[-1]
    assert outcome.returncode == 1 and "Traceback" not in outcome.stdout
    assert last.startswith(f"error: --config: found key '{word.partition('=')[0]}', expected ")


def test_missing_dicom_folder_is_named_unless_it_was_read_already(tmp_path):
    dataset = {"name": "aapm", "root": str(tmp_path / "dicom")}
    index = tmp_path / "index.parquet"
    with pytest.raises(InputError, match=r"data set aapm: no folder .*dicom;.*dataset_root"):
        check_source(dataset, index)
    index.touch()
    check_source(dataset, index)
    check_source(dataset | {"root": str(tmp_path)}, tmp_path / "none")
    check_source({"name": "demo", "root": "made/by/the/workflow"}, tmp_path / "none")
    fetched = {"name": "open", "root": "made/by/the/workflow", "source": None}
    check_source(fetched, tmp_path / "none")
    with pytest.raises(InputError, match="data set open: no folder nowhere;"):
        check_source(fetched | {"source": "nowhere"}, tmp_path / "none")


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        (
            {"metods": ["drl"]},
            "error: configuration: unknown key 'metods' (did you mean 'methods'?)",
        ),
        (
            {"dataset": "aapm", "dataset_root": "nowhere"},
            "error: data set aapm: no folder nowhere;",
        ),
    ],
    ids=["unknown key", "no data"],
)
def test_terminal_ends_with_one_clear_line(tmp_path, overlay, message):
    write_yaml(tmp_path / "overlay.yaml", overlay)
    snakefile = ("--snakefile", str(REPOSITORY / "Snakefile"))
    outcome = snakemake(tmp_path, "-n", *snakefile, configfiles=("overlay.yaml",))
    assert outcome.returncode != 0
    assert "Traceback" not in outcome.stdout
    last = outcome.stdout.rstrip().splitlines()[-1]
    assert message in last
    assert last.startswith("error: ")


def test_trainings_and_predictions_see_the_window_of_their_card(tmp_path):
    write_yaml(tmp_path / "own.yaml", {"methods": ["drl", "ablation_wide_range"]})
    snakefile = ("--snakefile", str(REPOSITORY / "Snakefile"))
    said = snakemake(tmp_path, "-n", "-p", *snakefile, configfiles=("own.yaml",)).stdout
    found = re.findall(r"/(train|denoise)/(\w+)/0.* --window (\S+ \S+) --clip", said)
    windows = {"drl": "-160 240", "ablation_wide_range": "-1024 3071"}
    verbs = ("train", "denoise")
    assert set(found) == {(verb, *pair) for verb in verbs for pair in windows.items()}


def test_dry_run_of_the_paper_on_a_tree_of_ten_patients(tmp_path):
    """Three seeds, both test patients, every stage of every method, and nothing else."""
    patients = yaml.safe_load((REPOSITORY / "config/datasets/aapm.yaml").read_text())["patients"]
    write_lookalike_tree(tmp_path / "dicom", "B", list(patients), slices=1, size=32)
    write_yaml(tmp_path / "root.yaml", {"dataset_root": "dicom"})
    outcome = snakemake(
        tmp_path,
        *("-n", "--snakefile", str(REPOSITORY / "Snakefile")),
        configfiles=(str(REPOSITORY / "config/paper.yaml"), "root.yaml"),
    )
    assert outcome.returncode == 0, outcome.stdout[-2000:]
    run = resolve(**PAPER)
    pairs = re.findall(r"^(\w+) +(\d+)$", outcome.stdout, flags=re.MULTILINE)
    jobs = {name: int(count) for name, count in pairs}
    assert jobs["index_dataset"] == 1
    assert jobs["write_volume"] == 10
    assert jobs["select_test_slices"] == 2
    assert jobs["train"] == 3 * len(run["models"])
    assert jobs["score"] == 2 * sum(len(seeds) for seeds in run["method_seeds"].values())
    assert jobs["table1"] == 1
    assert not [name for name in jobs if "demo" in name]
    assert not (tmp_path / "results").exists()
    assert not Path(tmp_path / "data").exists()
