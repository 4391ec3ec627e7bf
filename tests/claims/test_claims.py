"""The claim ledger: readings of the paper, and verdicts by the rule."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from made_up_run import (
    METHODS,
    ONE_SCAN,
    PAPER,
    RULE,
    SETTINGS,
    above,
    claim,
    source_of,
    write_scores,
    write_values,
)
from repository_files import REPOSITORY
from scipy import stats

from ldct.claims.files import files_of_claims
from ldct.claims.judge import check_pipeline, extent, judge_claims, load_claims, q_values
from ldct.common.errors import InputError
from ldct.common.files import write_json
from ldct.common.run_files import IMAGES
from ldct.runs.formulas import formula_of


def judge(run: Path, *claims: dict, settings: dict = SETTINGS):
    return judge_claims(claims, source_of(run, settings))


def write_claims(path: Path, *claims: dict) -> Path:
    content = {"source": "A | paper", "rule": RULE, "claims": {"Heading": list(claims)}}
    path.write_text(yaml.safe_dump(content))
    return path


# The paper's claims


def test_every_claim_of_the_paper_is_quoted_placed_and_read_in_terms_of_this_suite():
    claims = load_claims(PAPER)["claims"]
    assert len(claims) >= 30
    known = {path.name for path in (REPOSITORY / "methods").iterdir()} | set(IMAGES)
    for each in claims:
        assert len(each["quotation"].split()) >= 3, each["id"]
        assert each["place"].startswith(("Abstract", "Section", "Table")), each["id"]
        assert each["reading"].endswith("."), each["id"]
        assert ("bound_why" in each) == any("bound" in part for part in each["parts"]), each["id"]
        for part in each["parts"]:
            assert {part.get("method"), *part.get("references", [])} - {None} <= known, each["id"]
            name = part.get("metric", part.get("quantity", "d_prime"))
            name = {"training_time": "training_seconds"}.get(name, name)
            assert formula_of(name, part.get("table")).text != "not described", each["id"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quotation": "  "}, "not empty"),
        ({"parts": []}, "parts"),
        ({"parts": [above("a", "b", better="bigger")]}, "higher, lower"),
        ({"parts": [above("a", "b", bound=0.5)]}, "bound_why"),
        ({"parts": [{"kind": "difference", "better": "higher", "table": "texture"}]}, "metric"),
        ({"needs": "luck"}, "adversary"),
        ({"verdict": "supported"}, "unknown key 'verdict'"),
        ({"rank": 3}, "found 3, expected a place among 2"),
    ],
)
def test_faults_in_a_file_of_claims_are_named(tmp_path, changes, message):
    path = write_claims(tmp_path / "claims.yaml", claim(above("a", "b")) | changes)
    with pytest.raises(InputError, match=message):
        load_claims(path)


def test_two_claims_of_one_name_are_refused(tmp_path):
    path = write_claims(tmp_path / "claims.yaml", *[claim(above("a", "b"))] * 2)
    with pytest.raises(InputError, match="a_claim stands twice"):
        load_claims(path)


# Verdicts on values


def test_verdicts_follow_planted_differences(tmp_path):
    findings = judge(
        write_scores(tmp_path),
        claim(above("better", "reference")),
        claim(above("worse", "reference")),
        claim(above("noisy", "reference")),
        claim(above("reference", "better", better="lower")),
        claim(above("missing", "reference")),
        claim(above("better", "reference", metric="ssim")),
        claim(above("better", "reference", metric="vif", table="image_quality")),
    )
    verdicts = ["supported", "contradicted", "undecided", "supported", *["not measured"] * 3]
    assert [each.verdict for each in findings] == verdicts
    assert "missing is no method of this run" in findings[4].reason
    assert "SSIM of better is undefined in every row" in findings[5].reason
    assert "image_quality/better/0/L1.parquet was not made" in findings[6].reason
    (found,) = findings[0].comparisons
    assert found.estimate == pytest.approx(1.0, abs=0.1)
    assert (found.n_patients, found.n_slices, found.n_seeds) == (4, 24, 1)
    assert extent(found) == "4 scans, one training"


def test_interval_and_p_value_are_those_of_the_patients(tmp_path):
    run = write_scores(tmp_path)
    (finding,) = judge(run, claim(above("better", "reference", bound=0.7)))
    rows = [
        pd.concat([pd.read_parquet(path) for path in sorted((run / "scores" / name).rglob("*"))
                   if path.is_file()])
        for name in ("better", "reference")
    ]  # fmt: skip
    by_patient = [frame.groupby("patient")["psnr"].mean() for frame in rows]
    test = stats.ttest_1samp(by_patient[0] - by_patient[1], 0.7)
    (found,) = finding.comparisons
    low, high = test.confidence_interval(0.95)
    (over,) = found.tests
    assert (over.unit, over.n, over.outcome) == ("patients", 4, "for")
    assert (over.lower, over.upper) == (pytest.approx(low), pytest.approx(high))
    assert over.p_value == found.p_value == pytest.approx(test.pvalue)


def test_one_scan_and_one_training_give_a_direction_and_no_verdict(tmp_path):
    findings = judge(
        write_scores(tmp_path),
        claim(above("better", "reference")),
        claim(above("reference", "worse", "better"), rank=2),
        settings=ONE_SCAN,
    )
    assert {(each.verdict, each.leaning) for each in findings} == {("undecided", "undecided")}
    assert findings[0].reason == "one scan, one training: a direction, no test over patients"
    (found,) = findings[0].comparisons
    assert found.p_value is None and not found.tests and found.counts == {"patients": (1, 1)}


def test_three_trainings_on_one_scan_lean_where_their_own_p_value_is_below_5_percent(tmp_path):
    seeds = {
        "better": [[1.0], [1.1], [0.9]],
        "worse": [[0.5], [-2.0], [-0.9]],
        "reference": [[0.0]],
    }
    trained = {"method_seeds": {name: ["0", "1", "2"] for name in ("better", "worse")}}
    settings = ONE_SCAN | trained | {"method_seeds": trained["method_seeds"] | {"reference": ["0"]}}
    leans, silent = judge(
        write_values(tmp_path, seeds),
        claim(above("better", "reference")),
        claim(above("worse", "reference", better="lower")),
        settings=settings,
    )
    assert (leans.verdict, leans.leaning) == ("undecided", "supported")
    assert leans.reason == "leans to supported: one scan, 3 trainings" and leans.p_value < 0.05
    assert leans.comparisons[0].counts == {"patients": (1, 1), "trainings": (3, 3)}
    assert (silent.verdict, silent.leaning) == ("undecided", "undecided")
    assert silent.comparisons[0].counts["trainings"] == (2, 3)


@pytest.mark.parametrize(
    ("by_seed", "verdict"),
    [
        ([1.0, 1.1, 0.9], "supported"),
        ([-1.0, -1.1, -0.9], "contradicted"),
        ([0.01, 0.0, -0.01], "practically equal"),
        ([2.0, 0.1, 0.9], "undecided"),  # clear over patients, not over trainings
    ],
)
def test_a_verdict_holds_over_patients_and_over_trainings(tmp_path, by_seed, verdict):
    shifts = {"better": [[by] * 4 for by in by_seed], "reference": [0.0] * 4}
    settings = SETTINGS | {"method_seeds": {"better": ["0", "1", "2"], "reference": ["0"]}}
    run = write_values(tmp_path, shifts)
    (found,) = judge(run, claim(above("better", "reference")), settings=settings)
    assert found.verdict == verdict
    assert [each.unit for each in found.comparisons[0].tests] == ["patients", "trainings"]


def test_small_differences_are_practically_equal_and_a_bound_of_its_own_takes_no_margin(tmp_path):
    equal, both, worse, bounded = judge(
        write_scores(tmp_path),
        claim(above("twin", "reference")),
        claim(above("twin", "reference", "worse")),
        claim(above("twin", "reference", "better")),
        claim(above("twin", "reference", bound=-0.5)),
    )
    verdicts = [each.verdict for each in (equal, both, worse, bounded)]
    assert verdicts == ["practically equal", "practically equal", "contradicted", "supported"]
    assert equal.comparisons[0].margin == 0.2 and bounded.comparisons[0].margin is None
    assert equal.p_value == equal.comparisons[0].tests[0].p_equal < 0.05


def test_bounds_ask_for_more_and_allow_less(tmp_path):
    findings = judge(
        write_scores(tmp_path),
        claim(above("better", "reference", bound=0.5)),
        claim(above("better", "reference", bound=2.0)),
        claim(above("worse", "reference", bound=-2.0)),
        claim(above("worse", "reference", bound=-0.5)),
    )
    verdicts = [each.verdict for each in findings]
    assert verdicts == ["supported", "contradicted", "supported", "contradicted"]


def test_a_claim_stands_alone_and_q_takes_all_as_one_family(tmp_path):
    run = write_scores(tmp_path)
    barely = claim(above("better", "reference", bound=0.85))
    alone = judge(run, barely)[0]
    others = judge(run, barely, *(claim(above(name, "reference")) for name in ("worse", "noisy")))
    assert others[0].verdict == alone.verdict == "supported" and 0.01 < alone.p_value < 0.05
    p_values = [each.p_value for each in others]
    expected = stats.false_discovery_control(p_values)
    assert q_values([*p_values, None]) == [*expected, None]


@pytest.mark.parametrize(
    ("stage", "reason"),
    [
        ({"steps": 12, "batch": 8}, "deep saw 9.60% of the paper's tiles (20 epochs), below the"),
        ({}, "how long deep was trained is not recorded"),
        ({"steps": 25, "batch": 4}, ""),
    ],
)
def test_short_trainings_are_not_judged_but_their_counts_are(tmp_path, stage, reason):
    run = write_scores(tmp_path)
    methods = {name: {"parameters": n} for n, name in enumerate(("better", "reference"), start=1)}
    write_json(run / "tables/cost.json", {"stages": {"deep": stage}, "methods": methods})
    size = {"kind": "cost", "quantity": "parameters", "better": "lower", "method": "reference"}
    settings = SETTINGS | {"chains": {"better": ["deep"]}}
    judged, untrained, refuted = judge(
        run,
        claim(above("better", "reference")),
        claim(above("twin", "reference")),
        claim(above("better", "reference"), size | {"references": ["better"]}),
        settings=settings,
    )
    assert judged.verdict == ("not judged at this budget" if reason else "supported")
    assert judged.reason.startswith(reason) and judged.comparisons[0].estimate > 0.9
    assert (untrained.verdict, refuted.verdict) == ("practically equal", "contradicted")


def test_checks_of_the_pipeline_look_at_the_numbers_alone(tmp_path):
    run = write_scores(tmp_path)
    parts = [above("better", "reference"), above("worse", "reference"), above("gone", "reference")]
    checks = [{"id": "x", "statement": "So it is", "parts": [part]} for part in parts]
    found = check_pipeline(checks, source_of(run, ONE_SCAN))
    assert [each["state"] for each in found] == ["passed", "failed", "not measured"]


def test_ratio_of_noise_is_a_geometric_mean(tmp_path):
    run = write_scores(tmp_path)
    part = above("better", "reference", transform="log")
    (found,) = judge(run, claim(part), settings=ONE_SCAN)[0].comparisons
    rows = [pd.read_parquet(run / f"scores/{name}/0/L1.parquet") for name in METHODS[:3:2]]
    expected = np.exp(np.mean(np.log(rows[0]["psnr"]) - np.log(rows[1]["psnr"])))
    assert (found.form, found.bound) == ("ratio", 1)
    assert found.estimate == pytest.approx(expected)


def test_a_claim_on_a_gan_without_an_adversary_is_not_testable(tmp_path):
    run = write_scores(tmp_path)
    for model, auc in (("worse", 0.504), ("noisy", 0.9), ("reference", None)):
        write_json(run / f"models/{model}/0/training.json", {"critic_auc": auc})
    settings = SETTINGS | {"chains": {"better": ["reference", "worse"], "noisy": ["noisy"]}}
    long = {name: {"steps": 9, "batch": 99} for name in ("reference", "worse", "noisy")}
    write_json(run / "tables/cost.json", {"stages": long})
    part = above("better", "reference")
    idle, working, plain = judge(
        run,
        claim(part, needs="adversary"),
        claim(above("noisy", "reference"), needs="adversary"),
        claim(part),
        settings=settings,
    )
    assert (idle.verdict, idle.leaning, idle.p_value) == ("not testable", "not testable", None)
    assert idle.reason == (
        "adversary of Better not at work: AUC 0.50 of real against generated tiles"
    )
    assert (working.verdict, plain.verdict) == ("undecided", "supported")
    asked = files_of_claims([claim(part, needs="adversary")], run, settings)
    assert run / "models/worse/0/training.json" in asked
