"""A run's scores held against committed values of the same models."""

import pandas as pd
import pytest
import yaml
from made_up_run import PROTOCOL, SETTINGS, write_scores

from ldct.cli import main
from ldct.weights.expected import TOLERANCE


@pytest.fixture
def run(tmp_path):
    folder = write_scores(tmp_path / "run")
    for path in folder.glob("scores/*/*/*.parquet"):
        pd.read_parquet(path).assign(ssim=0.9, rmse_hu=10.0).to_parquet(path)
    about = {"protocol_names": ["abdomen"], "protocol_file": str(PROTOCOL)}
    cards = {name: {} for name in ("better", "worse")}
    (folder / "config.yaml").write_text(yaml.safe_dump(SETTINGS | about | {"cards": cards}))
    return folder


@pytest.mark.parametrize(
    ("metric", "by", "status"),
    [
        ("psnr", 0.9 * TOLERANCE["psnr"], 0),
        ("psnr", 1.1 * TOLERANCE["psnr"], 1),
        ("ssim", -1.1 * TOLERANCE["ssim"], 1),
        ("ssim", float("nan"), 1),
    ],
)
def test_scores_pass_within_the_tolerance_and_the_one_beyond_it_is_named(
    run, tmp_path, capsys, metric, by, status
):
    file = tmp_path / "expected.csv"
    assert main(["check-scores", str(run), "--write", str(file)]) == 0
    table = pd.read_csv(file)
    assert list(table.columns) == ["method", "patient", "psnr", "ssim"] and len(table) == 8
    table.loc[3, metric] += by
    table.to_csv(file, index=False)
    assert main(["check-scores", str(run), "--expected", str(file)]) == status
    told = capsys.readouterr()
    assert ("better of L4: " in told.err) == bool(status)
    assert ("All 8 rows within 0.01 (psnr) and 0.0005 (ssim)" in told.out) == (not status)


def test_values_of_another_run_are_none(run, tmp_path, capsys):
    (tmp_path / "other.csv").write_text("method,patient,psnr,ssim\nbm3d,L9,1,1\n")
    assert main(["check-scores", str(run), "--expected", str(tmp_path / "other.csv")]) == 1
    assert "no method and patient of" in capsys.readouterr().err
