"""Explained values are those of the tables of every kind, with formula and protocol."""

import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from made_up_tables import IMAGES, MAIN, OPTIONS, POOLED, SEEDS, SETTING, write_tables
from test_claims import PROTOCOL, SETTINGS

from ldct import provenance
from ldct.cli import main
from ldct.evaluation import scores, texture_files
from ldct.evaluation.protocol import load_protocol
from ldct.evaluation.uncertainty import mean_interval
from ldct.explain import explain
from ldct.reporting.cost_formats import METHOD_COLUMNS, cost_tables
from ldct.reporting.detectability_table import detectability_summary
from ldct.reporting.lesion_bench_table import lesion_summary
from ldct.reporting.metrics_table import summarise_metrics


@pytest.fixture
def tables(tmp_path, monkeypatch) -> dict[str, pd.DataFrame]:
    """All rows of each table of a made-up run below the current folder."""
    monkeypatch.chdir(tmp_path)
    return write_tables()


def of(table: pd.DataFrame, method: str) -> pd.DataFrame:
    return table[table["method"] == method]


def shown(*arguments: str) -> tuple[float, float, float]:
    value = explain("made-up", *arguments)["value"]
    return value["estimate"], value["lower"], value["upper"]


def text_of(capsys, *arguments: str) -> str:
    assert main(["explain", "made-up", *arguments]) == 0
    return " ".join(capsys.readouterr().out.split())


def error_of(capsys, *arguments: str) -> str:
    assert main(["explain", "made-up", *arguments]) == 1
    return capsys.readouterr().err


@pytest.mark.parametrize("protocol", [MAIN, load_protocol(POOLED)], ids=lambda each: each.name)
@pytest.mark.parametrize("method", SEEDS)
def test_scores_are_those_of_table_1(tables, method, protocol):
    summary = scores.summarise(tables["scores"], protocol)
    for metric in scores.METRICS:
        found = shown(method, metric, protocol.name)
        assert found[0] == pytest.approx(summary.loc[method, metric], rel=1e-12)
        assert found[1] < found[0] < found[2]


@pytest.mark.parametrize("method", SEEDS)
def test_metrics_are_those_of_their_table_blind_cells_too(tables, method):
    main_scores = tables["scores"][tables["scores"]["protocol"] == MAIN.name]
    summary = summarise_metrics(main_scores, tables["image_quality"], OPTIONS)
    for row in of(summary, method).itertuples():
        value = explain("made-up", method, row.metric)["value"]
        assert value.get("blind", False) == pd.isna(row.estimate)
        if pd.isna(row.estimate):
            assert value["estimate"] is None
        else:
            assert (value["estimate"], value["lower"]) == (row.estimate, row.lower)


@pytest.mark.parametrize("method", [*SEEDS, *IMAGES])
def test_texture_is_that_of_its_table(tables, method):
    for metric in texture_files.MEASURES:
        expected = mean_interval(of(tables["texture"], method), metric, **OPTIONS)
        assert shown(method, f"texture.{metric}") == (
            expected.estimate,
            expected.lower,
            expected.upper,
        )


@pytest.mark.parametrize("method", [*SEEDS, *IMAGES])
def test_lesions_are_those_of_their_table(tables, method):
    summary = lesion_summary(tables["lesion_bench"], {method: method}, OPTIONS["confidence"])
    for row in summary.itertuples():
        found = shown(method, f"lesion_bench.{row.measure}")
        assert found == (row.mean, row.lower, row.upper)


@pytest.mark.parametrize("metric", [("d_prime", "lower"), ("change", "change_lower")])
@pytest.mark.parametrize("method", [*SEEDS, *IMAGES])
def test_discs_are_those_of_their_table_and_of_several_seeds_each(tables, method, metric):
    column, lower = metric
    cells = detectability_summary(
        tables["detectability"], {method: method}, OPTIONS["confidence"]
    ).set_index("diameter_mm")
    rows = explain("made-up", method, column)["value"]["conditions"]
    first = rows[: len(cells)]
    for row in first:
        cell = cells.loc[row["diameter_mm"]]
        assert (row["value"], row["lower"]) == (cell[column], cell[lower])
    seeds = {row["seed"] for row in rows[len(cells) :]}
    assert seeds == ({0, 1} if method == "drl" else set())
    assert first[0]["seed"] == ("mean" if method == "drl" else 0)


@pytest.mark.parametrize("method", SEEDS)
def test_costs_are_those_of_their_table_dashes_too(tables, method):
    content = json.loads(Path("results/made-up/tables/cost.json").read_text())
    table = cost_tables(content)[0]
    shown = {head: (key, show) for key, (head, show) in METHOD_COLUMNS.items()}
    (cells,) = [row for row in table.rows if row[0] == method]
    for head, text in zip(table.heads[1:], cells[1:], strict=True):
        key, show = shown[head]
        value = explain("made-up", method, key)["value"]["estimate"]
        assert text == ("–" if value is None else show(value))


def test_every_kind_of_table_prints_formula_protocol_record_and_command(tables, capsys):
    Path("methods/drl").mkdir(parents=True)
    Path("methods/drl/method.yaml").write_text(yaml.safe_dump(SETTING["cards"]["drl"]))
    for metric, parts in {
        "psnr": ["20 log10", "protocol abdomen: window [-160, 240] HU"],
        "vif": ["visual information fidelity", "the protocol's file: as recorded"],
        "lattice_ratio": ["pooling lattice", "no evaluation protocol", "side_px 32"],
        "cnr": ["|mean of lesion", "protocol abdomen: window", "the protocol's file: as recorded"],
        "d_prime": ["observer's mean outputs", "no evaluation protocol", "channels 5"],
    }.items():
        text = text_of(capsys, "drl", metric)
        for part in (*parts, "card methods/drl/method.yaml: as configured", "seeds: 0, 1"):
            assert part in text, (metric, part)
        for part in ("results/made-up/config.yaml: sha256 ", "value made by ldct ", " peak "):
            assert part in text, (metric, part)
        assert "snakemake --cores all results/made-up/" in text
        assert " made 2" in text and " UTC on " in text


def test_a_blind_cell_reads_blind(tables, capsys):
    text = text_of(capsys, "drl", "lung_bias_hu")
    assert "blind: networks see images clipped to [-160, 240] HU" in text
    assert " interval" not in text
    assert "interval" in text_of(capsys, "bm3d", "lung_bias_hu")
    assert "interval" in text_of(capsys, "drl", "fat_bias_hu")


def test_local_noise_is_not_told_as_that_of_texture(tables, capsys):
    local = text_of(capsys, "drl", "lesion_bench.noise_std_hu")
    assert "local noise: standard deviation of output - NDCT about the lesion" in local
    assert "noise: root of the integral" in text_of(capsys, "drl", "texture.noise_std_hu")


def test_contrast_of_lesions_is_a_value(tables, capsys):
    assert "contrast of DRL (lesion_bench.contrast_hu" in text_of(capsys, "drl", "contrast_hu")


def test_lesions_have_the_protocol_that_their_record_names(tables, capsys):
    named = text_of(capsys, "drl", "lesion_bench.cnr", "--protocol", "abdomen")
    assert named == text_of(capsys, "drl", "lesion_bench.cnr")
    other = error_of(capsys, "drl", "cnr", "--protocol", "drl_author")
    assert "unknown protocol 'drl_author'" in other and "known: abdomen\n" in other
    assert "leave --protocol out" in error_of(
        capsys, "drl", "lattice_ratio", "--protocol", "abdomen"
    )
    for record in Path("results/made-up/lesion_bench").rglob("*.provenance.json"):
        record.unlink()
    text = text_of(capsys, "drl", "cnr")
    assert "protocol abdomen: window" in text and "the protocol's file: unknown" in text


@pytest.mark.parametrize("metric", ["vif", "cnr", "psnr"])
def test_a_protocol_changed_since_is_said_of_every_table(tables, capsys, metric):
    changed = Path("mine.yaml")
    content = yaml.safe_load(PROTOCOL.read_text(encoding="utf-8"))
    changed.write_text(yaml.safe_dump(content | {"window": [-100, 240]}))
    settings = SETTINGS | SETTING | {"protocol_files": [str(changed), str(POOLED)]}
    Path("results/made-up/config.yaml").write_text(yaml.safe_dump(settings))
    assert "changed since the values were made" in text_of(capsys, "drl", metric)


def test_an_unknown_metric_is_told_what_there_is(tables, capsys):
    error = error_of(capsys, "drl", "contrast_hus")
    assert "unknown metric 'contrast_hus' (did you mean 'contrast_hu'?)" in error
    assert "expected a measured value of drl; known: psnr, " in error
    assert "texture.noise_std_hu, lesion_bench.noise_std_hu" in error
    assert error.count("\n") == 1


def test_images_themselves_are_explained_without_a_card(tables, capsys):
    text = text_of(capsys, "ndct", "texture.noise_std_hu")
    assert "noise of NDCT (texture.noise_std_hu" in text
    assert "ndct (reference): images of the test set, no method" in text
    assert "no training" not in text
    assert "unknown metric 'psnr'" in error_of(capsys, "ndct", "psnr")


def test_what_is_switched_off_and_what_is_infinite_is_said(tables, capsys):
    assert "no value: switched off in the configuration" in text_of(capsys, "drl", "lpips")
    path = Path("results/made-up/scores/bm3d/fixed/L1.parquet")
    pd.read_parquet(path).assign(psnr=np.inf).to_parquet(path)
    text = text_of(capsys, "bm3d", "psnr")
    assert "∞ dB 12 slices" in text and "no interval" in text


def test_rows_left_out_of_scores_are_said_since_table_1_leaves_none_out(tables, capsys):
    path = Path("results/made-up/scores/bm3d/fixed/L1.parquet")
    frame = pd.read_parquet(path)
    frame.loc[0, "ssim"] = np.nan
    frame.to_parquet(path)
    text = text_of(capsys, "bm3d", "ssim")
    assert "1 undefined rows are left out Table I shows no value" in text


def test_a_cost_leads_back_to_the_records_of_its_jobs(tables, capsys):
    prediction = Path("results/made-up/predictions/bm3d/fixed/L1.npy")
    prediction.parent.mkdir(parents=True)
    np.save(prediction, np.zeros(2))
    provenance.write_record(prediction, inputs=[], settings={}, started=time.perf_counter())
    text = text_of(capsys, "bm3d", "inference_seconds_per_slice")
    assert (
        "time for a slice of BM3D (cost.inference_seconds_per_slice; run made-up) 8.00000 s" in text
    )
    assert f"prediction {prediction} sha256" in text
    assert "snakemake --cores all results/made-up/tables/cost.json" in text
    assert "no value: not recorded, or it does not apply" in text_of(capsys, "bm3d", "parameters")
