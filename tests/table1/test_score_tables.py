"""What a run's scores say: summaries, differences from the reference, and the files of them."""

import numpy as np
import pandas as pd
import pytest
from made_up_scores import ABDOMEN, POOLED, WIDE, score_rows
from repository_files import REPOSITORY

from ldct.common.errors import InputError
from ldct.common.files import read_yaml
from ldct.configuration.published import read_margins
from ldct.table1.frame import best_and_near
from ldct.table1.statistics import metric_statistics, summarise
from ldct.table1.tables import choose_reference, write_score_tables

MARGINS = REPOSITORY / "config/margins.yaml"
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
    "statistics": {"reference": "proposed", "confidence": 0.9},
}


def run_rows(protocol=ABDOMEN) -> pd.DataFrame:
    """Scores of all methods on five slices of four patients."""
    rng = np.random.default_rng(0)
    slices = np.linspace(-2, 2, 5)
    frames = [
        score_rows(mean + slices + rng.normal(0, 0.02, (1, 4, 5)), method, protocol)
        for method, mean in MEANS.items()
    ]
    return pd.concat(frames, ignore_index=True)


def test_summary_is_the_mean_over_slices_and_then_over_seeds():
    scores = pd.concat(
        [
            score_rows([[[28, 30]], [[29, 33]]]),
            score_rows([[[25, 26]]], "low_dose"),
            score_rows([[[50, 60]]], protocol=WIDE),
        ]
    )
    summary = summarise(scores, ABDOMEN)
    assert list(summary.index) == ["drl", "low_dose"]
    drl = summary.loc["drl"]
    assert drl["psnr"] == pytest.approx((29 + 31) / 2)
    assert drl["psnr_std"] == pytest.approx(np.std([28.5, 31.5], ddof=1))
    assert drl["psnr_std_seeds"] == pytest.approx(np.std([29, 31], ddof=1))
    assert drl["ssim"] == pytest.approx(0.30)
    assert (drl["n_slices"], drl["n_patients"], drl["n_seeds"], drl["seeds"]) == (2, 1, 2, "0 1")
    assert np.isnan(summary.loc["low_dose", "psnr_std_seeds"])
    assert summary.loc["low_dose", "protocol"] == "abdomen"
    other = score_rows([[[26]]]).assign(patient="L506")
    two_patients = pd.concat([score_rows([[[30, 30, 30]]]), other])
    assert summarise(two_patients, ABDOMEN).loc["drl", "psnr"] == pytest.approx(29)


def test_pooled_psnr_is_that_of_the_mean_squared_error():
    summary = summarise(score_rows([[[20, 40]], [[30, 30]]], protocol=POOLED), POOLED)
    first = (10**-2 + 10**-4) / 2
    assert summary.loc["drl", "psnr"] == pytest.approx((-10 * np.log10(first) + 30) / 2)
    assert summary.loc["drl", "ssim"] == pytest.approx(0.30)
    expected = 400 * (np.sqrt(first) + 10**-1.5) / 2
    assert summary.loc["drl", "rmse_hu"] == pytest.approx(expected)


def test_an_identical_slice_makes_the_mean_infinite_and_the_pooled_value_finite(recwarn):
    mean = summarise(score_rows([[[30, np.inf]]]), ABDOMEN).loc["drl"]
    assert mean["psnr"] == np.inf and np.isnan(mean["psnr_std"])
    for psnr, expected in ([30, np.inf], 30 + 10 * np.log10(2)), ([np.inf, np.inf], np.inf):
        pooled = summarise(score_rows([[psnr]], protocol=POOLED), POOLED)
        assert pooled.loc["drl", "psnr"] == pytest.approx(expected)
    assert not recwarn.list


@pytest.mark.parametrize(
    ("further", "protocol", "message"),
    [
        (("drl", 3, [28]), ABDOMEN, "method drl seed 3: found 1 slices, expected the same 2"),
        (("low_dose", 0, [28]), ABDOMEN, "method low_dose seed 0: a slice is scored twice"),
        (("drl", 3, [28]), WIDE, "wide not found; scored protocols: abdomen"),
    ],
)
def test_means_that_compare_nothing_are_refused(further, protocol, message):
    method, seed, psnr = further
    rows = score_rows([[psnr]], method).assign(seed=seed)
    with pytest.raises(InputError, match=message):
        summarise(pd.concat([score_rows([[[25, 26]]], "low_dose"), rows]), protocol)


@pytest.mark.parametrize(
    ("protocol", "metric"), [(ABDOMEN, "psnr"), (POOLED, "psnr"), (POOLED, "ssim")]
)
def test_estimates_are_the_means_of_the_table(protocol, metric):
    scores = run_rows(protocol)
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


def test_an_undefined_score_leaves_the_method_without_mean_and_interval():
    scores = run_rows()
    scores.loc[3, "ssim"] = np.nan  # a slice of low_dose
    found = metric_statistics(scores, ABDOMEN, "ssim", "drl")
    assert np.isnan(found.intervals["low_dose"].estimate)
    assert np.isnan(found.differences[0].p_value)
    assert found.intervals["drl"].n_slices == 20
    assert np.isnan(summarise(scores, ABDOMEN).loc["low_dose", "ssim"])


def test_the_reference_is_the_configured_method_or_the_best():
    summary = summarise(run_rows(), ABDOMEN)
    assert choose_reference(summary, "drl") == "drl"
    assert choose_reference(summary, "bm3d") == "proposed"
    with pytest.raises(InputError, match="no rows of method bm3d"):
        metric_statistics(run_rows(), ABDOMEN, "psnr", "bm3d")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"a": 29.0, "b": 29.3, "c": 29.15}, {"b": "best", "c": "near"}),
        ({"a": 29.0, "b": 29.0, "c": 28.0}, {"a": "best", "b": "best"}),
        ({"a": np.inf, "b": 29.1, "c": np.nan}, {"b": "best"}),
        ({"a": np.inf, "b": np.nan}, {}),
        ({}, {}),
    ],
)
def test_rows_within_the_margin_of_the_best_are_near_it(values, expected):
    assert best_and_near(values, 0.2) == expected


def test_margins_are_read_and_a_wrong_file_is_named(tmp_path):
    found = read_margins(MARGINS)
    assert {"psnr": 0.2, "ssim": 0.005, "lpips": 0.01, "gmsd": 0.005}.items() <= found.items()
    path = tmp_path / "margins.yaml"
    with pytest.raises(InputError, match=r"margins.yaml: not found; give a file like"):
        read_margins(path)
    path.write_text("psnr: {margin: -1, unit: dB, why: none}\nssim: {margin: 1, unit: '', why: x}")
    with pytest.raises(InputError, match=r"key 'psnr.margin': found -1, expected a number above 0"):
        read_margins(path)


def test_all_tables_are_written_for_every_protocol(tmp_path):
    scores = pd.concat([run_rows(protocol) for protocol in (ABDOMEN, WIDE)])
    published = read_yaml(REPOSITORY / "config/published.yaml")
    written = write_score_tables(
        scores, [ABDOMEN, WIDE], published, read_margins(MARGINS), SETTINGS, 5494, tmp_path
    )
    expected = {f"{f}table1.{e}" for f in ("", "wide/") for e in ("csv", "html", "md", "tex")}
    expected.add("differences.csv")
    assert {path.relative_to(tmp_path).as_posix() for path in written} == expected
    differences = pd.read_csv(tmp_path / "differences.csv")
    assert len(differences) == 2 * 3 * 2
    row = differences.set_index(["protocol", "metric", "method"]).loc[("abdomen", "psnr", "drl")]
    assert row["estimate"] == pytest.approx(-0.5, abs=0.02)
    assert row["lower"] < row["estimate"] < row["upper"] < 0
    assert (row["reference"], row["confidence"], row["n_patients"]) == ("proposed", 0.9, 4)
    for name, wide in (("table1.md", False), ("wide/table1.md", True)):
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert ("that they make at the bound of the window" in text) == wide
        assert "simulated by this suite" in text


def test_patient_reported_apart_is_in_no_mean_and_has_a_table_of_its_own(tmp_path):
    rows = run_rows()
    (first, *_), lost = sorted(rows["patient"].unique()), {"psnr": rows["psnr"] - 9}
    spoilt = rows.assign(psnr=rows["psnr"].where(rows["patient"] != first, lost["psnr"]))
    settings = SETTINGS | {"apart": {first: "noisy reference"}}
    published = read_yaml(REPOSITORY / "config/published.yaml")
    for name, scores in (("a", rows), ("b", spoilt), ("c", rows[rows["patient"] != first])):
        of_run = SETTINGS if name == "c" else settings
        write_score_tables(
            scores, [ABDOMEN], published, read_margins(MARGINS), of_run, 1, tmp_path / name
        )
    tables = [(tmp_path / name / "table1.csv").read_text() for name in "abc"]
    assert tables[0] == tables[1] == tables[2]
    page = (tmp_path / "b/table1.md").read_text()
    assert page.count("Patients reported apart") == 1 and page.count(first) == 1
    assert "Patients reported apart" not in (tmp_path / "c/table1.md").read_text()
