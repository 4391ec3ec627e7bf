"""The run's scores under every protocol, and its calibration, in a finished run."""

import pandas as pd
import pytest
import yaml
from workflow_runs import edit_yaml, snakemake

from ldct.metrics.protocol import load_protocol

pytestmark = pytest.mark.end_to_end


@pytest.fixture(scope="module")
def run(finished_run):
    return finished_run / "results/tiny"


def test_every_score_file_carries_every_protocol(run):
    settings = yaml.safe_load((run / "config.yaml").read_text())
    wanted = ["abdomen", *settings["further_protocols"]]
    assert len(wanted) >= 3
    files = list((run / "scores").glob("*/*/*.parquet"))
    assert files
    for file in files:
        scores = pd.read_parquet(file)
        # The main protocol first, each once for every slice.
        assert list(scores["protocol"].drop_duplicates()) == wanted
        assert scores.groupby("slice_index")["protocol"].nunique().eq(len(wanted)).all()
        assert not scores.duplicated(["slice_index", "protocol"]).any()


def test_calibration_has_a_table_a_page_and_a_protocol(run):
    folder = run / "calibration"
    best = pd.read_csv(folder / "calibration.csv").iloc[0]
    protocol = load_protocol(folder / "calibrated_simulated_dose.yaml")
    assert protocol.window == (best["lower"], best["upper"])
    for name in ("calibration.md", "calibration.html"):
        page = (folder / name).read_text()
        assert "25.4247" in page
        assert "Simulated dose" in page


def test_the_calibrated_protocol_can_be_the_runs_protocol(copy_of_run):
    folder = copy_of_run
    edit_yaml(folder / "small.yaml", protocol="calibrated", further_protocols=["abdomen"])
    target = "results/tiny/scores/low_dose/fixed/L903.parquet"
    outcome = snakemake(folder, target, "--cores", "1")
    assert outcome.returncode == 0, outcome.stdout[-3000:]
    main, further = pd.read_parquet(folder / target)["protocol"].drop_duplicates()
    assert main == "calibrated_simulated_dose"
    assert further == "abdomen"
