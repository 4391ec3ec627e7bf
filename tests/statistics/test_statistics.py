"""What a run's scores say: differences from the reference, margins, and the files of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ldct.common.errors import InputError
from ldct.configuration.margins import read_margins
from ldct.metrics.protocol import Protocol, SsimWindow
from ldct.table1.frame import best_and_near
from ldct.table1.statistics import metric_statistics, summarise
from ldct.table1.tables import choose_reference, window_note, write_score_tables

MARGINS = Path(__file__).parents[2] / "config/margins.yaml"
ABDOMEN = Protocol(
    "abdomen", (-160.0, 240.0), True, 1.0, SsimWindow("uniform", 7), "mean_of_slices"
)
WIDE = replace(ABDOMEN, name="wide", window=(-1024.0, 3071.0))
POOLED = replace(ABDOMEN, name="pooled", averaging="pooled")
MEANS = {"low_dose": 25.0, "drl": 29.0, "proposed": 29.5}
CARDS = {
    "low_dose": {"title": "Low Dose", "kind": "identity"},
    "drl": {"title": "DRL", "kind": "network"},
    "proposed": {"title": "Proposed", "kind": "cascade"},
}
SETTINGS = {
    "run": "tiny",
    "dataset": {"title": "synthetic look-alike", "simulated": True},
    "budget_text": "2 steps",
    "seeds": [0],
    "test": "all",
    "methods": list(CARDS),
    "cards": CARDS,
    "broken": {},
    "scaling": {"window": [-160, 240], "clip": True},
    "statistics": {"reference": "proposed", "confidence": 0.9},
}
PUBLISHED = {
    "source": "Somebody et al.",
    "place": "Table I",
    "rows": {
        "low_dose": {"title": "Low Dose", "psnr": 25.4, "ssim": 0.82},
        "proposed": {"title": "Proposed", "psnr": 29.2, "ssim": 0.88},
    },
    "counts": {"training_tiles": 281660, "test_slices": 844},
}


def score_rows(protocol=ABDOMEN, slices=5, patients=4):
    """PSNR, SSIM and RMSE that belong together, as score files hold them."""
    rng = np.random.default_rng(0)
    frames = []
    for method, mean in MEANS.items():
        for patient in range(patients):
            psnr = mean + np.linspace(-2, 2, slices) + rng.normal(0, 0.02, slices)
            frames.append(
                pd.DataFrame(
                    {
                        "method": method, "seed": 0, "patient": f"L{patient}",
                        "slice_index": range(slices), "z_mm": 1.0 * np.arange(slices),
                        "protocol": protocol.name, "psnr": psnr, "ssim": psnr / 40,
                        "rmse_hu": protocol.scaling.width * 10 ** (-psnr / 20),
                    }
                )
            )  # fmt: skip
    return pd.concat(frames, ignore_index=True)


@pytest.mark.parametrize("protocol", [ABDOMEN, POOLED])
@pytest.mark.parametrize("metric", ["psnr", "ssim", "rmse_hu"])
def test_estimates_are_the_means_of_the_table(protocol, metric):
    scores = score_rows(protocol)
    found = metric_statistics(scores, protocol, metric, "drl")
    summary = summarise(scores, protocol)
    for method, interval in found.intervals.items():
        assert interval.estimate == pytest.approx(summary.loc[method, metric], rel=1e-12)
        assert interval.sd == pytest.approx(summary.loc[method, f"{metric}_std"])
    low_dose, proposed = found.differences
    assert (low_dose.method, proposed.method) == ("low_dose", "proposed")
    assert proposed.interval.estimate == pytest.approx(
        summary.loc["proposed", metric] - summary.loc["drl", metric]
    )
    assert found.p_holm == pytest.approx(
        [min(1, 2 * min(p.p_value for p in found.differences)), max(found.p_holm)], rel=1
    )
    assert all(p >= each.p_value for p, each in zip(found.p_holm, found.differences, strict=True))


def test_an_undefined_score_leaves_the_method_without_mean_and_interval():
    scores = score_rows()
    scores.loc[3, "ssim"] = np.nan  # a slice of low_dose
    found = metric_statistics(scores, ABDOMEN, "ssim", "drl")
    assert np.isnan(found.intervals["low_dose"].estimate)
    assert np.isnan([found.differences[0].p_value, found.p_holm[0]]).all()
    assert found.intervals["drl"].n_slices == 20


def test_the_reference_is_the_configured_method_or_the_best():
    summary = summarise(score_rows(), ABDOMEN)
    assert choose_reference(summary, "drl") == "drl"
    assert choose_reference(summary, "bm3d") == "proposed"
    with pytest.raises(InputError, match="no rows of method bm3d"):
        metric_statistics(score_rows(), ABDOMEN, "psnr", "bm3d")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"a": 29.0, "b": 29.3, "c": 29.15}, {"b": "best", "c": "near"}),
        ({"a": 29.0, "b": 29.0, "c": 28.0}, {"a": "best", "b": "best"}),
        ({"a": np.inf, "b": 29.1, "c": np.nan}, {"a": "best"}),
        ({}, {}),
    ],
)
def test_rows_within_the_margin_of_the_best_are_near_it(values, expected):
    assert best_and_near(values, 0.2) == expected


def test_margins_are_read_and_a_wrong_file_is_named(tmp_path):
    found = read_margins(MARGINS)
    assert (found["psnr"], found["ssim"], found["lpips"], found["gmsd"]) == (
        0.2, 0.005, 0.01, 0.005,
    )  # fmt: skip
    path = tmp_path / "margins.yaml"
    with pytest.raises(InputError, match=r"margins.yaml: not found; give a file like"):
        read_margins(path)
    path.write_text("psnr: {margin: -1, unit: dB, why: none}\nssim: {margin: 1, unit: '', why: x}")
    with pytest.raises(InputError, match=r"key 'psnr.margin': found -1, expected a number above 0"):
        read_margins(path)


def test_protocols_that_look_outside_the_networks_window_are_flagged():
    note = window_note(WIDE, SETTINGS)
    assert "clipped to [-160, 240] HU" in note and "DRL, Proposed" in note
    assert "Low Dose" not in note
    assert window_note(replace(ABDOMEN, clip=False), SETTINGS)
    unclipped = {**SETTINGS, "scaling": {"window": [-160, 240], "clip": False}}
    classical = {**SETTINGS, "cards": {"low_dose": CARDS["low_dose"]}}
    for protocol, settings in ((ABDOMEN, SETTINGS), (WIDE, unclipped), (WIDE, classical)):
        assert window_note(protocol, settings) == ""


def test_all_tables_are_written_for_every_protocol(tmp_path):
    scores = pd.concat([score_rows(protocol) for protocol in (ABDOMEN, WIDE)])
    written = write_score_tables(
        scores, [ABDOMEN, WIDE], PUBLISHED, read_margins(MARGINS), SETTINGS, 5494, tmp_path
    )
    expected = {f"{f}table1.{e}" for f in ("", "wide/") for e in ("csv", "html", "md", "tex")}
    assert {path.relative_to(tmp_path).as_posix() for path in written} == {
        *expected,
        "differences.csv",
    }
    differences = pd.read_csv(tmp_path / "differences.csv")
    assert len(differences) == 2 * 3 * 2
    row = differences.set_index(["protocol", "metric", "method"]).loc[("abdomen", "psnr", "drl")]
    assert row["estimate"] == pytest.approx(-0.5, abs=0.02)
    assert row["lower"] < row["estimate"] < row["upper"] < 0
    assert (row["reference"], row["confidence"], row["n_patients"]) == ("proposed", 0.9, 4)
    for name, flagged in (("table1.md", False), ("wide/table1.md", True)):
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert ("the rows of DRL, Proposed" in text) == flagged
        assert "simulated by this suite" in text
