"""Controls judge metrics: order kept, broken, not resolved, not measured."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import yaml
from workflow_runs import REPOSITORY

from ldct.errors import InputError
from ldct.evaluation.control_expectations import flags, judge, load_expectations
from ldct.evaluation.disc_detection import paired_interval
from ldct.evaluation.formulas import FORMULAS
from ldct.reporting.controls_table import render_controls

FILE = REPOSITORY / "config/control_expectations.yaml"
SLICES = 24
CONTEXT = {"note": "made-up data", "protocol": "no window", "credit": "", "identity": "low_dose"}
TITLES = {"low_dose": "Low Dose", "control_oracle": "Oracle", "control_shuffled": "Shuffled"}


def expectation(better="higher", **changes) -> dict:
    asked = {"id": "asked", "better": "control_oracle", "worse": "identity", "metrics": ["m"]}
    asked |= {"why": "Because."} | changes
    return {"metrics": {"m": {"table": "scores", "better": better}}, "expectations": [asked]}


def rows(**means: float) -> pd.DataFrame:
    """Per-slice values about a mean for each prediction, with the noise of their slices shared."""
    rng = np.random.default_rng(0)
    shared = rng.normal(0, 1, SLICES)
    frames = [
        pd.DataFrame(
            {
                "method": name,
                "seed": 0,
                "patient": "L1",
                "slice_index": range(SLICES),
                "m": mean + shared + rng.normal(0, 0.1, SLICES),
            }
        )
        for name, mean in means.items()
    ]
    return pd.concat(frames, ignore_index=True)


def verdict(table, **changes) -> str:
    (found,) = judge({"scores": table}, expectation(**changes), "low_dose")
    return found.verdict


def test_committed_expectations_name_known_controls_and_formulas():
    content = load_expectations(FILE)
    known = {"identity", *(path.name for path in (REPOSITORY / "methods").glob("control_*"))}
    for each in content["expectations"]:
        assert {each["better"], each["worse"]} <= known
    assert all(metric in FORMULAS[about["table"]] for metric, about in content["metrics"].items())
    asked = {name for each in content["expectations"] for name in each["metrics"]}
    assert asked == set(content["metrics"])
    used = {each[key] for each in content["expectations"] for key in ("better", "worse")}
    assert used == known


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"metrics": ["n"]}, "metric 'n' does not stand under"),
        ({"relation": "below"}, "above, not_below"),
        ({"share": 2}, "a share of the span"),
    ],
)
def test_mistakes_in_the_file_are_named(tmp_path, change, words):
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(expectation(**change)))
    with pytest.raises(InputError, match=words):
        load_expectations(tmp_path / "mine.yaml")


def test_order_kept_broken_and_not_resolved():
    assert verdict(rows(control_oracle=2.0, low_dose=1.0)) == "met"
    assert verdict(rows(control_oracle=1.0, low_dose=2.0)) == "violated"
    assert verdict(rows(control_oracle=1.001, low_dose=1.0)) == "undecided"
    assert verdict(rows(control_oracle=1.0, low_dose=2.0), better="lower") == "met"
    assert verdict(rows(control_oracle=5.2, low_dose=8.0), better="zero") == "met"
    assert verdict(rows(control_oracle=9.0, low_dose=1.0), better="one") == "violated"


def test_a_metric_that_is_blind_is_violated_not_met():
    """Equal values: the metric cannot tell the two apart."""
    table = rows(control_oracle=1.0)
    same = pd.concat([table, table.assign(method="low_dose")], ignore_index=True)
    assert verdict(same) == "violated"
    assert verdict(same, relation="not_below") == "met"


def test_not_below_asks_for_no_lead():
    options = {"relation": "not_below"}
    assert verdict(rows(control_oracle=1.001, low_dose=1.0), **options) == "met"
    assert verdict(rows(control_oracle=0.999, low_dose=1.0), **options) in ("undecided", "met")
    assert verdict(rows(control_oracle=0.0, low_dose=1.0), **options) == "violated"


def test_margin_is_a_share_of_the_span_to_shuffled_slices():
    table = rows(control_oracle=10.0, low_dose=9.5, control_shuffled=0.0)
    assert verdict(table, share=0.02) == "met"
    (found,) = judge({"scores": table}, expectation(share=0.2), "low_dose")
    assert found.verdict == "violated"
    assert found.margin == pytest.approx(0.2 * 9.5, rel=0.02)
    assert re.search(r"5\.\d% of the span .* 20% was asked", flags([found])["m"]["reason"])


def test_infinite_psnr_of_the_oracle_counts():
    table = rows(control_oracle=1.0, low_dose=1.0)
    table.loc[table["method"] == "control_oracle", "m"] = np.inf
    assert verdict(table) == "met"
    assert verdict(table, better="lower") == "violated"


def test_what_is_missing_is_not_measured():
    assert verdict(rows(low_dose=1.0)) == "not measured"
    assert verdict(rows(low_dose=1.0, control_oracle=2.0).assign(m=np.nan)) == "not measured"
    (found,) = judge({}, expectation(), "low_dose")
    assert found.verdict == "not measured"
    (found,) = judge({"scores": rows(control_oracle=1.0)}, expectation(), None)
    assert (found.verdict, found.worse) == ("not measured", "identity")
    assert not flags([found])["m"]["measured"]


def test_one_slice_judges_by_its_value():
    table = rows(control_oracle=2.0, low_dose=1.0)
    assert verdict(table[table["slice_index"] == 0]) == "met"


def discs(**means: float) -> pd.DataFrame:
    """d' of two discs at 20 places that all predictions share, with hardly any noise of their own.

    The interval of each row is about 2 wide.
    """
    rng = np.random.default_rng(0)
    shared = rng.normal(0, 0.05, 20)
    frames = [
        pd.DataFrame(
            {
                "method": name,
                "seed": 0,
                "patient": "L1",
                "contrast_hu": [-10.0, -20.0],
                "diameter_mm": 4.0,
                "d_prime": mean,
                "lower": mean - 1,
                "upper": mean + 1,
                "leave_one_out": [mean + shared + rng.normal(0, 0.001, 20) for _ in "ab"],
            }
        )
        for name, mean in means.items()
    ]
    return pd.concat(frames, ignore_index=True)


def of_discs(relation: str = "above") -> dict:
    asked = expectation(relation=relation)
    asked["metrics"] = {"d_prime": {"table": "detectability", "better": "higher"}}
    asked["expectations"][0]["metrics"] = ["d_prime"]
    return asked


@pytest.mark.parametrize(
    ("d_oracle", "expected"), [(1.2, "met"), (1.005, "undecided"), (0.8, "violated")]
)
def test_detectability_is_compared_at_the_same_places(d_oracle, expected):
    """Values with wide intervals whose difference is known well: places are shared."""
    table = discs(control_oracle=d_oracle, low_dose=1.0)
    (found,) = judge({"detectability": table}, of_discs(), "low_dose", {"confidence": 0.9})
    assert found.verdict == expected
    ours, theirs = (table[table["method"] == name] for name in ("control_oracle", "low_dose"))
    interval = (found.difference, found.lower, found.upper)
    paired = paired_interval(ours, theirs, 0.9)
    assert interval == pytest.approx((paired.estimate, paired.lower, paired.upper))
    assert found.upper - found.lower < 0.05


def test_detectability_without_an_interval_counts_what_every_disc_says():
    table = discs(control_oracle=2.0, low_dose=1.0)
    table["leave_one_out"] = [np.full(20, np.nan)] * len(table)
    (found,) = judge({"detectability": table}, of_discs("not_below"), "low_dose")
    assert (found.verdict, found.difference) == ("met", 1.0)


def test_low_dose_of_discs_is_said_to_be_simulated(tmp_path):
    tables = {"detectability": discs(control_oracle=2.0, low_dose=1.0)}
    judged = judge(tables, of_discs(), "low_dose")
    written = render_controls(tables, judged, of_discs(), TITLES, CONTEXT, tmp_path)
    assert "whose low dose this suite simulated" in written[2].read_text()
    judged = judge({"scores": rows(low_dose=1.0)}, expectation(), "low_dose")
    written = render_controls({}, judged, expectation(), TITLES, CONTEXT, tmp_path)
    assert "this suite simulated" not in written[2].read_text()


def test_flag_note_and_files(tmp_path):
    table = rows(control_oracle=1.0, low_dose=2.0)
    for consequence in ("flag", "note"):
        asked = expectation(otherwise=consequence)
        judged = judge({"scores": table}, asked, "low_dose")
        entry = flags(judged)["m"]
        assert entry["flagged"] == (consequence == "flag")
        assert entry["noted"] == (consequence == "note")
        written = render_controls({"scores": table}, judged, asked, TITLES, CONTEXT, tmp_path)
        assert [path.suffix for path in written] == [".json", ".csv", ".md", ".html"]
        content = json.loads(written[0].read_text(), parse_constant=pytest.fail)
        assert content["metrics"]["m"]["judgements"][0]["verdict"] == "violated"
        page = written[3].read_text()
        assert ("⚑" in page) == (consequence == "flag")
        assert "“Oracle”" in page and "made-up data" in page


def test_infinity_and_nan_are_valid_json(tmp_path):
    table = rows(control_oracle=1.0, low_dose=1.0)
    table.loc[table["method"] == "control_oracle", "m"] = np.inf
    asked = expectation()
    judged = judge({"scores": table}, asked, "low_dose")
    written = render_controls({"scores": table}, judged, asked, TITLES, CONTEXT, tmp_path)
    content = json.loads(written[0].read_text(), parse_constant=pytest.fail)
    assert content["metrics"]["m"]["judgements"][0]["better_mean"] == "inf"
    assert "∞" in written[2].read_text()
