"""Controls and image quality in the real workflow, on the tiny look-alike."""

import numpy as np
import pandas as pd
import pytest
from workflow_runs import CONTROLS, LEARNED, METHODS

from ldct.metrics.columns import IMAGE_QUALITY
from ldct.metrics.scores import regular_slices

pytestmark = pytest.mark.end_to_end


def run(folder):
    return folder / "results/tiny"


def measured(folder, method: str) -> pd.DataFrame:
    seed = "0" if method in LEARNED else "fixed"
    return pd.read_parquet(run(folder) / f"image_quality/{method}/{seed}/L903.parquet")


def test_every_method_and_control_is_measured(finished_run):
    slices = len(np.load(run(finished_run) / "test/L903/full.npy"))
    for method in [*METHODS, *CONTROLS]:
        frame = measured(finished_run, method)
        assert len(frame) == slices
        assert set(frame["method"]) == {method}
        assert frame["vif"].notna().all() and frame["gmsd"].notna().all()
        assert set(IMAGE_QUALITY) <= set(frame.columns)


def test_table_of_controls_is_that_of_the_scores(finished_run):
    folder = run(finished_run) / "tables"
    table = pd.read_csv(folder / "controls.csv").set_index(["metric", "method"])["value"]
    bias = [table["soft_tissue_bias_hu", name] for name in ("control_shift_20", "low_dose")]
    assert bias[0] - bias[1] == pytest.approx(20, abs=1e-3)
    assert not {"lpips", "texture_distance"} & set(table.index.get_level_values(0))
    for suffix in ("md", "html"):
        text = (folder / f"controls.{suffix}").read_text(encoding="utf-8")
        assert "Δ LDCT + 20 HU" in text and "synthetic AAPM look-alike" in text


def test_table_of_metrics_has_every_method_and_no_control(finished_run):
    folder = run(finished_run) / "tables"
    table = pd.read_csv(folder / "metrics.csv")
    assert list(dict.fromkeys(table["method"])) == METHODS
    assert {"psnr", "ssim", "rmse_hu", "vif", "gmsd", "soft_tissue_bias_hu"} <= set(table["metric"])
    ours = table.set_index(["method", "metric"]).loc[("drl", "vif")]
    assert ours["estimate"] == pytest.approx(
        regular_slices(measured(finished_run, "drl"))["vif"].mean()
    )
    for suffix in ("md", "html"):
        text = (folder / f"metrics.{suffix}").read_text(encoding="utf-8")
        assert "Proposed" in text and "VIF" in text and "synthetic AAPM look-alike" in text
        assert "Gaussian blur" not in text
