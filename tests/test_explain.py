"""The way back from a number: every file behind it, and what no longer holds."""

import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from test_claims import PROTOCOL, SETTINGS, write_scores

from ldct import provenance
from ldct.cli import main
from ldct.errors import InputError
from ldct.explain import explain, rebuild_command
from ldct.lineage import trace

PLACES = 40


def record(output: Path, *inputs: Path, **settings) -> None:
    provenance.write_record(output, inputs=inputs, settings=settings, started=time.perf_counter())


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
    scores = run / "scores/better/0/L1.parquet"
    record(scores, volume / "full.npy", prediction)
    card = Path("methods/better/method.yaml")
    card.parent.mkdir(parents=True)
    card.write_text(yaml.safe_dump(SETTINGS["cards"]["better"]))
    settings = SETTINGS | {
        "folders": {"better": "methods/better"},
        "models": {},
        "chains": {},
        "protocol_files": [str(PROTOCOL)],
        "call": {"configfiles": ["my run.yaml"], "config": {"seeds": 3}},
    }
    (run / "config.yaml").write_text(yaml.safe_dump(settings))
    return run


def states(found: dict) -> dict[str, str]:
    return {Path(file["path"]).name: file["state"] for file in found["files"]}


def test_every_file_is_found_and_as_recorded(run):
    found = explain("made-up", "better", "psnr")
    assert states(found) == {
        "L1.parquet": "as recorded",
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
    assert found["card"]["state"] == "as configured"


def test_value_is_the_mean_with_its_interval_and_scope(run):
    value = explain("made-up", "better", "psnr")["value"]
    rows = pd.read_parquet(run / "scores/better/0/L1.parquet")
    assert value["estimate"] == pytest.approx(rows["psnr"].mean())
    assert value["lower"] < value["estimate"] < value["upper"]
    assert value["unit"] == "slices"
    assert value["n_slices"] == 24


def test_a_changed_prediction_is_named_with_what_was_made_from_it(run, capsys):
    np.save(run / "predictions/better/0/L1.npy", np.zeros((1, 2, 2), np.float32))
    found = explain("made-up", "better", "psnr")
    assert found["problems"] == [
        "results/made-up/predictions/better/0/L1.npy: changed since "
        "results/made-up/scores/better/0/L1.parquet was made from it and since it was made"
    ]
    assert main(["explain", "made-up", "better", "psnr"]) == 0
    text = capsys.readouterr().out
    assert "CHANGED" in text
    assert "changed since results/made-up/scores/better/0/L1.parquet" in text


def test_changed_scores_missing_files_and_changed_cards_are_seen(run):
    frame = pd.read_parquet(run / "scores/better/0/L1.parquet")
    frame.assign(psnr=frame["psnr"] + 1).to_parquet(run / "scores/better/0/L1.parquet")
    Path("archive.zip").unlink()
    Path("methods/better/method.yaml").write_text("title: Other\n")
    found = explain("made-up", "better", "psnr")
    assert states(found)["L1.parquet"] == "changed"
    assert states(found)["archive.zip"] == "missing"
    assert found["card"]["state"] == "changed since the run"
    assert len(found["problems"]) == 2


def test_large_files_are_compared_by_size(run, monkeypatch):
    volume = Path("data/x/volumes/L1/full.npy")
    monkeypatch.setattr(provenance, "HASH_LIMIT_BYTES", 3)
    record(run / "scores/better/0/L1.parquet", volume)
    assert states(explain("made-up", "better", "psnr"))["full.npy"] == "by size"
    volume.write_bytes(volume.read_bytes() + b"more")
    assert states(explain("made-up", "better", "psnr"))["full.npy"] == "changed"


def test_a_protocol_that_was_changed_since_is_said(run):
    path = run / "scores/better/0/L1.parquet"
    protocol = {"name": "abdomen", "window": [-160.0, 240.0]}
    record(path, protocols=[protocol])
    assert explain("made-up", "better", "psnr")["protocol"]["state"] == "as recorded"
    record(path, protocols=[protocol | {"window": [-100.0, 240.0]}])
    assert explain("made-up", "better", "psnr")["protocol"]["state"].startswith("changed")


def test_records_that_name_each_other_are_followed_once(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_text("a")
    second.write_text("b")
    record(first, second)
    record(second, first)
    links = trace([first], tmp_path)
    assert [link.path for link in links] == [str(first), str(second)]
    assert {link.state for link in links} == {"as recorded"}


def test_rebuild_command_repeats_the_configuration(run):
    assert explain("made-up", "better", "psnr")["rebuild"] == (
        "snakemake --cores all results/made-up/scores/better/0/L1.parquet "
        "--configfile 'my run.yaml' --config seeds=3"
    )
    assert rebuild_command({}, ["a"]) == "snakemake --cores all a"


def test_a_run_is_found_by_its_folder_from_elsewhere(run, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    found = explain(str(tmp_path / run), "better", "psnr")
    assert found["problems"] == []
    assert states(found)["L1.npy"] == "as recorded"


def test_text_names_value_formula_protocol_and_command(run, capsys):
    assert main(["explain", "made-up", "better", "psnr"]) == 0
    text = capsys.readouterr().out
    for part in (
        "PSNR of Better (scores.psnr; run made-up, protocol abdomen)",
        "95 % interval",
        "simulated dose",
        "20 log10",
        "window [-160, 240] HU",
        "archive.zip",
        "none changed, none missing",
        "snakemake --cores all results/made-up/scores/better/0/L1.parquet",
    ):
        assert part in text
    assert max(map(len, text.splitlines()[:-1])) <= 110


def test_json_holds_everything(run, capsys):
    assert main(["explain", "made-up", "better", "psnr", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    scores = found["files"][0]
    assert len(scores["now"]["sha256"]) == 64
    assert {"command", "packages", "host", "code"} <= set(scores["record"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["made-upp", "better", "psnr"], "unknown run 'made-upp' (did you mean 'made-up'?)"),
        (["made-up", "beter", "psnr"], "unknown method 'beter' (did you mean 'better'?)"),
        (["made-up", "better", "psnrr"], "unknown metric 'psnrr' (did you mean 'psnr'?)"),
        (["made-up", "better", "psnr", "--seed", "9"], "unknown seed '9'"),
        (["made-up", "better", "psnr", "--protocol", "lung"], "unknown protocol 'lung'"),
    ],
)
def test_unknown_names_end_in_one_line_with_the_choices(run, capsys, arguments, message):
    assert main(["explain", *arguments]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert "known: " in error
    assert error.count("\n") == 1


def test_a_column_of_two_tables_asks_for_the_table(run, capsys):
    for table in ("texture", "lesion_bench"):
        target = run / f"{table}/better/0/L1.parquet"
        target.parent.mkdir(parents=True)
        frame = pd.read_parquet(run / "scores/better/0/L1.parquet").drop(columns="protocol")
        frame.rename(columns={"psnr": "noise_std_hu"}).to_parquet(target)
    assert main(["explain", "made-up", "better", "noise_std_hu"]) == 1
    assert "texture.noise_std_hu or lesion_bench.noise_std_hu" in capsys.readouterr().err
    assert main(["explain", "made-up", "better", "texture.noise_std_hu"]) == 0


def test_values_that_are_all_undefined_are_said_to_be(run, capsys):
    assert main(["explain", "made-up", "better", "ssim"]) == 0
    assert "no value: undefined in every row" in capsys.readouterr().out


def write_discs(run, seed="0", **changes) -> None:
    """d' of two discs, of "better" and of LDCT, with those without each place."""
    for method, folder, shift in (("better", seed, 0.0), ("ldct", "fixed", -0.25)):
        d_prime = np.array([1.5, 3.0 + int(seed)]) + shift
        frame = pd.DataFrame(
            {
                "method": method,
                "seed": int(seed) if method == "better" else 0,
                "patient": "L1",
                "contrast_hu": [10.0, 20.0],
                "diameter_mm": 8.0,
                "d_prime": d_prime,
                "lower": d_prime - 0.5,
                "upper": d_prime + 0.5,
                "n_signals": PLACES,
                "change": -shift,
                "change_lower": 0.0,
                "change_upper": 0.5,
                "leave_one_out": [value + np.linspace(-0.04, 0.04, PLACES) for value in d_prime],
                **(changes if method == "better" else {}),
            }
        )
        path = run / f"detectability/{method}/{folder}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.to_parquet(path)


def explained(capsys, *arguments: str) -> str:
    assert main(["explain", "made-up", "better", *arguments]) == 0
    return capsys.readouterr().out


def test_detectability_lists_its_conditions_with_data_and_dose(run, capsys):
    write_discs(run)
    text = explained(capsys, "d_prime")
    for part in (
        "3.00   [2.70, 3.30]",
        "95 % jackknife intervals over 40 places of one patient",
        "data: made-up images (simulated dose); low dose of the discs simulated; no training",
        "seeds: 0",
    ):
        assert part in text
    write_discs(run, d_prime=np.nan, lower=np.nan, upper=np.nan)
    assert "not measured" in explained(capsys, "d_prime")
    found = json.loads(explained(capsys, "d_prime", "--json"), parse_constant=pytest.fail)
    assert found["value"]["conditions"][0]["value"] is None


def test_change_of_detectability_is_at_the_same_places(run, capsys):
    write_discs(run)
    text = explained(capsys, "change")
    # Places shift both alike.
    assert "0.25   [0.25, 0.25]" in text
    assert "change of d' of Better (detectability.change" in text
    assert "results/made-up/detectability/ldct/fixed.parquet" in text


@pytest.mark.parametrize(
    "metric", ["lower", "n_signals", "detectability.change_upper", "leave_one_out"]
)
def test_bounds_and_counts_are_no_metrics(run, capsys, metric):
    write_discs(run)
    assert main(["explain", "made-up", "better", metric]) == 1
    error = capsys.readouterr().err
    assert "known: psnr, ssim, d_prime, change\n" in error


def test_dose_of_discs_is_simulated_on_real_data_too(run, capsys):
    write_discs(run)
    settings = yaml.safe_load((run / "config.yaml").read_text())
    settings["dataset"]["simulated"] = False
    (run / "config.yaml").write_text(yaml.safe_dump(settings))
    text = explained(capsys, "d_prime")
    assert "data: made-up images; low dose of the discs simulated" in text
    assert "simulated" not in explained(capsys, "psnr").split("How it is computed")[0]


def test_several_seeds_are_told_apart(run, capsys):
    for seed in ("0", "1"):
        write_discs(run, seed)
    settings = yaml.safe_load((run / "config.yaml").read_text())
    settings["method_seeds"]["better"] = ["0", "1"]
    (run / "config.yaml").write_text(yaml.safe_dump(settings))
    text = explained(capsys, "d_prime")
    assert "diameter mm  seed" in text
    assert "8     1     4.00" in text
    assert "8  mean     3.50" in text
    assert "seeds: 0, 1" in text
    assert "diameter mm  seed" not in explained(capsys, "d_prime", "--seed", "1")


def test_values_that_are_undefined_still_name_their_data(run, capsys):
    text = explained(capsys, "ssim")
    assert "data: made-up images (simulated dose); no training" in text


def test_a_text_of_the_cost_is_no_metric(run, capsys):
    cost = {"better": {"parameters": 12, "kind": "x", "stages": ["better"]}}
    (run / "tables").mkdir()
    (run / "tables/cost.json").write_text(json.dumps({"methods": cost}))
    assert "parameters of Better (cost.parameters; run made-up)\n  12\n" in explained(
        capsys, "parameters"
    )
    assert main(["explain", "made-up", "better", "kind"]) == 1
    assert "unknown metric 'kind'" in capsys.readouterr().err


def test_foreign_configuration_ends_in_one_line(tmp_path):
    (tmp_path / "config.yaml").write_text("run: other\n")
    with pytest.raises(InputError, match=r"config\.yaml: found no key 'cards'"):
        explain(str(tmp_path), "drl", "psnr")
