"""The claim ledger: readings of the paper, verdicts by the rule, and what a reader sees of them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import stats

from ldct.cli import main
from ldct.errors import InputError
from ldct.evaluation.claims import extent, judge_claims, load_claims, weigh
from ldct.evaluation.claims_measures import Comparison, Source, compare
from ldct.evaluation.formulas import formula_of
from ldct.evaluation.protocol import load_protocol
from ldct.evaluation.run_files import IMAGES
from ldct.evaluation.uncertainty import holm
from ldct.files import read_json, write_json
from ldct.schema import validate

REPOSITORY = Path(__file__).resolve().parents[1]
PROTOCOL = REPOSITORY / "config/protocols/abdomen.yaml"
PAPER = REPOSITORY / "config/claims.yaml"
METHODS = ("better", "worse", "reference", "noisy")
SEEDS = {name: ["0"] for name in METHODS} | {"untrained": ["fixed"]}
SETTINGS = {
    "run": "made-up",
    "dataset": {"title": "made-up images", "simulated": True},
    "budget_text": "no training",
    "seeds": [0],
    "test_patients": ["L1", "L2", "L3", "L4"],
    "method_seeds": SEEDS,
    "cards": {name: {"title": name.title(), "kind": "network"} for name in METHODS},
    "control_cards": {},
    "broken": {},
    "protocol_file": str(PROTOCOL),
}
ONE_SCAN = SETTINGS | {"test_patients": ["L1"]}
RULE = {"confidence": 0.95, "verdicts": "As it is."}


def write_scores(run: Path, slices: int = 6) -> Path:
    """PSNR 1 dB above and below the reference's, and one that differs by chance alone."""
    generator = np.random.default_rng(5)
    shift = {"better": 1.0, "worse": -1.0, "reference": 0.0, "noisy": 0.0}
    by_chance = [-2.0, 2.0, -1.5, 1.6]
    for name, by in shift.items():
        for number, patient in enumerate(SETTINGS["test_patients"]):
            chance = by_chance[number] if name == "noisy" else generator.normal(0, 0.03)
            noise = chance + generator.normal(0, 0.05, slices)
            frame = pd.DataFrame(
                {
                    "method": name,
                    "seed": 0,
                    "patient": patient,
                    "slice_index": range(slices),
                    "z_mm": np.arange(slices, dtype=float),
                    "protocol": "abdomen",
                    "psnr": 30 + number + by + noise,
                    "ssim": np.nan,
                }
            )
            path = run / f"scores/{name}/0/{patient}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            frame.to_parquet(path)
    return run


def claim(*parts: dict, **changes) -> dict:
    told = {"quotation": "It is so.", "place": "Section I", "reading": "As said."}
    return {"id": "a_claim", "statement": "So it is", **told, "parts": list(parts)} | changes


def above(method: str, *references: str, **changes) -> dict:
    part = {"kind": "difference", "table": "scores", "metric": "psnr", "better": "higher"}
    return part | {"method": method, "references": list(references)} | changes


def source_of(run: Path, settings: dict = SETTINGS, confidence: float = 0.95) -> Source:
    return Source(run, settings, load_protocol(PROTOCOL), confidence)


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


def test_all_parts_must_hold_and_one_refutes(tmp_path):
    findings = judge(
        write_scores(tmp_path),
        claim(above("better", "reference", "worse")),
        claim(above("reference", "worse", "better")),
        claim(above("reference", "worse", "better"), rank=2),
    )
    assert [each.verdict for each in findings] == ["supported", "not supported", "supported"]


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


def test_equal_counts_exclude_less():
    """Two levels of one network are not cheaper than two levels of the same network."""
    equal = Comparison("multiply_adds_per_slice", "a", "b", "ratio", "lower", 1, 1, "count")
    assert equal.outcome == "against"


# Costs, timings and inserted discs


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
    micro = {"kind": "micro", "pair": "slow", "better": "higher", "margin": 0.1}
    expected = {
        "supported": [
            cost | {"quantity": "training_time", "margin": 0.1},
            micro | {"quantity": "time_ratio"},
        ],
        "undecided": [cost | {"quantity": "training_time", "margin": 0.3}],
        "not supported": [cost | {"quantity": "parameters"}, micro | {"quantity": "memory_ratio"}],
        "not measured": [
            cost | {"quantity": "training_time", "references": ["worse"]},
            micro | {"pair": "fast", "quantity": "time_ratio"},
        ],
    }
    for verdict, parts in expected.items():
        for part in parts:
            (found,) = judge(tmp_path, claim(part), settings=ONE_SCAN)
            assert found.verdict == verdict, part
    (found,) = judge(tmp_path, claim(expected["supported"][0]))
    assert found.comparisons[0].metric == "training_cpu_seconds"


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
    costs = {"better": 100 * ratio, "reference": 100.0}
    methods = {name: {"training_seconds": cost, "parameters": cost} for name, cost in costs.items()}
    content = {"methods": methods, "stages": {"better": {"device": "cuda:0"}}}
    write_json(tmp_path / "tables/cost.json", content)
    part = {"kind": "cost", "better": better, "method": "better", "references": ["reference"]}
    timed, counted = judge(
        tmp_path,
        claim(part | {"quantity": "training_time", "margin": 0.1}),
        claim(part | {"quantity": "parameters", "margin": 0.1}),
    )
    assert (timed.verdict, timed.leaning, timed.p_value) == (verdict, verdict, None)
    assert counted.verdict == ("supported" if verdict == "supported" else "not supported")


def test_time_ratio_of_a_micro_benchmark_has_its_interval_and_p_value(tmp_path):
    rounds = np.log([1.1, 1.3, 1.2, 1.25, 1.18, 1.4])
    test = stats.ttest_1samp(rounds, np.log(1.1))
    low, high = np.exp(test.confidence_interval(0.95))
    pair = {"time_ratio": np.exp(rounds.mean()), "lower": low, "upper": high}
    content = {"micro": {"slow": pair | {"df": 5, "confidence": 0.95}}}
    write_json(tmp_path / "tables/cost.json", content)
    part = {"kind": "micro", "pair": "slow", "quantity": "time_ratio", "better": "higher"}
    found = compare(part | {"margin": 0.1}, None, source_of(tmp_path, confidence=0.8))
    assert found.p_value == pytest.approx(test.pvalue)
    expected = np.exp(test.confidence_interval(0.8))
    assert (found.lower, found.upper) == pytest.approx(tuple(expected))


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
    assert over_reference.verdict == "supported"
    assert found.estimate == pytest.approx(differences.mean())
    assert found.upper - found.estimate == pytest.approx(reach)
    assert extent(found) == "discs in one scan, their low dose simulated, one training"
    assert over_worse.verdict == "undecided"


# What a reader sees


def run_ledger(tmp_path: Path, *arguments: str, settings: dict = SETTINGS) -> int:
    path = write_claims(
        tmp_path / "claims.yaml",
        claim(above("better", "reference"), id="first"),
        claim(above("worse", "reference"), id="second", quotation="<b> & it is so"),
        claim(above("gone", "reference"), id="third"),
    )
    run = write_scores(tmp_path / "run")
    paths = ["--run", str(run), "--claims", str(path)]
    return main(["claims", *paths, "--settings", json.dumps(settings), *arguments])


@pytest.mark.parametrize("name", ["claims.md", "claims.html"])
def test_page_has_a_line_for_each_claim_below_the_counts(tmp_path, capsys, name):
    assert run_ledger(tmp_path) == 0
    assert "1 supported, 1 not supported, 0 undecided, 1 not measured" in capsys.readouterr().out
    text = (tmp_path / "run" / name).read_text()
    assert "✓ 1 supported, ✗ 1 not supported, ? 0 undecided, – 1 not measured" in text
    assert "made-up images, simulated low dose; no training; seeds 0; protocol: " in text
    rows = [line for line in text.splitlines() if line.startswith("<summary><b>")]
    assert [row[12] for row in rows] == ["✓", "✗", "–"]
    assert rows[0].endswith("So it is · PSNR, Better − Reference: +0.98 [0.87, 1.09] dB</summary>")
    assert "&lt;b&gt; &amp; it is so" in text
    assert "Rests on: 4 scans, one training; Holm p " in text
    assert "<h2>Heading</h2>" in text


def test_page_of_one_scan_says_which_way_it_leans(tmp_path):
    assert run_ledger(tmp_path, settings=ONE_SCAN) == 0
    text = (tmp_path / "run/claims.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("<summary><b>")]
    assert rows[0].endswith("dB · leans to ✓</summary>")
    assert rows[1].endswith("dB · leans to ✗</summary>")
    assert "undecided (leans to supported: one scan, one training)" in text


@pytest.mark.parametrize("settings", [SETTINGS, ONE_SCAN])
def test_written_ledger_follows_its_schema(tmp_path, settings):
    assert run_ledger(tmp_path, settings=settings) == 0
    path = tmp_path / "run/claims.json"
    validate(read_json(path), "claims_ledger", str(path))
    assert (tmp_path / "run/claims.json.provenance.json").is_file()


def test_changed_verdicts_fail_with_their_list(tmp_path, capsys):
    assert run_ledger(tmp_path) == 0
    stored = tmp_path / "stored.json"
    content = read_json(tmp_path / "run/claims.json")
    write_json(stored, content)
    assert run_ledger(tmp_path, "--expect", str(stored)) == 0
    content["claims"][0]["verdict"] = "undecided"
    content["claims"][2]["id"] = "dropped"
    write_json(stored, content)
    assert run_ledger(tmp_path, "--expect", str(stored)) == 1
    message = capsys.readouterr().err
    assert "first: undecided -> supported" in message
    assert "dropped: not measured -> no such claim" in message
    assert "third: no such claim -> not measured" in message
    assert "second" not in message


@pytest.mark.parametrize(
    ("text", "message"), [('{"verdicts": []}', "unknown key 'verdicts'"), ("x", "not valid JSON")]
)
def test_expecting_what_is_no_ledger_is_refused(tmp_path, capsys, text, message):
    other = tmp_path / "other.json"
    other.write_text(text)
    assert run_ledger(tmp_path, "--expect", str(other)) == 1
    assert f"other.json: {message}" in capsys.readouterr().err
