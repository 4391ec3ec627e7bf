"""What a run's scores say: differences from the reference, marks, notes, and files of them."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ldct.errors import InputError
from ldct.evaluation.protocol import Protocol, SsimWindow
from ldct.evaluation.scores import summarise
from ldct.evaluation.statistics import (
    Mark,
    choose_reference,
    leader_marks,
    metric_statistics,
    reversed_difference,
    statistics_json,
)
from ldct.evaluation.uncertainty import Interval, PairedDifference
from ldct.reporting.score_tables import window_notes, write_score_tables

ABDOMEN = Protocol(
    "abdomen", (-160.0, 240.0), True, 1.0, SsimWindow("uniform", 7), "mean_of_slices"
)
WIDE = replace(ABDOMEN, name="wide", window=(-1024.0, 3071.0))
POOLED = replace(ABDOMEN, name="pooled", averaging="pooled")
MEANS = {"low_dose": 25.0, "drl": 29.0, "proposed": 29.5}
SETTINGS = {
    "run": "tiny",
    "dataset": {"title": "synthetic look-alike", "simulated": True},
    "budget_text": "2 steps",
    "seeds": [0],
    "test": "all",
    "methods": ["low_dose", "drl", "proposed"],
    "cards": {
        "low_dose": {"title": "Low Dose", "kind": "identity"},
        "drl": {"title": "DRL", "kind": "network"},
        "proposed": {"title": "Proposed", "kind": "cascade"},
    },
    "broken": {},
    "scaling": {"window": [-160, 240], "clip": True},
    "statistics": {"reference": "proposed", "confidence": 0.95, "resamples": 300},
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


def score_rows(protocol=ABDOMEN, slices=20, patients=1, **changes):
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
    return pd.concat(frames, ignore_index=True).assign(**changes)


def difference(method, reference, estimate, p_value):
    interval = Interval(estimate, estimate - 1, estimate + 1, 0.95, "patients", 5, 50, 1)
    return PairedDifference(method, reference, interval, p_value)


@pytest.mark.parametrize("protocol", [ABDOMEN, POOLED])
@pytest.mark.parametrize("metric", ["psnr", "ssim", "rmse_hu"])
def test_estimates_are_the_means_of_the_table(protocol, metric):
    scores = score_rows(protocol)
    found = metric_statistics(scores, protocol, metric, "drl", resamples=200)
    summary = summarise(scores, protocol)
    for method, interval in found.intervals.items():
        assert interval.estimate == pytest.approx(summary.loc[method, metric], rel=1e-12)
    low_dose, proposed = found.differences
    assert (low_dose.method, proposed.method) == ("low_dose", "proposed")
    assert proposed.interval.estimate == pytest.approx(
        summary.loc["proposed", metric] - summary.loc["drl", metric]
    )
    assert list(found.ranks.index) == ["proposed", "drl", "low_dose"]
    assert list(found.ranks["rank"]) == [1, 2, 3]
    assert found.higher_is_better == (metric != "rmse_hu")
    assert list(found.ranks["lower"]) == list(found.ranks["upper"]) == [1, 2, 3]


def test_an_undefined_score_leaves_the_method_without_mean_and_interval():
    scores = score_rows()
    scores.loc[3, "ssim"] = np.nan  # a slice of low_dose
    found = metric_statistics(scores, ABDOMEN, "ssim", "drl", resamples=200)
    assert np.isnan(found.intervals["low_dose"].estimate)
    assert np.isnan(found.differences[0].p_value)
    assert found.intervals["drl"].n_slices == 20
    assert found.ranks.loc["low_dose", ["lower", "upper"]].to_list() == [1, 3]
    text = json.dumps(statistics_json(found), allow_nan=False)
    assert json.loads(text)["ranks"]["low_dose"]["rank"] is None


def test_infinite_values_survive_in_json():
    scores = score_rows()
    scores.loc[scores["method"] == "proposed", "psnr"] = np.inf
    found = statistics_json(metric_statistics(scores, ABDOMEN, "psnr", "drl", resamples=200))
    text = json.dumps(found, allow_nan=False)
    assert float(json.loads(text)["intervals"]["proposed"]["lower"]) == np.inf


def test_a_difference_turned_round():
    turned = reversed_difference(difference("drl", "bm3d", 2.0, 0.01))
    assert (turned.method, turned.reference, turned.p_value) == ("bm3d", "drl", 0.01)
    assert (turned.interval.estimate, turned.interval.lower, turned.interval.upper) == (-2, -3, -1)


def test_the_reference_is_the_configured_method_or_the_best_and_is_said():
    summary = summarise(score_rows(), ABDOMEN)
    assert choose_reference(summary, "drl") == ("drl", "named in the configuration")
    name, how = choose_reference(summary, "bm3d")
    assert name == "proposed" and "bm3d has no scores" in how
    with pytest.raises(InputError, match="no scores of the reference bm3d"):
        metric_statistics(score_rows(), ABDOMEN, "psnr", "bm3d", resamples=200)


@pytest.mark.parametrize(
    ("p_values", "expected"),
    [
        ((1e-4, 1e-4, 1e-4), {"c": Mark(1, False), "b": Mark(2, False)}),
        # The runner-up is not told apart: no colour, and no second best.
        ((1e-4, 1e-4, 0.2), {"c": Mark(1, True), "b": Mark(1, True)}),
        ((0.2, 1e-4, 1e-4), {"c": Mark(1, False), "b": Mark(2, True), "a": Mark(2, True)}),
        # 0.02 would pass alone, and does not after correction for three pairs.
        ((1e-4, 1e-4, 0.06), {"c": Mark(1, True), "b": Mark(1, True)}),
        ((1e-4, 0.03, 0.03), dict.fromkeys("cba", Mark(1, True))),
        ((np.nan, np.nan, np.nan), dict.fromkeys("cba", Mark(1, True))),
    ],
)
def test_best_and_second_best_are_marked_only_where_resolved(p_values, expected):
    """a < b < c; p values of a-b, a-c and b-c, corrected by Holm over the three."""
    pairs = [
        difference(*names, -1.0, p_value)
        for names, p_value in zip((("a", "b"), ("a", "c"), ("b", "c")), p_values, strict=True)
    ]
    assert leader_marks({"a": 1.0, "b": 2.0, "c": 3.0}, pairs) == expected


def test_marks_go_the_other_way_where_less_is_better_and_skip_what_has_no_value():
    pairs = [difference("a", "b", -1.0, 1e-6)]
    marks = leader_marks({"a": 1.0, "b": 2.0}, pairs, higher_is_better=False)
    assert marks == {"a": Mark(1, False), "b": Mark(2, False)}
    assert leader_marks({"a": 1.0, "b": np.nan}, pairs) == {}


def test_protocols_that_look_outside_the_networks_window_are_flagged():
    (note,) = window_notes(WIDE, SETTINGS)
    assert "clipped to [-160, 240] HU" in note and "DRL, Proposed" in note
    assert "Low Dose" not in note
    assert window_notes(ABDOMEN, SETTINGS) == []
    assert window_notes(replace(ABDOMEN, window=(-100.0, 200.0)), SETTINGS) == []
    assert window_notes(replace(ABDOMEN, clip=False), SETTINGS)
    unclipped = {**SETTINGS, "scaling": {"window": [-160, 240], "clip": False}}
    assert window_notes(WIDE, unclipped) == []
    classical = {**SETTINGS, "cards": {"low_dose": SETTINGS["cards"]["low_dose"]}}
    assert window_notes(WIDE, classical) == []


def test_all_tables_are_written_for_every_protocol(tmp_path):
    scores = pd.concat([score_rows(protocol) for protocol in (ABDOMEN, WIDE, POOLED)])
    written = write_score_tables(
        scores, [ABDOMEN, WIDE, POOLED], PUBLISHED, SETTINGS, 5494, tmp_path
    )
    formats = ["csv", "html", "md", "tex"]
    expected = {f"{folder}table1.{f}" for folder in ("", "wide/", "pooled/") for f in formats}
    expected |= {"paired.csv", "paired.md", "paired.html", "statistics.json"}
    assert {path.relative_to(tmp_path).as_posix() for path in written} == expected
    paired = pd.read_csv(tmp_path / "paired.csv")
    assert len(paired) == 3 * 3 * 2
    row = paired.set_index(["protocol", "metric", "method"]).loc[("abdomen", "psnr", "drl")]
    assert row["difference"] == pytest.approx(-0.5, abs=0.02) and row["resolved"]
    assert (row["reference"], row["unit"], row["rank_lower"]) == ("proposed", "slices", 2)
    assert row["p_holm"] >= row["p_value"]
    content = json.loads((tmp_path / "statistics.json").read_text())
    assert (content["reference"], content["simulated"], content["unit"]) == (
        "proposed", True, "slices",
    )  # fmt: skip
    assert content["protocols"]["wide"]["notes"] and not content["protocols"]["abdomen"]["notes"]
    psnr = content["protocols"]["abdomen"]["metrics"]["psnr"]
    assert len(psnr["pairs"]) == 3 and len(psnr["differences"]) == 2
    assert "says nothing of other patients" in psnr["intervals"]["drl"]["note"]
    for name in ("paired.md", "paired.html", "wide/table1.md", "wide/table1.html"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert "the rows of DRL, Proposed" in text, name
        assert "simulated by this suite" in text, name
    assert "the rows of DRL" not in (tmp_path / "table1.md").read_text(encoding="utf-8")


def test_paired_tables_show_the_reference_and_escape_titles(tmp_path):
    cards = {**SETTINGS["cards"], "drl": {"title": "DRL <b>|x|</b>", "kind": "network"}}
    write_score_tables(
        score_rows(), [ABDOMEN], PUBLISHED, {**SETTINGS, "cards": cards}, 1, tmp_path
    )
    markdown = (tmp_path / "paired.md").read_text(encoding="utf-8")
    html = (tmp_path / "paired.html").read_text(encoding="utf-8")
    assert "# Differences from Proposed" in markdown and "| Proposed | reference |" in markdown
    assert "DRL &lt;b&gt;\\|x\\|&lt;/b&gt; | **−0." in markdown
    assert "<b>|x|" not in html and "DRL &lt;b&gt;" in html
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in lines}) == 1
