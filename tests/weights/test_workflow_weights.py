"""A run that takes trained models: the same predictions, and nothing asked for that trains."""

import shutil

import pandas as pd
import pytest
import yaml
from workflow_runs import LEARNED, LIGHT, METHODS, MODELS, PATIENT, edit_yaml, snakemake

from ldct.common.files import read_json
from ldct.weights.export import export_weights

pytestmark = pytest.mark.end_to_end


def test_run_with_weights_predicts_as_the_run_that_trained_them(copy_of_run):
    export_weights(copy_of_run / "results/tiny", None, copy_of_run / "set")
    for path in list((copy_of_run / "dicom").rglob("*")):
        if path.is_dir() and path.name.startswith("L") and path.name != PATIENT:
            shutil.rmtree(path, ignore_errors=True)  # patients to train on, who are not needed
    shutil.rmtree(copy_of_run / "data")
    edit_yaml(copy_of_run / "small.yaml", run="taken", weights="set", sealed=True, **LIGHT)
    outcome = snakemake(copy_of_run, "--cores", "2")
    assert outcome.returncode == 0, outcome.stdout[-3000:]
    run, trained = copy_of_run / "results/taken", copy_of_run / "results/tiny"
    assert (
        not list((copy_of_run / "logs/taken").glob("train")) and "list_tiles" not in outcome.stdout
    )
    assert [path.name for path in copy_of_run.glob("data/*/volumes/*")] == [PATIENT]
    for method in METHODS:
        (file,) = (run / "predictions" / method).glob(f"*/{PATIENT}.npy")
        same = trained / file.relative_to(run)
        assert file.read_bytes() == same.read_bytes(), method
    table = (run / "tables/table1.md").read_text(encoding="utf-8")
    assert "weights of set (2 steps per stage; trained on 2 patients" in table
    assert "plan sealed" in table and r"MODEL\_CARD.md of the set" in table
    tiles = pd.read_csv(trained / "tables/table1.csv")["kept_tiles"][0]
    assert pd.read_csv(run / "tables/table1.csv")["kept_tiles"][0] == tiles
    assert "not trained here" in (run / "tables/cost.md").read_text(encoding="utf-8")
    stages = read_json(run / "tables/cost.json")["stages"]
    assert set(stages) == set(MODELS)
    assert {stage["training_seconds"] for stage in stages.values()} == {None}
    assert (run / "figures/loss_curves.png").is_file() and (run / "claims.json").is_file()
    record = read_json(run / f"models/{LEARNED[0]}/0/weights.safetensors.provenance.json")
    assert len(record["settings"]["taken_from"]["patients"]) == 2
    settings = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    assert settings["weights"]["sha256"] == read_json(run / "plan.json")["plan"]["weights"]
