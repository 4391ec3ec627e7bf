"""Controls and image quality in the real workflow, on the tiny look-alike."""

import json

import numpy as np
import pandas as pd
import pytest
from workflow_runs import METHODS

from ldct.evaluation.tissues import tissue_columns

pytestmark = [pytest.mark.end_to_end, pytest.mark.xdist_group("finished_run")]
CONTROLS = [
    "control_oracle",
    "control_blur",
    "control_blur_noise",
    "control_shift_20",
    "control_shuffled",
]
LEARNED = ["drl", "lsgan", "drl_drl", "proposed"]


def run(folder):
    return folder / "results/tiny"


def measured(folder, method: str) -> pd.DataFrame:
    seed = "0" if method in LEARNED else "fixed"
    return pd.read_parquet(run(folder) / f"image_quality/{method}/{seed}/L903.parquet")


def test_every_method_and_control_is_scored_and_measured(finished_run):
    slices = len(np.load(run(finished_run) / "test/L903/full.npy"))
    for method in [*METHODS, *CONTROLS]:
        frame = measured(finished_run, method)
        assert len(frame) == slices
        assert set(frame["method"]) == {method}
        assert frame["vif"].notna().all() and frame["gmsd"].notna().all()
        assert set(frame["blind_tissues"]) == {"air lung bone" if method in LEARNED else ""}
        assert set(tissue_columns()) <= set(frame.columns)
    for control in CONTROLS:
        assert (run(finished_run) / f"scores/{control}/fixed/L903.parquet").is_file()


def test_controls_are_what_they_say(finished_run):
    folder = run(finished_run)
    full, quarter = (np.load(folder / f"test/L903/{dose}.npy") for dose in ("full", "quarter"))
    found = {name: np.load(folder / f"predictions/{name}/fixed/L903.npy") for name in CONTROLS}
    np.testing.assert_array_equal(found["control_oracle"], full)
    np.testing.assert_array_equal(found["control_shift_20"], quarter + np.float32(20))
    oracle, shift = (measured(finished_run, f"control_{name}") for name in ("oracle", "shift_20"))
    identity = measured(finished_run, "low_dose")
    assert (oracle["soft_tissue_bias_hu"] == 0).all() and (oracle["gmsd"] == 0).all()
    np.testing.assert_allclose(oracle["vif"], 1, atol=1e-5)
    difference = shift["soft_tissue_bias_hu"] - identity["soft_tissue_bias_hu"]
    np.testing.assert_allclose(difference, 20, atol=1e-4)


def test_controls_judge_the_metrics(finished_run):
    folder = run(finished_run) / "tables"
    content = json.loads((folder / "controls.json").read_text(encoding="utf-8"))
    assert "synthetic AAPM look-alike" in content["note"]
    verdicts = {
        (metric, each["expectation"]): each["verdict"]
        for metric, entry in content["metrics"].items()
        for each in entry["judgements"]
    }
    for metric in ("psnr", "ssim", "rmse_hu", "vif", "gmsd"):
        assert verdicts[metric, "oracle_above_identity"] == "met", metric
    assert verdicts["soft_tissue_bias_hu", "bias_sees_shift"] == "met"
    assert verdicts["lpips", "oracle_above_identity"] == "not measured"
    assert verdicts["texture_distance", "oracle_above_identity"] != "violated"
    for suffix in ("csv", "md", "html"):
        text = (folder / f"controls.{suffix}").read_text(encoding="utf-8")
        assert "control_blur" in text if suffix == "csv" else "Gaussian blur + noise" in text


def test_table_of_metrics_has_every_method_and_no_control(finished_run):
    folder = run(finished_run) / "tables"
    table = pd.read_csv(folder / "metrics.csv")
    assert list(dict.fromkeys(table["method"])) == METHODS
    assert {"psnr", "ssim", "rmse_hu", "vif", "gmsd", "soft_tissue_bias_hu"} <= set(table["metric"])
    assert "lpips" not in set(table["metric"])
    blind = table[table["blind"]]
    assert set(blind["method"]) == set(LEARNED)
    assert blind["estimate"].isna().all()
    ours = table.set_index(["method", "metric"]).loc[("drl", "vif")]
    assert ours["estimate"] == pytest.approx(measured(finished_run, "drl")["vif"].mean())
    for suffix in ("md", "html"):
        text = (folder / f"metrics.{suffix}").read_text(encoding="utf-8")
        for words in ("Proposed", "VIF", "synthetic AAPM look-alike", "blind", "one patient"):
            assert words in text, (suffix, words)


def test_controls_stand_in_no_table_of_methods(finished_run):
    text = (run(finished_run) / "tables/table1.csv").read_text(encoding="utf-8")
    assert not any(control in text for control in CONTROLS)
