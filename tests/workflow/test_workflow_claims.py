"""The claim ledger and the way back from a number, on a finished run."""

import numpy as np
import pytest

from ldct.cli import main
from ldct.common.files import read_json, read_yaml
from ldct.explain.number import explain_number
from ldct.statistics.adversary import adversary_state

pytestmark = pytest.mark.end_to_end


def test_every_claim_has_a_verdict_and_images_of_one_scan_decide_none(finished_run):
    found = read_json(finished_run / "results/tiny/claims.json")
    groups = read_yaml(finished_run / "config/claims.yaml")["claims"].values()
    claims = [claim for group in groups for claim in group]
    assert [each["id"] for each in found["claims"]] == [each["id"] for each in claims]
    assert sum(found["counts"].values()) == len(claims)
    by_id = {each["id"]: each for each in found["claims"]}
    assert by_id["outperforms_fc_aide"]["reason"] == "fc_aide is no method of this run"
    compared = by_id["bm3d_lowers_ssim"]
    assert (compared["verdict"], compared["scope"]) == ("undecided", "one scan")
    assert compared["reason"] == "one scan: a direction, no test over patients"
    states = {each["id"]: each["state"] for each in found["checks"]}
    assert states["low_dose_is_noisy"] == "not measured"  # no square of soft tissue
    assert states["bm3d_raises_psnr"] in ("passed", "failed")
    auc = read_json(finished_run / "results/tiny/models/lsgan/0/training.json")["critic_auc"]
    idle = adversary_state(auc) == "not at work"
    expected = "not testable" if idle else "not judged at this budget"
    assert by_id["cascade_beats_drl_psnr"]["verdict"] == expected


def test_ledger_rests_on_all_tables_of_the_run(finished_run):
    record = read_json(finished_run / "results/tiny/claims.json.provenance.json")
    folders = {path.split("/")[2] for path in record["inputs"] if path.startswith("results/")}
    assert {"scores", "image_quality", "texture", "tables"} <= folders


def test_ledger_of_the_same_run_is_as_expected_and_another_is_not(copy_of_run, monkeypatch, capsys):
    monkeypatch.chdir(copy_of_run)
    stored = copy_of_run / "results/tiny/claims.json"
    arguments = ["claims", "tiny", "--output", "again", "--expect", str(stored)]
    assert main(arguments) == 0
    text = stored.read_text().replace('"verdict": "not measured"', '"verdict": "supported"')
    stored.write_text(text)
    assert main(arguments) == 1
    assert "outperforms_fc_aide: supported -> not measured" in capsys.readouterr().err


def test_the_command_that_rebuilds_names_the_run_s_configuration(finished_run, monkeypatch):
    monkeypatch.chdir(finished_run)
    assert explain_number("tiny", "drl", "psnr")["rebuild"] == (
        "snakemake --cores all results/tiny/scores/drl/0/L903.parquet --configfile small.yaml"
    )


def test_a_tampered_prediction_is_found_from_the_score(copy_of_run, monkeypatch, capsys):
    monkeypatch.chdir(copy_of_run)
    path = "results/tiny/predictions/proposed/0/L903.npy"
    image = np.load(path)
    image[0, 0, 0] += 1
    np.save(path, image)
    assert main(["explain", "tiny", "proposed", "psnr"]) == 0
    printed = capsys.readouterr().out
    assert "CHANGED" in printed
    score = "results/tiny/scores/proposed/0/L903.parquet"
    assert f"{path}: changed since {score} was made from it" in printed
    assert main(["explain", "tiny", "drl", "psnr"]) == 0
    assert "changed" not in capsys.readouterr().out.replace("none changed", "")
