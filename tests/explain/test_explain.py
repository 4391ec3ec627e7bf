"""The way back from a number: every file behind it, and what no longer holds."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from made_up_run import ONE_SCAN, PROTOCOL, write_scores

from ldct.cli import main
from ldct.common import provenance
from ldct.common.errors import InputError
from ldct.common.files import write_json
from ldct.explain.number import explain_number, rebuild_command
from ldct.runs.lineage import trace


def record(output: Path, *inputs: Path, **settings) -> None:
    with provenance.recorded([output], inputs, settings):
        pass


@pytest.fixture
def run(tmp_path, monkeypatch) -> Path:
    """A made-up run whose working folder is the current one: DICOM, volume, prediction, scores."""
    monkeypatch.chdir(tmp_path)
    dicom = Path("data/x/dicom")
    volume = Path("data/x/volumes/L1")
    run = Path("results/made-up")
    prediction = run / "predictions/better/0/L1.npy"
    for folder in (dicom / "L1", volume, prediction.parent):
        folder.mkdir(parents=True)
    index = Path("data/x/index.parquet")
    index.write_bytes(b"index")
    archive = Path("archive.zip")
    archive.write_bytes(b"scan")
    record(dicom / "L1", archive)
    record(index, dicom)
    for name in ("full.npy", "quarter.npy"):
        np.save(volume / name, np.zeros((1, 2, 2), np.int16))
    (volume / "volume.json").write_text("{}")
    record(volume / "volume.json", index)
    np.save(prediction, np.ones((1, 2, 2), np.float32))
    record(prediction, volume / "quarter.npy", volume / "volume.json")
    write_scores(run)
    record(run / "scores/better/0/L1.parquet", volume / "full.npy", prediction)
    call = {"configfiles": ["my run.yaml"], "config": {"seeds": 3}}
    settings = ONE_SCAN | {
        "chains": {"better": ["gan"]},
        "protocol_files": [str(PROTOCOL)],
        "call": call,
    }
    write_json(run / "models/gan/0/training.json", {"critic_auc": 0.504})
    (run / "config.yaml").write_text(yaml.safe_dump(settings))
    return run


def explained() -> dict:
    return explain_number("made-up", "better", "psnr")


def states(found: dict) -> dict[str, str]:
    return {Path(file["path"]).name: file["state"] for file in found["files"]}


def test_every_file_is_found_and_as_recorded(run):
    found = explained()
    assert states(found) == {
        "L1.parquet": "as recorded",
        "config.yaml": "not recorded",
        "full.npy": "as recorded",
        "L1.npy": "as recorded",
        "quarter.npy": "as recorded",
        "volume.json": "as recorded",
        "index.parquet": "as recorded",
        "dicom": "folder",
        "L1": "folder",
        "archive.zip": "as recorded",
    }
    assert found["problems"] == []


def test_a_changed_prediction_is_named_with_what_was_made_from_it(run, capsys):
    np.save(run / "predictions/better/0/L1.npy", np.zeros((1, 2, 2), np.float32))
    Path("archive.zip").unlink()
    problem, missing = explained()["problems"]
    assert missing == "archive.zip: missing"
    assert problem == (
        "results/made-up/predictions/better/0/L1.npy: changed since "
        "results/made-up/scores/better/0/L1.parquet was made from it and since it was made"
    )
    assert main(["explain", "made-up", "better", "psnr"]) == 0
    text = capsys.readouterr().out
    assert "CHANGED" in text and problem in text


def test_large_files_are_compared_by_size(run, monkeypatch):
    volume = Path("data/x/volumes/L1/full.npy")
    monkeypatch.setattr(provenance, "HASH_LIMIT_BYTES", 3)
    record(run / "scores/better/0/L1.parquet", volume)
    assert states(explained())["full.npy"] == "by size"
    volume.write_bytes(volume.read_bytes() + b"more")
    assert states(explained())["full.npy"] == "changed"


def test_records_that_name_each_other_are_followed_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, second = Path("a"), Path("b")
    first.write_text("a")
    second.write_text("b")
    record(first, second)
    record(second, first)
    links = trace([first], tmp_path)
    assert [link.path for link in links] == [str(first), str(second)]
    assert {link.state for link in links} == {"as recorded"}


def test_a_run_is_found_by_its_folder_from_elsewhere(run, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    found = explain_number(str(tmp_path / run), "better", "psnr")
    assert found["problems"] == []
    assert states(found)["L1.npy"] == "as recorded"


def test_text_names_value_formula_protocol_and_command(run, capsys):
    assert main(["explain", "made-up", "better", "psnr"]) == 0
    text = capsys.readouterr().out
    for part in (
        "PSNR of Better (scores.psnr; run made-up, protocol abdomen)",
        "6 slices of 1 patient: no interval",
        "data: made-up images (simulated dose); no training; seeds: 0",
        "adversary not at work: AUC 0.50 of real against generated tiles",
        "20 log10",
        "window [-160, 240] HU",
        "archive.zip",
        "none changed, none missing",
        "snakemake --cores all results/made-up/scores/better/0/L1.parquet "
        "--configfile 'my run.yaml' --config seeds=3",
    ):
        assert part in text
    assert rebuild_command({}, ["a"]) == "snakemake --cores all a"


def test_json_holds_everything(run, capsys):
    assert main(["explain", "made-up", "better", "psnr", "--json"]) == 0
    found = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    scores = found["files"][0]
    assert len(scores["found"]["sha256"]) == 64
    assert {"command", "packages", "host", "code"} <= set(scores["record"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["made-upp", "better", "psnr"], "unknown run 'made-upp' (did you mean 'made-up'?)"),
        (["made-up", "beter", "psnr"], "unknown method 'beter' (did you mean 'better'?)"),
        (["made-up", "better", "psnrr"], "unknown metric 'psnrr' (did you mean 'psnr'?)"),
        (["made-up", "better", "z_mm"], "unknown metric 'z_mm'"),
        (["made-up", "better", "psnr", "--protocol", "lung"], "unknown protocol 'lung'"),
    ],
)
def test_unknown_names_end_in_one_line_with_the_choices(run, capsys, arguments, message):
    assert main(["explain", *arguments]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert "known: " in error
    assert error.count("\n") == 1


def test_foreign_configuration_ends_in_one_line(tmp_path):
    (tmp_path / "config.yaml").write_text("run: other\n")
    with pytest.raises(InputError, match=r"config\.yaml: found no key 'cards'"):
        explain_number(str(tmp_path), "drl", "psnr")
