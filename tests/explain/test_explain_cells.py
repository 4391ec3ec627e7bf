"""Explained values are those of the tables of every kind, with formula and protocol."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from made_up_run import PROTOCOL, SETTINGS
from made_up_tables import IMAGES, MAIN, OPTIONS, POOLED, SEEDS, SETTING, write_tables

from ldct.cli import main
from ldct.common.provenance import recorded
from ldct.detectability.table import detectability_summary
from ldct.explain.number import explain_number
from ldct.lesions.table import lesion_summary
from ldct.metrics import scores
from ldct.metrics.protocol import load_protocol
from ldct.metrics.table import summarise_metrics
from ldct.statistics.uncertainty import mean_interval
from ldct.table1.statistics import summarise
from ldct.texture import measure as texture
from ldct.texture.columns import TEXTURE

RUN = Path("results/made-up")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, dict[str, pd.DataFrame]]:
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return folder, write_tables()


@pytest.fixture
def tables(made, tmp_path, monkeypatch) -> dict[str, pd.DataFrame]:
    """All rows of each table of a made-up run below the current folder, a copy to be changed."""
    monkeypatch.chdir(shutil.copytree(made[0], tmp_path, dirs_exist_ok=True))
    return made[1]


def of(table: pd.DataFrame, method: str) -> pd.DataFrame:
    return table[table["method"] == method]


def shown(*arguments: str) -> tuple[float, float, float]:
    value = explain_number("made-up", *arguments)["value"]
    return value["estimate"], value["lower"], value["upper"]


def text_of(capsys, *arguments: str) -> str:
    assert main(["explain", "made-up", *arguments]) == 0
    return " ".join(capsys.readouterr().out.split())


def error_of(capsys, *arguments: str) -> str:
    assert main(["explain", "made-up", *arguments]) == 1
    return capsys.readouterr().err


def test_scores_are_those_of_table_1(tables):
    for protocol in (MAIN, load_protocol(POOLED)):
        summary = summarise(tables["scores"], protocol)
        for method in SEEDS:
            for metric in scores.METRICS:
                found = shown(method, metric, protocol.name)
                assert found[0] == pytest.approx(summary.loc[method, metric], rel=1e-12)
                assert found[1] < found[0] < found[2]


def test_metrics_are_those_of_their_table(tables):
    main_scores = tables["scores"][tables["scores"]["protocol"] == MAIN.name]
    summary = summarise_metrics(main_scores, tables["image_quality"], OPTIONS)
    for row in summary.itertuples():
        value = explain_number("made-up", row.method, row.metric)["value"]
        assert (value["estimate"], value["lower"]) == (row.estimate, row.lower)


@pytest.mark.parametrize("method", ["drl", "ndct"])
def test_texture_and_lesions_are_those_of_their_tables(tables, method):
    for metric in texture.MEASURES:
        limits = TEXTURE[metric].limits
        expected = mean_interval(of(tables["texture"], method), metric, **OPTIONS, limits=limits)
        bounds = (expected.estimate, expected.lower, expected.upper)
        assert shown(method, f"texture.{metric}") == bounds
    summary = lesion_summary(tables["lesion_bench"], {method: method}, OPTIONS["confidence"])
    for row in summary.itertuples():
        bounds = (row.mean, row.lower, row.upper)
        assert shown(method, f"lesion_bench.{row.measure}") == bounds


@pytest.mark.parametrize(("column", "lower"), [("d_prime", "lower"), ("change", "change_lower")])
@pytest.mark.parametrize("method", ["drl", "ldct"])
def test_discs_are_those_of_their_table(tables, capsys, method, column, lower):
    cells = detectability_summary(
        tables["detectability"], {method: method}, OPTIONS["confidence"]
    ).set_index("diameter_mm")
    rows = explain_number("made-up", method, column)["value"]["conditions"]
    assert len(rows) == len(cells)
    for row in rows:
        cell = cells.loc[row["diameter_mm"]]
        assert (row["value"], row["lower"]) == (cell[column], cell[lower])
    assert "-10 HU, 8 mm: " in text_of(capsys, method, column)


def test_costs_are_those_of_the_file_and_lead_back_to_the_records_of_their_jobs(tables, capsys):
    prediction = RUN / "predictions/bm3d/fixed/L1.npy"
    prediction.parent.mkdir(parents=True)
    with recorded([prediction], [], {}):
        np.save(prediction, np.zeros(2))
    text = text_of(capsys, "bm3d", "inference_seconds_per_slice")
    title = "time for a slice of BM3D (cost.inference_seconds_per_slice; run made-up)"
    assert f"{title} 8.00000 s" in text
    assert f"{prediction} sha256" in text
    assert "snakemake --cores all results/made-up/tables/cost.json" in text
    assert "no value: undefined" in text_of(capsys, "bm3d", "parameters")
    assert "unknown metric 'kind'" in error_of(capsys, "bm3d", "kind")


@pytest.mark.parametrize(
    ("metric", "parts"),
    [
        ("psnr", ["20 log10", "protocol abdomen: window [-160, 240] HU"]),
        ("vif", ["visual information fidelity", "the protocol's file: as recorded"]),
        ("lattice_ratio", ["lattice ratio", "no evaluation protocol"]),
        ("cnr", ["|mean of lesion", "protocol abdomen: window", "file: as recorded"]),
        ("d_prime", ["Hotelling observer's mean outputs", "no evaluation protocol"]),
        ("lesion_bench.noise_std_hu", ["local noise: standard deviation of output - NDCT"]),
        ("texture.noise_std_hu", ["noise: root of the integral"]),
    ],
)
def test_every_kind_of_table_prints_formula_protocol_record_and_command(
    tables, capsys, metric, parts
):
    text = text_of(capsys, "drl", metric)
    file = "results/made-up/config.yaml sha256 "
    for part in (*parts, "seeds: 0, 1", file, " made 2", " by ldct "):
        assert part in text
    assert "snakemake --cores all results/made-up/" in text


def test_what_is_undefined_or_infinite_is_said(tables, capsys):
    assert "90 % interval" in text_of(capsys, "drl", "fat_bias_hu")
    assert "no value: undefined or switched off" in text_of(capsys, "drl", "lpips")
    path = RUN / "scores/bm3d/fixed/L1.parquet"
    frame = pd.read_parquet(path).assign(psnr=np.inf)
    frame.loc[0, "ssim"] = np.nan
    frame.to_parquet(path)
    text = text_of(capsys, "bm3d", "psnr")
    assert "∞ dB 12 slices of 3 patients: no interval" in text
    assert "1 row without a value left out" in text_of(capsys, "bm3d", "ssim")


def test_tables_without_a_column_of_protocols(tables, capsys):
    other = error_of(capsys, "drl", "cnr", "--protocol", "drl_author")
    assert "unknown protocol 'drl_author'" in other and "known: abdomen\n" in other
    arguments = ("drl", "lattice_ratio", "--protocol", "abdomen")
    assert "leave --protocol out" in error_of(capsys, *arguments)
    for record in (RUN / "lesion_bench").rglob("*.provenance.json"):
        record.unlink()
    text = text_of(capsys, "drl", "cnr")
    assert "protocol abdomen: window" in text and "the protocol's file: unknown" in text


@pytest.mark.parametrize("metric", ["vif", "cnr", "psnr"])
def test_a_protocol_changed_since_is_said_of_every_table(tables, capsys, metric):
    changed = Path("mine.yaml")
    content = yaml.safe_load(PROTOCOL.read_text(encoding="utf-8"))
    changed.write_text(yaml.safe_dump(content | {"window": [-100, 240]}))
    settings = SETTINGS | SETTING | {"protocol_files": [str(changed), str(POOLED)]}
    (RUN / "config.yaml").write_text(yaml.safe_dump(settings))
    assert "changed since the values were made" in text_of(capsys, "drl", metric)


def test_unknown_and_doubtful_metrics_are_told_what_there_is(tables, capsys):
    error = error_of(capsys, "drl", "contrast_hus")
    assert "unknown metric 'contrast_hus' (did you mean 'contrast_hu'?)" in error
    assert "expected a measured value of drl; known: psnr, " in error
    for hidden in ("n_signals", "change_upper", "leave_one_out"):
        assert f"unknown metric '{hidden}'" in error_of(capsys, "drl", hidden)
    error = error_of(capsys, "drl", "noise_std_hu")
    assert "write texture.noise_std_hu or lesion_bench.noise_std_hu" in error


def test_images_themselves_are_explained(tables, capsys):
    assert set(IMAGES) == {"ndct", "ldct"}
    text = text_of(capsys, "ndct", "texture.noise_std_hu")
    assert "noise of NDCT (texture.noise_std_hu" in text
    assert "no training" not in text
    assert "unknown metric 'psnr'" in error_of(capsys, "ndct", "psnr")


def test_values_without_a_number_are_null_in_json(tables, capsys):
    path = RUN / "detectability/drl/0.parquet"
    pd.read_parquet(path).assign(d_prime=np.nan).to_parquet(path)
    assert main(["explain", "made-up", "drl", "d_prime", "--json"]) == 0
    found = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert found["value"]["conditions"][0]["value"] is None
