"""Folds: every patient is a test patient once, and never of a training that has seen it."""

import re
from pathlib import Path

import pytest
from workflow_runs import REPOSITORY, snakemake, write_yaml

from ldct.common.errors import InputError
from ldct.configuration.folds import patients_of, resolve_folds

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
    own = {"run": "f", "methods": ["bm3d", "drl_drl"], "cross_validation": {"folds": 3}}
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
    assert sorted(map(sorted, learnt.values())) == [
        ["L901", "L902"],
        ["L901", "L903"],
        ["L902", "L903"],
    ]
    predictions = [call for call in calls if re.search(r" denoise-(network|classical) ", call)]
    assert len(predictions) == 6
    for call in predictions:
        patient = Path(re.search(r"--test-folder (\S+)", call)[1]).name
        (fold,) = set(re.findall(r"fold\d-", call))
        assert patient not in learnt[fold], call
