"""Folds: every patient is a test patient once, and never of a training that has seen it."""

import re
from pathlib import Path

import pytest
import yaml
from workflow_runs import REPOSITORY, snakemake, write_yaml

from ldct.common.errors import InputError
from ldct.configuration.folds import patients_of, resolve_folds
from ldct.configuration.resolve import resolve_run

DEFAULT = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text(encoding="utf-8"))
DATASET = {
    "name": "five",
    "patients": {f"P{number}": {"split": "train"} for number in range(5)},
}


@pytest.mark.parametrize("count", [2, 3, 5])
def test_every_patient_is_tested_once_and_never_trained_on_in_its_fold(count):
    folds = resolve_folds({"cross_validation": {"folds": count}}, DATASET)
    tested = [name for fold in folds.values() for name in fold["test"]]
    assert len(folds) == count and sorted(tested) == sorted(DATASET["patients"])
    for fold in folds.values():
        assert sorted(fold["train"] + fold["test"]) == sorted(DATASET["patients"])
    assert patients_of(folds, DATASET, "test") == list(DATASET["patients"])


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"cross_validation": {"folds": 6}}, "cross_validation.folds': found 6, but"),
        ({"cross_validation": {"folds": 2}, "detectability": {"crop": 1}}, "key 'detectability'"),
        ({"cross_validation": {"folds": 2}, "validation": {"patient": "P1"}}, "validation.patient"),
    ],
)
def test_what_cannot_be_is_one_line(config, expected):
    with pytest.raises(InputError, match=re.escape(expected)):
        resolve_folds(config, DATASET)


def test_no_job_of_a_training_reads_the_patients_it_is_tested_on(tmp_path):
    """Trainings, their levels before, tuning and predictions, from what the rules would run."""
    own = {"run": "f", "methods": ["bm3d", "drl_drl"], "cross_validation": {"folds": 4}}
    write_yaml(tmp_path / "own.yaml", own)
    snakefile = ("--snakefile", str(REPOSITORY / "Snakefile"))
    said = snakemake(tmp_path, "-n", "-p", *snakefile, configfiles=("own.yaml",)).stdout
    calls = [line for line in said.splitlines() if "python -m ldct --log" in line]
    learnt = {}
    for call in calls:
        found = re.search(r"(?:models|tiles)?/(fold\d-)\S*", call)
        if found and re.search(r" (train|tune-classical|tiles) ", call):
            seen = set(re.findall(r"volumes/(L90\d)", call))
            assert learnt.setdefault(found[1], seen) == seen, call
            assert set(re.findall(r"fold\d-", call)) == {found[1]}, call
    everyone = {"L901", "L902", "L903", "L904"}
    assert sorted(map(sorted, learnt.values())) == sorted(
        sorted(everyone - {name}) for name in everyone
    )
    predictions = [call for call in calls if re.search(r" denoise-(network|classical) ", call)]
    assert len(predictions) == 8
    for call in predictions:
        patient = Path(re.search(r"--test-folder (\S+)", call)[1]).name
        (fold,) = set(re.findall(r"fold\d-", call))
        assert patient not in learnt[fold], call


@pytest.mark.parametrize(
    ("splits", "left"),
    [
        (["train"], DEFAULT["methods"]),
        (["test"], ["low_dose"]),
        (["test", "test"], ["low_dose"]),
        (["train", "test"], DEFAULT["methods"]),
    ],
)
def test_rows_that_train_or_tune_need_a_training_patient(tmp_path, splits, left):
    description = yaml.safe_load((REPOSITORY / "config/datasets/demo.yaml").read_text())
    patients = {f"P{number}": {"split": split} for number, split in enumerate(splits)}
    path = write_yaml(tmp_path / "few.yaml", description | {"patients": patients})
    run = resolve(dataset=str(path), controls=["control_shuffled", "control_blur"])
    assert list(run["cards"]) == left
    assert run["controls"] == ["control_shuffled", "control_blur"][: 2 if "train" in splits else 1]
    for method in set(DEFAULT["methods"]) - set(left):
        assert (
            f"'patients': found none of the split train, on which {method} is "
            in (run["broken"][method])
        )


def resolve(**changes):
    return resolve_run(DEFAULT | changes, REPOSITORY)


def test_run_of_nothing_but_trained_rows_needs_a_training_patient(tmp_path):
    description = yaml.safe_load((REPOSITORY / "config/datasets/demo.yaml").read_text())
    patients = {"P1": {"split": "test"}}
    path = write_yaml(tmp_path / "few.yaml", description | {"patients": patients})
    with pytest.raises(InputError, match="found none of the split train, on which drl is trained"):
        resolve(dataset=str(path), methods=["drl"])
