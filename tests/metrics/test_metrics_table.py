"""Table of metrics: means with intervals."""

import numpy as np
import pandas as pd
import pytest

from ldct.metrics.columns import COLUMNS
from ldct.metrics.table import summarise_metrics, write_metrics

CONTEXT = {"note": "made-up data", "protocol": "no window", "credit": "Thanks."}


@pytest.fixture
def rows() -> pd.DataFrame:
    """A network with two seeds and a classical method, three patients of four slices."""
    rng = np.random.default_rng(0)
    keys = [
        {"method": method, "seed": seed, "patient": patient, "slice_index": index}
        for method, seeds in (("drl", (0, 1)), ("bm3d", (0,)))
        for seed in seeds
        for patient in ("L1", "L2", "L3")
        for index in range(4)
    ]
    names = list(COLUMNS)
    values = pd.DataFrame(rng.normal(1, 0.1, (len(keys), len(names))), columns=names)
    return pd.DataFrame(keys).join(values).assign(lpips=np.nan, protocol="abdomen")


def test_means_over_slices_and_seeds(rows, tmp_path):
    summary = summarise_metrics(rows, rows, {"confidence": 0.95})
    by_key = summary.set_index(["method", "metric"])
    ours = by_key.loc[("drl", "vif")]
    assert ours["estimate"] == pytest.approx(rows[rows["method"] == "drl"]["vif"].mean())
    assert ours["n_seeds"] == 2 and ours["lower"] < ours["estimate"] < ours["upper"]
    assert "lpips" not in set(summary["metric"])

    write_metrics(summary, {"drl": "DRL", "bm3d": "BM3D"}, CONTEXT, tmp_path / "metrics", [])
    for suffix in ("md", "html"):
        text = (tmp_path / f"metrics.{suffix}").read_text(encoding="utf-8")
        for words in (
            "GMSD ↓",
            "bias in fat (HU) → 0",
            "Fat, −140 to −40 HU",
            "Lung, −950 to −600 HU",
            "their image is the low dose plus the error that they make at the bound",
            "DRL",
            "made-up data",
            "Thanks.",
        ):
            assert words in text, (suffix, words)
        assert "LPIPS" not in text
    assert len(pd.read_csv(tmp_path / "metrics.csv")) == len(summary)
