"""The tables of a finished run carry their uncertainty, under every protocol."""

import json

import numpy as np
import pandas as pd
import pytest
import yaml
from workflow_runs import METHODS, pending

from ldct.evaluation.uncertainty import mean_interval

pytestmark = [pytest.mark.end_to_end, pytest.mark.xdist_group("finished_run")]
METRICS = ("psnr", "ssim", "rmse_hu")


@pytest.fixture
def tables(finished_run):
    return finished_run / "results/tiny/tables"


@pytest.fixture
def protocols(finished_run):
    settings = yaml.safe_load((finished_run / "results/tiny/config.yaml").read_text())
    return settings["protocol_names"]


def test_every_protocol_has_its_table_and_its_statistics(tables, protocols):
    content = json.loads((tables / "statistics.json").read_text())
    assert list(content["protocols"]) == sorted(protocols) and len(protocols) > 1
    assert content["reference"] == "proposed" and content["unit"] == "slices"
    for name in protocols:
        folder = tables if name == protocols[0] else tables / name
        for suffix in ("csv", "md", "tex", "html"):
            assert (folder / f"table1.{suffix}").is_file()
        table = pd.read_csv(folder / "table1.csv").set_index("method").loc[METHODS]
        assert set(table["protocol"]) == {name}
        for metric in METRICS:
            intervals = content["protocols"][name]["metrics"][metric]["intervals"]
            assert set(intervals) == set(METHODS)
            means = [float(intervals[m]["estimate"] or "nan") for m in METHODS]
            np.testing.assert_allclose(means, table[metric], rtol=1e-9)


def test_intervals_are_those_of_the_score_files(finished_run, tables, protocols):
    table = pd.read_csv(tables / "table1.csv").set_index("method")
    for method, seed in (("low_dose", "fixed"), ("proposed", "0")):
        (path,) = (finished_run / f"results/tiny/scores/{method}/{seed}").glob("*.parquet")
        scores = pd.read_parquet(path)
        found = mean_interval(scores[scores["protocol"] == protocols[0]], "psnr")
        assert table.loc[method, "psnr_lower"] == pytest.approx(found.lower)
        assert table.loc[method, "psnr_upper"] == pytest.approx(found.upper)
        assert table.loc[method, "interval_unit"] == found.unit == "slices"


def test_differences_from_the_reference_stand_in_three_formats(tables, protocols):
    paired = pd.read_csv(tables / "paired.csv")
    assert len(paired) == len(protocols) * len(METRICS) * (len(METHODS) - 1)
    assert set(paired["reference"]) == {"proposed"}
    assert (paired["p_holm"].dropna() >= paired["p_value"].dropna()).all()
    for suffix in ("md", "html"):
        text = (tables / f"paired.{suffix}").read_text(encoding="utf-8")
        assert "says nothing of other patients" in text
        assert "Differences from Proposed" in text


def test_captions_say_what_the_intervals_generalise_to(tables):
    for suffix in ("md", "tex", "html"):
        text = (tables / f"table1.{suffix}").read_text(encoding="utf-8")
        assert "slices of one patient: says nothing of other patients" in text


def test_tables_that_look_beyond_the_networks_window_say_so(tables):
    text = (tables / "full_range/table1.md").read_text(encoding="utf-8")
    assert "outside that window, where their output means nothing" in text
    assert "outside that window" not in (tables / "table1.md").read_text(encoding="utf-8")


def test_every_table_has_a_provenance_record(tables):
    outputs = [path for path in tables.rglob("table1.*") if "provenance" not in path.name]
    outputs += [tables / "statistics.json", *(tables / f"paired.{s}" for s in ("csv", "md"))]
    for output in outputs:
        assert output.with_name(output.name + ".provenance.json").is_file(), output


def test_another_reference_remakes_the_tables_alone(copy_of_run):
    folder = copy_of_run()
    (folder / "other.yaml").write_text(
        yaml.safe_dump({"statistics": {"reference": "drl"}}), encoding="utf-8"
    )
    found = pending(folder, "other.yaml")
    assert "table1" in found
    assert not {job for job in found if job.startswith(("train", "denoise", "score"))}
