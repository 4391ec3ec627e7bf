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
)
from repository_files import REPOSITORY
from scipy import stats

from ldct.claims.files import files_of_claims
from ldct.claims.judge import extent, judge_claims, load_claims, weigh
from ldct.common.errors import InputError
from ldct.common.files import write_json
from ldct.common.run_files import IMAGES
from ldct.runs.formulas import formula_of
from ldct.statistics.uncertainty import holm


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
        assert ("margin_why" in each) == any("margin" in part for part in each["parts"]), each["id"]
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
        ({"parts": [above("a", "b", margin=0.5)]}, "margin_why"),
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
    verdicts = ["supported", "not supported", "undecided", "supported", *["not measured"] * 3]
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
    (finding,) = judge(run, claim(above("better", "reference", margin=0.7)))
    rows = [
        pd.concat([pd.read_parquet(path) for path in sorted((run / "scores" / name).rglob("*"))
                   if path.is_file()])
        for name in ("better", "reference")
    ]  # fmt: skip
    by_patient = [frame.groupby("patient")["psnr"].mean() for frame in rows]
    test = stats.ttest_1samp(by_patient[0] - by_patient[1], 0.7)
    (found,) = finding.comparisons
    low, high = test.confidence_interval(0.95)
    assert (found.lower, found.upper) == (pytest.approx(low), pytest.approx(high))
    assert found.p_value == pytest.approx(test.pvalue)


def test_one_scan_gives_a_direction_and_no_verdict(tmp_path):
    findings = judge(
        write_scores(tmp_path),
        claim(above("better", "reference")),
        claim(above("worse", "reference")),
        claim(above("reference", "worse", "better"), rank=2),
        settings=ONE_SCAN,
    )
    assert {each.verdict for each in findings} == {"undecided"}
    assert [each.leaning for each in findings] == ["supported", "not supported", "supported"]
    assert findings[0].reason == "leans to supported: one scan, one training"
    assert findings[0].p_value is None and findings[0].comparisons[0].lower is None


def test_margins_ask_for_more_and_allow_less(tmp_path):
    findings = judge(
        write_scores(tmp_path),
        claim(above("better", "reference", margin=0.5)),
        claim(above("better", "reference", margin=2.0)),
        claim(above("worse", "reference", margin=-2.0)),
        claim(above("worse", "reference", margin=-0.5)),
    )
    verdicts = [each.verdict for each in findings]
    assert verdicts == ["supported", "not supported", "supported", "not supported"]


def test_ratio_of_noise_is_a_geometric_mean(tmp_path):
    run = write_scores(tmp_path)
    part = above("better", "reference", transform="log")
    (found,) = judge(run, claim(part), settings=ONE_SCAN)[0].comparisons
    rows = [pd.read_parquet(run / f"scores/{name}/0/L1.parquet") for name in METHODS[:3:2]]
    expected = np.exp(np.mean(np.log(rows[0]["psnr"]) - np.log(rows[1]["psnr"])))
    assert (found.form, found.bound) == ("ratio", 1)
    assert found.estimate == pytest.approx(expected)


def test_holm_runs_over_all_claims_with_a_p_value_and_leaves_the_leaning(tmp_path):
    run = write_scores(tmp_path)
    barely = claim(above("better", "reference", margin=0.85))
    findings = judge(
        run, barely, *(claim(above(name, "reference")) for name in ("worse", "noisy", "gone"))
    )
    tested = [each for each in findings if each.p_value is not None]
    assert len(tested) == 3
    assert [each.p_holm for each in tested] == holm([each.p_value for each in tested])
    first = findings[0]
    assert first.p_value < 0.05 < first.p_holm
    assert (first.verdict, first.leaning) == ("undecided", "supported")
    assert first.reason == "leans to supported: not after Holm's correction"


def test_a_claim_on_a_gan_without_an_adversary_is_not_testable_and_leaves_holm(tmp_path):
    run = write_scores(tmp_path)
    for model, auc in (("worse", 0.504), ("noisy", 0.9), ("reference", None)):
        write_json(run / f"models/{model}/0/training.json", {"critic_auc": auc})
    settings = SETTINGS | {"chains": {"better": ["reference", "worse"], "noisy": ["noisy"]}}
    part = above("better", "reference")
    idle, working, plain = judge(
        run,
        claim(part, needs="adversary"),
        claim(above("noisy", "reference"), needs="adversary"),
        claim(part),
        settings=settings,
    )
    assert (idle.verdict, idle.leaning, idle.p_holm) == ("not testable", "not testable", None)
    assert idle.reason == (
        "adversary of Better not at work: AUC 0.50 of real against generated tiles"
    )
    assert (working.verdict, plain.verdict) == ("undecided", "supported")
    assert plain.p_holm == holm([working.p_value, plain.p_value])[1]
    asked = files_of_claims([claim(part, needs="adversary")], run, settings)
    assert run / "models/worse/0/training.json" in asked


# The rule


@pytest.mark.parametrize(
    ("outcomes", "rank", "missing", "verdict"),
    [
        (["for"], 1, 0, "supported"),
        (["for", "open"], 1, 0, "undecided"),
        (["for", "against"], 1, 0, "not supported"),
        (["for", "for"], 1, 1, "not measured"),
        (["against", "for"], 1, 1, "not supported"),
        (["against", "for", "for"], 2, 0, "supported"),
        (["for", "for", "for"], 2, 0, "not supported"),
        (["against", "against", "open"], 2, 0, "not supported"),
        (["against", "open", "for"], 2, 0, "undecided"),
        (["for", "for"], 2, 1, "not measured"),
        ([], 1, 1, "not measured"),
    ],
)
def test_parts_together(outcomes, rank, missing, verdict):
    assert weigh({"rank": rank}, [(each, 0.001) for each in outcomes], missing)[0] == verdict


def test_p_value_of_parts_together():
    assert weigh({}, [("for", 0.01), ("for", 0.03)]) == ("supported", 0.03)
    verdict, p_value = weigh({}, [("against", 0.01), ("for", 0.03), ("against", 0.002)])
    assert (verdict, p_value) == ("not supported", pytest.approx(3 * 0.002))
    assert weigh({}, [("for", None)]) == ("supported", None)
    assert weigh({}, [("for", None), ("for", 0.02)]) == ("supported", 0.02)
