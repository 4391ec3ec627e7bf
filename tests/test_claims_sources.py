"""Claims that rest on costs, timings, levels and inserted discs, and what their scope says."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from test_claims import (
    RULE,
    SEEDS,
    SETTINGS,
    above,
    claim,
    judge,
    source_of,
    write_image_quality,
    write_scores,
)

from ldct.evaluation.claims import (
    ledger,
    scope_of,
)
from ldct.evaluation.claims_measures import compare
from ldct.files import write_json
from ldct.micro_benchmark import ratio_interval


def test_cost_claims_read_the_cost_table(tmp_path):
    write_scores(tmp_path)
    write_json(
        tmp_path / "tables/cost.json",
        {
            "methods": {
                "better": {"training_cpu_seconds": 80.0, "parameters": 10},
                "reference": {"training_cpu_seconds": 100.0, "parameters": 10},
                "worse": {"training_cpu_seconds": None},
            },
            "stages": {"better": {"device": "cpu"}},
            "micro": {
                "slow": {
                    "time_ratio": 1.5,
                    "lower": 1.5 / 1.1,
                    "upper": 1.5 * 1.1,
                    "confidence": 0.95,
                    "df": 5,
                    "memory_ratio": 1.05,
                },
                "old": {"time_ratio": 1.5, "lower": 1.4, "upper": 1.6},
            },
        },
    )
    cost = {"kind": "cost", "better": "lower", "method": "better", "references": ["reference"]}
    micro = {"kind": "micro", "pair": "slow", "better": "higher", "margin": 0.1}
    found = judge(
        tmp_path,
        claim(cost | {"quantity": "training_time", "margin": 0.1}),
        claim(cost | {"quantity": "training_time", "margin": 0.3}),
        claim(cost | {"quantity": "parameters"}),
        claim(cost | {"quantity": "training_time", "references": ["worse"]}),
        claim(micro | {"quantity": "time_ratio"}),
        claim(micro | {"quantity": "memory_ratio"}),
        claim(micro | {"pair": "fast", "quantity": "time_ratio"}),
        claim(micro | {"pair": "old", "quantity": "time_ratio"}),
    )
    assert [each.verdict for each in found] == [
        "supported",
        "undecided",
        "not supported",
        "not measured",
        "supported",
        "not supported",
        "not measured",
        "not measured",
    ]
    assert found[0].comparisons[0].metric == "training_cpu_seconds"
    assert "make tables/micro_benchmark.json" in found[7].reason


@pytest.mark.parametrize(
    ("better", "ratio", "verdict"),
    [
        ("lower", 0.85, "supported"),
        ("lower", 0.95, "undecided"),
        ("lower", 1.02, "undecided"),
        ("lower", 1.15, "not supported"),
        ("higher", 1.15, "supported"),
        ("higher", 0.95, "undecided"),
        ("higher", 0.85, "not supported"),
    ],
)
def test_one_timing_decides_nothing_within_its_margin(tmp_path, better, ratio, verdict):
    """What may be chance counts neither for a claim nor against it."""
    times = {"better": 100 * ratio, "reference": 100.0}
    write_json(
        tmp_path / "tables/cost.json",
        {
            "methods": {
                name: {"training_seconds": time, "parameters": time} for name, time in times.items()
            },
            "stages": {"better": {"device": "cuda:0"}},
        },
    )
    part = {"kind": "cost", "better": better, "method": "better", "references": ["reference"]}
    timed, counted = judge(
        tmp_path,
        claim(part | {"quantity": "training_time", "margin": 0.1}),
        claim(part | {"quantity": "parameters", "margin": 0.1}),
    )
    assert timed.verdict == verdict
    assert timed.p_value is None
    assert counted.verdict == ("supported" if verdict == "supported" else "not supported")


def test_micro_benchmark_claims_raise_no_more_false_alarms_than_stated(tmp_path):
    """Six rounds at a true ratio equal to the bound: p values below 5 % in 5 % of benchmarks."""
    generator = np.random.default_rng(0)
    pairs = {}
    for number in range(400):
        ratio, lower, upper = ratio_interval(*np.exp(generator.normal(0, 0.05, (2, 6))))
        pairs[f"p{number}"] = {"time_ratio": ratio, "lower": lower, "upper": upper}
        pairs[f"p{number}"] |= {"df": 5, "confidence": 0.95}
    write_json(tmp_path / "tables/cost.json", {"micro": pairs})
    part = {"kind": "micro", "quantity": "time_ratio", "better": "higher"}
    source = source_of(tmp_path)
    found = [compare(part | {"pair": name}, None, source) for name in pairs]
    alarms = [each.p_value < 0.05 for each in found]
    assert np.mean(alarms) < 0.09
    assert alarms == [not each.lower <= 1 <= each.upper for each in found]
    at_80 = compare(part | {"pair": "p0"}, None, replace(source, confidence=0.8))
    assert at_80.upper / at_80.lower < found[0].upper / found[0].lower


def test_level_claims_compare_with_the_null_level_of_the_run(tmp_path):
    generator = np.random.default_rng(0)
    for name, mean in (("better", 0.1), ("worse", 2.0)):
        frame = pd.DataFrame(
            {
                "method": name,
                "seed": 0,
                "patient": "L1",
                "slice_index": range(20),
                "z_mm": np.arange(20.0),
                "periodic_peak": mean + generator.normal(0, 0.05, 20),
            }
        )
        path = tmp_path / f"texture/{name}/0/L1.parquet"
        path.parent.mkdir(parents=True)
        frame.to_parquet(path)
    level = {"kind": "level", "table": "texture", "metric": "periodic_peak"}
    claims = [
        claim(level | {"better": "higher", "method": "worse"}),
        claim(level | {"better": "lower", "method": "worse"}),
        claim(level | {"better": "lower", "method": "better"}),
    ]
    assert {each.verdict for each in judge(tmp_path, *claims)} == {"not measured"}
    write_json(tmp_path / "tables/texture.json", {"null_levels": {"periodic_peak": 0.35}})
    found = judge(tmp_path, *claims)
    assert [each.verdict for each in found] == ["supported", "not supported", "supported"]
    assert found[0].comparisons[0].bound == 0.35


def test_level_claims_compare_with_a_level_of_their_own(tmp_path):
    run = write_image_quality(tmp_path, {"untrained": 0.3})
    level = {"kind": "level", "table": "image_quality", "level": 0, "method": "untrained"}
    level |= {"metric": "soft_tissue_error_excess_kurtosis"}
    findings = judge(
        run,
        claim(level | {"better": "higher"}),
        claim(level | {"better": "higher", "margin": 0.5}),
        claim(level | {"better": "lower"}),
    )
    assert [each.verdict for each in findings] == ["supported", "not supported", "not supported"]
    assert [each.comparisons[0].bound for each in findings] == [0, 0.5, 0]


def test_seeds_are_named_where_a_method_was_trained(tmp_path):
    run = write_image_quality(tmp_path, {"untrained": 0.3, "better": 0.2})
    level = {"kind": "level", "table": "image_quality", "level": 0, "better": "higher"}
    level |= {"metric": "soft_tissue_error_excess_kurtosis"}
    untrained, trained = judge(
        run, claim(level | {"method": "untrained"}), claim(level | {"method": "better"})
    )
    assert scope_of(untrained) == "on this patient's 24 slices"
    assert scope_of(trained) == "on this patient's 24 slices, 1 training seed"


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
    part = {"kind": "detectability", "observer": "cho", "better": "higher", "method": "better"}
    over_reference, over_worse = judge(
        tmp_path,
        claim(part | {"references": ["reference"]}),
        claim(part | {"references": ["worse"]}),
    )
    (found,) = over_reference.comparisons
    differences = 0.5 + 0.02 * np.cos(np.arange(40))
    reach = stats.t.ppf(0.975, 39) * differences.std(ddof=1) / np.sqrt(40)
    assert over_reference.verdict == "supported"
    assert found.estimate == pytest.approx(differences.mean())
    assert found.upper - found.estimate == pytest.approx(reach)
    assert over_worse.verdict == "undecided"


def test_low_dose_of_discs_is_simulated_on_real_data_too(tmp_path):
    at_places = np.random.default_rng(0).normal(2.0, 0.1, 40)
    for name, by in (("better", 1.0), ("reference", 0.0)):
        frame = pd.DataFrame(
            {
                "method": name,
                "seed": 0,
                "contrast_hu": [10.0],
                "diameter_mm": 8.0,
                "observer": "cho",
                "d_prime": 2.0 + by,
                "leave_one_out": [at_places + by],
            }
        )
        path = tmp_path / f"detectability/{name}/0.parquet"
        path.parent.mkdir(parents=True)
        frame.to_parquet(path)
    write_scores(tmp_path)
    discs = {"kind": "detectability", "observer": "cho", "better": "higher", "method": "better"}
    findings = judge(
        tmp_path,
        claim(discs | {"references": ["reference"]}),
        claim(above("better", "reference")),
    )
    of_discs, of_scores = ledger(
        findings, {"source": "A paper", "rule": RULE}, {"simulated": False}, {}
    )["claims"]
    assert of_discs["simulated_dose"]
    assert of_discs["scope"] == (
        "on discs inserted into the test slices, whose low dose this suite simulated, "
        "1 training seed"
    )
    assert not of_scores["simulated_dose"]


def test_seeds_behind_a_detectability_claim_are_in_its_scope_and_its_interval(tmp_path):
    at_places = np.random.default_rng(0).normal(0, 0.1, 40)
    for name, by_seed in (("better", (2.4, 2.6)), ("untrained", (2.0,))):
        for seed, mean in zip(("0", "1") if len(by_seed) > 1 else ("fixed",), by_seed, strict=True):
            frame = pd.DataFrame(
                {
                    "method": name,
                    "seed": 0 if seed == "fixed" else int(seed),
                    "contrast_hu": [10.0],
                    "diameter_mm": 8.0,
                    "observer": "cho",
                    "d_prime": mean,
                    "leave_one_out": [mean + at_places / 39],
                }
            )
            path = tmp_path / f"detectability/{name}/{seed}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            frame.to_parquet(path)
    part = {"kind": "detectability", "observer": "cho", "better": "higher", "method": "better"}
    settings = {**SETTINGS, "method_seeds": {**SEEDS, "better": ["0", "1"]}}
    (found,) = judge(tmp_path, claim(part | {"references": ["untrained"]}), settings=settings)
    assert scope_of(found).endswith("this suite simulated, 2 training seeds")
    (comparison,) = found.comparisons
    assert comparison.estimate == pytest.approx(0.5)
    # Two trainings 0.2 apart, their mean within 0.1: far more doubt than the places give.
    assert comparison.upper - comparison.lower > 0.4


def test_simulated_dose_is_said_of_image_data_alone(tmp_path):
    """Counts hold whatever the dose, timings are of the machine."""
    write_scores(tmp_path)
    numbers = {"parameters": 10, "training_seconds": 5.0}
    write_json(
        tmp_path / "tables/cost.json",
        {"methods": dict.fromkeys(("better", "reference"), numbers), "stages": {}},
    )
    cost = {"kind": "cost", "better": "lower", "method": "better", "references": ["reference"]}
    counted = cost | {"quantity": "parameters"}
    findings = judge(
        tmp_path,
        claim(above("better", "reference")),
        claim(counted),
        claim(cost | {"quantity": "training_seconds"}),
        claim(counted, above("better", "reference")),
        claim(above("gone", "reference")),
    )
    rows = ledger(findings, {"source": "A paper", "rule": RULE}, {"simulated": True}, {})["claims"]
    assert [row["simulated_dose"] for row in rows] == [True, False, False, True, False]
