"""Table of metrics: means with intervals, blind tissues, flags of the controls."""

import numpy as np
import pandas as pd
import pytest

from ldct.evaluation.image_quality import BLIND
from ldct.evaluation.tissues import tissue_columns
from ldct.reporting.metrics_table import render_metrics, summarise_metrics
from ldct.reporting.plain_table import PlainTable, to_html, to_markdown

SLICES = 20
TITLES = {"drl": "DRL", "bm3d": "BM3D"}
CONTEXT = {"note": "made-up data", "protocol": "no window", "credit": "Thanks."}
CONTEXT |= {"networks_see": "[-160, 240] HU"}


def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores and image quality of a network with two seeds and a classical method."""
    rng = np.random.default_rng(0)
    rows = []
    for method, seeds, blind in (("drl", (0, 1), "air lung bone"), ("bm3d", (0,), "")):
        for seed in seeds:
            for index in range(SLICES):
                row = {"method": method, "seed": seed, "patient": f"L{index % 3}"}
                row["slice_index"] = index
                row |= {name: rng.normal(1, 0.1) for name in ("psnr", "ssim", "rmse_hu")}
                row |= {name: rng.normal(1, 0.1) for name in ("vif", "gmsd", *tissue_columns())}
                rows.append(row | {"lpips": np.nan, BLIND: blind, "protocol": "abdomen"})
    frame = pd.DataFrame(rows)
    return frame, frame


def test_means_over_slices_and_seeds_and_what_is_not_seen():
    scores, quality = tables()
    summary = summarise_metrics(scores, quality, {})
    by_key = summary.set_index(["method", "metric"])
    expected = quality[quality["method"] == "drl"]["vif"].mean()
    assert by_key.loc[("drl", "vif"), "estimate"] == pytest.approx(expected)
    assert by_key.loc[("drl", "vif"), "n_seeds"] == 2
    assert by_key.loc[("drl", "vif"), "lower"] < expected < by_key.loc[("drl", "vif"), "upper"]
    assert "lpips" not in set(summary["metric"])
    assert by_key.loc[("drl", "lung_slope"), "blind"]
    assert np.isnan(by_key.loc[("drl", "lung_slope"), "estimate"])
    assert not by_key.loc[("bm3d", "lung_slope"), "blind"]
    assert np.isfinite(by_key.loc[("drl", "soft_tissue_slope"), "estimate"])


def test_flags_notes_and_blind_cells_are_on_the_page(tmp_path):
    summary = summarise_metrics(*tables(), {})
    flagged = {
        "gmsd": {"flagged": True, "noted": False, "reason": "does not see a shift", "note": ""},
        "psnr": {"flagged": False, "noted": True, "reason": "", "note": "prefers a blur"},
    }
    files = render_metrics(summary, TITLES, flagged, CONTEXT, tmp_path)
    assert [path.name for path in files] == ["metrics.csv", "metrics.md", "metrics.html"]
    for path in files[1:]:
        text = path.read_text(encoding="utf-8")
        for words in ("GMSD ↓ ⚑", "does not see a shift", "prefers a blur", "made-up data", "DRL"):
            assert words in text, (path, words)
        assert "blind" in text and "Thanks." in text and "3 patients" in text
    assert "VIF ↑ ⚑" not in text
    assert len(pd.read_csv(files[0])) == len(summary)


def test_a_run_without_controls_says_so(tmp_path):
    summary = summarise_metrics(*tables(), {})
    files = render_metrics(summary, TITLES, {}, CONTEXT, tmp_path)
    assert "no controls" in files[2].read_text(encoding="utf-8")


def test_text_of_plain_tables_is_escaped():
    table = PlainTable("<T>", ["a|b", "c"], [["<script>", "1 | 2"]])
    page = to_html("<x>", ["a < b"], [table], ["*n*"])
    assert "<script>" not in page and "&lt;script&gt;" in page and "&lt;x&gt;" in page
    text = to_markdown("<x>", [], [table], ["*n*"])
    assert r"1 \| 2" in text and r"\*n\*" in text
