"""The claim ledger and the way back from a number, on a finished run."""

import os
import subprocess
import sys

import numpy as np
import pytest
from workflow_runs import job_environment

from ldct.common.files import read_json, read_yaml
from ldct.explain.number import explain_number
from ldct.statistics.adversary import adversary_state

pytestmark = pytest.mark.end_to_end


def ldct(folder, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = job_environment() | {"PYTHONPATH": os.fspath(folder)}
    return subprocess.run(
        [sys.executable, "-m", "ldct", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_every_claim_has_a_verdict_and_images_of_one_scan_decide_none(finished_run):
    found = read_json(finished_run / "results/tiny/claims.json")
    groups = read_yaml(finished_run / "config/claims.yaml")["claims"].values()
    claims = [claim for group in groups for claim in group]
    assert [each["id"] for each in found["claims"]] == [each["id"] for each in claims]
    assert sum(found["counts"].values()) == len(claims)
    by_id = {each["id"]: each for each in found["claims"]}
    assert by_id["outperforms_fc_aide"]["reason"] == "fc_aide is no method of this run"
    compared = by_id["bm3d_raises_psnr"]
    assert (compared["verdict"], compared["scope"]) == ("undecided", "one scan")
    assert compared["reason"].startswith("leans to ")
    auc = read_json(finished_run / "results/tiny/models/lsgan/0/training.json")["critic_auc"]
    expected = "not testable" if adversary_state(auc) == "not at work" else "undecided"
    assert by_id["cascade_beats_drl_psnr"]["verdict"] == expected


def test_ledger_rests_on_all_tables_of_the_run(finished_run):
    record = read_json(finished_run / "results/tiny/claims.json.provenance.json")
    folders = {path.split("/")[2] for path in record["inputs"] if path.startswith("results/")}
    assert {"scores", "image_quality", "texture", "tables"} <= folders


def test_ledger_of_the_same_run_is_as_expected_and_another_is_not(copy_of_run):
    folder = copy_of_run()
    arguments = ["claims", "--run", "results/tiny", "--output", "again"]
    stored = folder / "results/tiny/claims.json"
    assert ldct(folder, *arguments, "--expect", str(stored)).returncode == 0
    text = stored.read_text().replace('"verdict": "not measured"', '"verdict": "supported"')
    stored.write_text(text)
    outcome = ldct(folder, *arguments, "--expect", str(stored))
    assert outcome.returncode == 1
    assert "outperforms_fc_aide: supported -> not measured" in outcome.stderr


def test_the_command_that_rebuilds_names_the_run_s_configuration(finished_run, monkeypatch):
    monkeypatch.chdir(finished_run)
    assert explain_number("tiny", "drl", "psnr")["rebuild"] == (
        "snakemake --cores all results/tiny/scores/drl/0/L903.parquet --configfile small.yaml"
    )


def test_a_tampered_prediction_is_found_from_the_score(copy_of_run):
    folder = copy_of_run()
    path = folder / "results/tiny/predictions/proposed/0/L903.npy"
    image = np.load(path)
    image[0, 0, 0] += 1
    np.save(path, image)
    outcome = ldct(folder, "explain", "tiny", "proposed", "psnr")
    assert outcome.returncode == 0, outcome.stderr
    assert "CHANGED" in outcome.stdout
    assert (
        "results/tiny/predictions/proposed/0/L903.npy: changed since "
        "results/tiny/scores/proposed/0/L903.parquet was made from it"
    ) in outcome.stdout
    assert "changed" not in ldct(folder, "explain", "tiny", "drl", "psnr").stdout.replace(
        "none changed", ""
    )
