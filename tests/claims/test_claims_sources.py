"""Claims on costs, timings and inserted discs, and what a reader sees of all claims."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up_run import ONE_SCAN, SETTINGS, above, claim, source_of, write_scores
from repository_files import REPOSITORY
from scipy import stats
from test_claims import judge, write_claims

from ldct.claims.judge import extent
from ldct.claims.measures import compare
from ldct.cli import main
from ldct.common.files import read_json, write_json


def test_cost_claims_read_the_cost_table_whatever_the_number_of_scans(tmp_path):
    pair = {"time_ratio": 1.5, "lower": 1.5 / 1.1, "upper": 1.5 * 1.1, "confidence": 0.95}
    content = {
        "methods": {
            "better": {"training_cpu_seconds": 80.0, "parameters": 10},
            "reference": {"training_cpu_seconds": 100.0, "parameters": 10},
            "worse": {"training_cpu_seconds": None},
        },
        "stages": {"better": {"device": "cpu"}},
        "micro": {"slow": pair | {"df": 5, "memory_ratio": 1.05}},
    }
    write_json(tmp_path / "tables/cost.json", content)
    cost = {"kind": "cost", "better": "lower", "method": "better", "references": ["reference"]}
    timed = cost | {"quantity": "training_time"}
    micro = {"kind": "micro", "pair": "slow", "better": "higher", "bound": 1.1}
    for part, verdict in (
        (timed, "supported"),
        (timed | {"references": ["worse"]}, "not measured"),
        # Two levels of one network are not cheaper than two levels of the same network.
        (cost | {"quantity": "parameters"}, "contradicted"),
        (micro | {"quantity": "time_ratio"}, "supported"),
        (micro | {"quantity": "memory_ratio"}, "contradicted"),
        (micro | {"pair": "fast", "quantity": "time_ratio"}, "not measured"),
    ):
        (found,) = judge(tmp_path, claim(part), settings=ONE_SCAN)
        assert found.verdict == verdict, part


@pytest.mark.parametrize(
    ("better", "ratio", "verdict"),
    [
        ("lower", 0.85, "supported"),
        ("lower", 1.02, "undecided"),
        ("lower", 1.15, "contradicted"),
        ("higher", 1.15, "supported"),
        ("higher", 0.95, "undecided"),
    ],
)
def test_one_timing_decides_nothing_within_its_margin(tmp_path, better, ratio, verdict):
    """What may be chance counts neither for a claim nor against it."""
    costs = {"better": 100 * ratio, "reference": 100.0}
    methods = {name: {"training_seconds": cost, "parameters": cost} for name, cost in costs.items()}
    content = {"methods": methods, "stages": {"better": {"device": "cuda:0"}}}
    write_json(tmp_path / "tables/cost.json", content)
    part = {"kind": "cost", "better": better, "method": "better", "references": ["reference"]}
    timed, counted = judge(
        tmp_path,
        claim(part | {"quantity": "training_time"}),
        claim(part | {"quantity": "parameters"}),
    )
    assert (timed.verdict, timed.leaning, timed.p_value) == (verdict, verdict, None)
    held = ratio < 1 if better == "lower" else ratio > 1
    assert counted.verdict == ("supported" if held else "contradicted")


def test_time_ratio_of_a_micro_benchmark_has_its_interval_and_p_value(tmp_path):
    rounds = np.log([1.1, 1.3, 1.2, 1.25, 1.18, 1.4])
    test = stats.ttest_1samp(rounds, np.log(1.1))
    low, high = np.exp(test.confidence_interval(0.95))
    pair = {"time_ratio": np.exp(rounds.mean()), "lower": low, "upper": high}
    content = {"micro": {"slow": pair | {"df": 5, "confidence": 0.95}}}
    write_json(tmp_path / "tables/cost.json", content)
    part = {"kind": "micro", "pair": "slow", "quantity": "time_ratio", "better": "higher"}
    found = compare(part | {"bound": 1.1}, None, source_of(tmp_path, confidence=0.8))
    assert found.p_value == pytest.approx(test.pvalue)
    expected = np.exp(test.confidence_interval(0.8))
    (over,) = found.tests
    assert (over.lower, over.upper) == pytest.approx(tuple(expected))


@pytest.mark.parametrize(
    ("ratio", "verdict"),
    [(4.0, "depends on the reading"), (1.05, "contradicted"), (None, "not measured")],
)
def test_a_time_is_judged_under_both_readings(tmp_path, ratio, verdict):
    costs = {"better": 200.0, "reference": 150.0}
    content = {
        "methods": {name: {"training_cpu_seconds": cost} for name, cost in costs.items()},
        "stages": {"level1": {"device": "cpu", "training_cpu_seconds": 160.0}},
        "micro": {"five_over_one": {"time_ratio": ratio}},
    }
    write_json(tmp_path / "tables/cost.json", content)
    part = {"kind": "cost", "better": "lower", "method": "better", "references": ["reference"]}
    other = {"instead_of": "five", "is": "one", "stage": "level1", "pair": "five_over_one"}
    own = claim(part | {"quantity": "training_time", "other_reading": other})
    (found,) = judge(tmp_path, own)
    assert found.verdict == verdict
    if ratio == 4:
        five, one = found.comparisons
        assert (five.reading, one.reading) == ("five", "one")
        assert one.estimate == pytest.approx((200 - 160 + 40) / 150)


def test_detectability_claims_compare_at_the_same_places(tmp_path):
    # The places differ far more among each other than the methods do at any one place.
    places = np.random.default_rng(0).normal(0, 1.0, 40)
    for name, d_prime, own in (("better", 2.5, 0.02), ("reference", 2.0, 0), ("worse", 2.505, 0)):
        at_places = d_prime + places + own * np.cos(np.arange(40))
        without = (at_places.sum() - at_places) / 39
        frame = pd.DataFrame(
            {
                "method": name,
                "seed": 0,
                "contrast_hu": [10.0, 20.0],
                "diameter_mm": 8.0,
                "observer": "cho",
                "d_prime": at_places.mean(),
                "leave_one_out": [without, without],
            }
        )
        path = tmp_path / f"detectability/{name}/0.parquet"
        path.parent.mkdir(parents=True)
        frame.to_parquet(path)
    part = {"kind": "detectability", "better": "higher", "method": "better"}
    over_reference, over_worse = judge(
        tmp_path,
        claim(part | {"references": ["reference"]}),
        claim(part | {"references": ["worse"]}),
    )
    (found,) = over_reference.comparisons
    differences = 0.5 + 0.02 * np.cos(np.arange(40))
    reach = stats.t.ppf(0.975, 39) * differences.std(ddof=1) / np.sqrt(40)
    # Places in one scan are no patients.
    assert (over_reference.verdict, over_reference.leaning) == ("undecided", "supported")
    assert found.estimate == pytest.approx(differences.mean())
    (over,) = found.tests
    assert over.unit == "places" and over.upper - found.estimate == pytest.approx(reach)
    assert extent(found) == "discs in one scan, their low dose simulated, one training"
    assert over_worse.leaning == "practically equal"


# What a reader sees


def run_ledger(tmp_path: Path, *arguments: str, settings: dict = SETTINGS) -> int:
    path = write_claims(
        tmp_path / "claims.yaml",
        claim(above("better", "reference"), id="first"),
        claim(above("worse", "reference"), id="second", quotation="<b> & it is so"),
        claim(above("gone", "reference"), id="third"),
    )
    run = write_scores(tmp_path / "run")
    paths = [str(run), "--claims", str(path)]
    return main(["claims", *paths, "--settings", json.dumps(settings), *arguments])


@pytest.mark.parametrize("name", ["claims.md", "claims.html"])
def test_page_has_a_line_for_each_claim_below_the_counts(tmp_path, capsys, name):
    assert run_ledger(tmp_path) == 0
    assert "1 supported, 1 contradicted, 0 practically equal" in capsys.readouterr().out
    text = (tmp_path / "run" / name).read_text()
    assert (
        "✓ 1 supported, ✗ 1 contradicted, = 0 practically equal, ? 0 undecided, – 1 not measured. "
        in text
    )
    assert "made-up images, simulated low dose; no training; seeds 0; protocol: " in text
    rows = [line for line in text.splitlines() if line.startswith("<summary><b>")]
    assert [row[12] for row in rows] == ["✓", "✗", "–"]
    assert rows[0].endswith("So it is · PSNR, Better − Reference: +0.98 [0.87, 1.09] dB</summary>")
    assert "&lt;b&gt; &amp; it is so" in text
    assert "Rests on: 4 scans, one training; p " in text
    assert "<h2>Heading</h2>" in text


def test_page_of_one_scan_gives_a_direction(tmp_path):
    assert run_ledger(tmp_path, settings=ONE_SCAN) == 0
    text = (tmp_path / "run/claims.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("<summary><b>")]
    assert rows[0].endswith("PSNR, Better − Reference: +0.89 dB</summary>")
    assert "undecided (one scan, one training: a direction, no test over patients)" in text
    assert "; above in 0 of 1 patients (claimed above 0, margin 0.2: open)" in text


def test_changed_verdicts_fail_with_their_list(tmp_path, capsys):
    assert run_ledger(tmp_path) == 0
    stored = tmp_path / "stored.json"
    assert (tmp_path / "run/claims.json.provenance.json").is_file()
    ledger = tmp_path / "run/claims.json"
    content = read_json(ledger)
    write_json(stored, content)
    ledger.unlink()
    assert run_ledger(tmp_path, "--expect", str(stored)) == 0
    assert not ledger.exists()  # it compares alone
    content["claims"][0]["verdict"] = "undecided"
    content["claims"][2]["id"] = "dropped"
    write_json(stored, content)
    assert run_ledger(tmp_path, "--expect", str(stored)) == 1
    message = capsys.readouterr().err
    assert "first: undecided -> supported" in message
    assert "dropped: not measured -> no such claim" in message
    assert "third: no such claim -> not measured" in message
    assert "second" not in message


def test_a_folder_without_scores_keeps_its_ledger(tmp_path, capsys):
    stored = shutil.copytree(REPOSITORY / "results/reference/demo-quick", tmp_path / "stored")
    before = (stored / "claims.json").read_bytes()
    assert main(["claims", str(stored)]) == 1
    assert "has no scores/" in capsys.readouterr().err
    assert (stored / "claims.json").read_bytes() == before


@pytest.mark.parametrize(
    ("text", "message"), [('{"verdicts": []}', "unknown key 'verdicts'"), ("x", "not valid JSON")]
)
def test_expecting_what_is_no_ledger_is_refused(tmp_path, capsys, text, message):
    other = tmp_path / "other.json"
    other.write_text(text)
    assert run_ledger(tmp_path, "--expect", str(other)) == 1
    assert f"other.json: {message}" in capsys.readouterr().err
