"""The claim ledger: readings of the paper, verdicts by the rule, and what a reader sees of them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ldct.cli import main
from ldct.errors import InputError
from ldct.evaluation.claims import (
    judge_claims,
    load_claims,
    place_interval,
    weigh,
)
from ldct.evaluation.claims_types import Comparison, Source
from ldct.evaluation.formulas import formula_of
from ldct.evaluation.protocol import load_protocol
from ldct.evaluation.run_files import IMAGES
from ldct.evaluation.uncertainty import holm
from ldct.files import read_json, write_json
from ldct.schema import validate

REPOSITORY = Path(__file__).resolve().parents[1]
PROTOCOL = REPOSITORY / "config/protocols/abdomen.yaml"
METHODS = ("better", "worse", "reference", "noisy")
SEEDS = {name: ["0"] for name in METHODS} | {"untrained": ["fixed"]}
SETTINGS = {
    "run": "made-up",
    "dataset": {"title": "made-up images", "simulated": True},
    "budget_text": "no training",
    "seeds": [0],
    "test_patients": ["L1"],
    "method_seeds": SEEDS,
    "cards": {name: {"title": name.title(), "kind": "network"} for name in METHODS},
    "control_cards": {},
    "broken": {},
    "protocol_file": str(PROTOCOL),
}
RULE = {
    "confidence": 0.95,
    "resamples": 500,
    "seed": 0,
    "supported": "s",
    "not_supported": "n",
    "undecided": "u",
    "not_measured": "m",
}


def write_scores(run: Path, slices: int = 24) -> Path:
    """PSNR 1 dB above and below the reference's, and one that differs by chance alone."""
    generator = np.random.default_rng(5)
    anatomy = 30 + np.sin(np.arange(slices))
    shift = {"better": 1.0, "worse": -1.0, "reference": 0.0, "noisy": 0.0}
    for name, by in shift.items():
        noise = generator.normal(0, 2.0 if name == "noisy" else 0.05, slices)
        noise -= noise.mean() if name == "noisy" else 0
        frame = pd.DataFrame(
            {
                "method": name,
                "seed": 0,
                "patient": "L1",
                "slice_index": range(slices),
                "z_mm": np.arange(slices, dtype=float),
                "protocol": "abdomen",
                "psnr": anatomy + by + noise,
                "ssim": np.nan,
            }
        )
        path = run / f"scores/{name}/0/L1.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.to_parquet(path)
    return run


def write_image_quality(run: Path, means: dict[str, float], slices: int = 24) -> Path:
    """LPIPS and the shape of the error of methods, with these means over slices."""
    chance = np.random.default_rng(6).normal(0, 0.05, slices)
    for name, mean in means.items():
        frame = pd.DataFrame(
            {
                "method": name,
                "seed": 0,
                "patient": "L1",
                "slice_index": range(slices),
                "z_mm": np.arange(slices, dtype=float),
                "protocol": "abdomen",
                "lpips": mean + chance,
                "soft_tissue_error_excess_kurtosis": mean + chance,
            }
        )
        path = run / f"image_quality/{name}/{SETTINGS['method_seeds'][name][0]}/L1.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.to_parquet(path)
    return run


def claim(*parts: dict, **changes) -> dict:
    named = {"id": "a_claim", "quotation": "It is so.", "place": "Section I", "reading": "As said."}
    return named | {"parts": list(parts)} | changes


def above(method: str, *references: str, **changes) -> dict:
    part = {"kind": "difference", "table": "scores", "metric": "psnr", "better": "higher"}
    return part | {"method": method, "references": list(references)} | changes


def judge(run: Path, *claims: dict, settings: dict = SETTINGS, published: dict | None = None):
    return judge_claims({"claims": claims}, source_of(run, settings, published))


def source_of(run: Path, settings: dict = SETTINGS, published: dict | None = None) -> Source:
    return Source(run, settings, load_protocol(PROTOCOL), published or {}, 0.95, 500, 0)


def compared(outcome: str, p_value: float | None = 0.001) -> Comparison:
    lower, upper = {"for": (1, 3), "against": (-3, -1), "open": (-1, 3)}[outcome]
    return Comparison(
        "psnr", "a", "b", "difference", "higher", 0, (lower + upper) / 2, lower, upper, p_value,
        "slices",
    )  # fmt: skip


# The paper's claims


def test_every_claim_of_the_paper_is_quoted_placed_and_read():
    claims = load_claims(REPOSITORY / "config/claims.yaml")["claims"]
    assert len(claims) >= 30
    for each in claims:
        assert len(each["quotation"].split()) >= 3, each["id"]
        assert each["place"].startswith(("Abstract", "Section", "Table")), each["id"]
        assert each["reading"].endswith("."), each["id"]


def test_every_margin_of_the_paper_has_a_reason():
    for each in load_claims(REPOSITORY / "config/claims.yaml")["claims"]:
        assert ("margin_why" in each) == any("margin" in part for part in each["parts"]), each["id"]


def test_methods_of_the_claims_exist():
    folders = {path.name for path in (REPOSITORY / "methods").iterdir()}
    for each in load_claims(REPOSITORY / "config/claims.yaml")["claims"]:
        for part in each["parts"]:
            named = {part.get("method"), *part.get("references", [])} - {None, *IMAGES}
            assert named <= folders, each["id"]


def test_every_metric_of_the_claims_has_a_title():
    for each in load_claims(REPOSITORY / "config/claims.yaml")["claims"]:
        for part in each["parts"]:
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
        ({"parts": [{"kind": "level", "better": "higher", "table": "texture"}]}, "metric"),
        ({"verdict": "supported"}, "unknown key 'verdict'"),
    ],
)
def test_faults_in_a_file_of_claims_are_named(tmp_path, changes, message):
    path = tmp_path / "claims.yaml"
    content = {"source": "A paper", "rule": RULE, "claims": [claim(above("a", "b")) | changes]}
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(InputError, match=message):
        load_claims(path)


def test_two_claims_of_one_name_are_refused(tmp_path):
    path = tmp_path / "claims.yaml"
    content = {"source": "A paper", "rule": RULE, "claims": [claim(above("a", "b"))] * 2}
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(InputError, match="a_claim stands twice"):
        load_claims(path)


# Verdicts on values


def test_verdicts_follow_planted_differences(tmp_path):
    run = write_scores(tmp_path)
    findings = judge(
        run,
        claim(above("better", "reference")),
        claim(above("worse", "reference")),
        claim(above("noisy", "reference")),
        claim(above("reference", "better", better="lower")),
        claim(above("missing", "reference")),
        claim(above("better", "reference", metric="ssim")),
        claim(above("better", "reference", metric="vif", table="image_quality")),
    )
    assert [each.verdict for each in findings] == [
        "supported",
        "not supported",
        "undecided",
        "supported",
        "not measured",
        "not measured",
        "not measured",
    ]
    assert "missing is no method of this run" in findings[4].reason
    assert "SSIM of better is undefined" in findings[5].reason
    assert "image_quality/better/0/L1.parquet was not made" in findings[6].reason
    assert findings[0].comparisons[0].estimate == pytest.approx(1.0, abs=0.05)


def test_margins_ask_for_more_and_allow_less(tmp_path):
    run = write_scores(tmp_path)
    verdicts = [
        each.verdict
        for each in judge(
            run,
            claim(above("better", "reference", margin=0.5)),
            claim(above("better", "reference", margin=2.0)),
            claim(above("worse", "reference", margin=-2.0)),
            claim(above("worse", "reference", margin=-0.5)),
        )
    ]
    assert verdicts == ["supported", "not supported", "supported", "not supported"]


def test_interval_is_that_of_the_difference_whatever_the_margin(tmp_path):
    run = write_scores(tmp_path)
    plain, moved = judge(
        run,
        claim(above("better", "reference")),
        claim(above("better", "reference", margin=0.7)),
    )
    for name in ("estimate", "lower", "upper"):
        assert getattr(plain.comparisons[0], name) == pytest.approx(
            getattr(moved.comparisons[0], name)
        )
    assert moved.comparisons[0].p_value > plain.comparisons[0].p_value


def test_all_parts_must_hold_and_one_refutes(tmp_path):
    run = write_scores(tmp_path)
    both, one, ranked = judge(
        run,
        claim(above("better", "reference", "worse")),
        claim(above("reference", "worse", "better")),
        claim(above("reference", "worse", "better"), rank=2),
    )
    assert both.verdict == "supported"
    assert one.verdict == "not supported"
    assert ranked.verdict == "supported"
    assert place_interval(ranked) == [2, 2]


def test_a_measure_that_is_switched_off_says_so_and_by_which_key(tmp_path):
    run = write_image_quality(tmp_path, {"better": np.nan, "reference": np.nan})
    lpips = above("better", "reference", table="image_quality", metric="lpips")
    off, on = (
        judge(run, claim(lpips), settings={**SETTINGS, "image_quality": {"lpips": network}})[0]
        for network in (None, "alex")
    )
    assert off.reason == "switched off: image_quality.lpips in the configuration"
    assert on.reason == "LPIPS of better is undefined in every row of table image_quality"


def test_ratio_of_noise_is_a_geometric_mean(tmp_path):
    run = write_scores(tmp_path)
    (found,) = judge(run, claim(above("better", "reference", transform="log")))
    rows = [pd.read_parquet(run / f"scores/{name}/0/L1.parquet") for name in METHODS[:3:2]]
    expected = np.exp(np.mean(np.log(rows[0]["psnr"]) - np.log(rows[1]["psnr"])))
    assert found.comparisons[0].form == "ratio"
    assert found.comparisons[0].estimate == pytest.approx(expected)
    assert found.comparisons[0].bound == 1


def test_the_papers_own_difference_stands_beside_ours(tmp_path):
    run = write_scores(tmp_path)
    published = {"better": {"psnr": 29.24}, "reference": {"psnr": 29.72}}
    (found,) = judge(run, claim(above("better", "reference")), published=published)
    assert found.comparisons[0].published == pytest.approx(-0.48)


def test_many_claims_ask_for_more_evidence(tmp_path):
    run = write_scores(tmp_path)
    claims = [claim(above("noisy", "reference")) for _ in range(20)]
    alone = judge(run, claim(above("better", "reference")))[0]
    among = judge(run, claim(above("better", "reference")), *claims)[0]
    assert among.p_value == alone.p_value
    assert among.p_holm == pytest.approx(min(1.0, 21 * alone.p_value))


def test_support_that_does_not_pass_the_correction_is_undecided_and_says_so(tmp_path):
    run = write_scores(tmp_path, slices=6)
    probe = judge(run, claim(above("better", "noisy")))[0]
    count = int(np.ceil(0.05 / probe.p_value)) + 1
    claims = [claim(above("better", "noisy"))] * count
    findings = judge(run, *claims)
    assert probe.verdict == "supported" or probe.p_value > 0.05
    if probe.verdict == "supported":
        assert findings[0].verdict == "undecided"
        assert findings[0].leaning == "supported"
        assert "Holm" in findings[0].reason


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
    found = weigh(
        {"rank": rank}, [compared(outcome) for outcome in outcomes], ["missing"] * missing
    )
    assert found[0] == verdict


def test_p_value_of_parts_together():
    parts = [compared("for", 0.01), compared("for", 0.03)]
    assert weigh({}, parts, []) == ("supported", 0.03)
    parts = [compared("against", 0.01), compared("for", 0.03), compared("against", 0.002)]
    verdict, p_value = weigh({}, parts, [])
    assert verdict == "not supported"
    assert p_value == pytest.approx(3 * 0.002)


def test_counted_numbers_need_no_p_value():
    assert weigh({}, [compared("for", None)], []) == ("supported", None)
    assert weigh({}, [compared("for", None), compared("for", 0.02)], []) == ("supported", 0.02)


@given(
    outcomes=st.lists(st.sampled_from(["for", "against", "open"]), min_size=1, max_size=6),
    missing=st.integers(0, 2),
    rank=st.integers(1, 3),
)
def test_nothing_is_supported_on_missing_values_nor_refuted_without_evidence(
    outcomes, missing, rank
):
    rank = min(rank, len(outcomes) + missing + 1)
    verdict, _ = weigh({"rank": rank}, [compared(each) for each in outcomes], ["gone"] * missing)
    if missing:
        assert verdict in ("not supported", "not measured")
    if set(outcomes) == {"open"}:
        assert verdict in ("undecided", "not measured")
    if outcomes == ["for"] * len(outcomes) and rank == 1 and not missing:
        assert verdict == "supported"


def test_a_place_beyond_the_last_is_refused(tmp_path):
    path = tmp_path / "claims.yaml"
    content = {"source": "A paper", "rule": RULE, "claims": [claim(above("a", "b"), rank=3)]}
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(InputError, match="found 3, expected a place among 2"):
        load_claims(path)


def test_equal_counts_exclude_less():
    """Two levels of one network are not cheaper than two levels of the same network."""
    equal = Comparison(
        "multiply_adds_per_slice", "a", "b", "ratio", "lower", 1, 1, 1, 1, None, "count"
    )
    assert equal.outcome == "against"


# What a reader sees


def run_ledger(tmp_path: Path, *arguments: str) -> int:
    claims = tmp_path / "claims.yaml"
    content = {
        "source": "A | paper",
        "rule": RULE,
        "claims": [
            claim(above("better", "reference"), id="first"),
            claim(above("worse", "reference"), id="second", quotation="<b> & it is so"),
            claim(above("gone", "reference"), id="third"),
        ],
    }
    claims.write_text(yaml.safe_dump(content))
    published = tmp_path / "published.yaml"
    published.write_text(yaml.safe_dump({"rows": {}}))
    run = write_scores(tmp_path / "run")
    paths = ["--run", str(run), "--claims", str(claims), "--published", str(published)]
    return main(["claims", *paths, "--settings", json.dumps(SETTINGS), *arguments])


def test_ledger_opens_with_counts_and_says_simulated_dose_in_rows_on_images(tmp_path, capsys):
    assert run_ledger(tmp_path) == 0
    counts = "1 supported, 1 not supported, 0 undecided, 1 not measured"
    assert counts in capsys.readouterr().out
    text = (tmp_path / "run/claims.md").read_text()
    assert counts in text.split("\n\n")[1]
    rows = [line for line in text.splitlines() if line.startswith("| [")]
    assert len(rows) == 3
    assert ["simulated dose" in row for row in rows] == [True, True, False]
    assert "every verdict on image data is one on simulated dose" in text
    assert "Counted parameters and operations bear on the paper whatever the dose" in text
    assert "on this patient's 24 slices, 1 training seed" in rows[0]
    page = (tmp_path / "run/claims.html").read_text()
    assert page.count("training seed; simulated dose") == 2
    assert "&lt;b&gt; &amp; it is so" in page
    found = read_json(tmp_path / "run/claims.json")
    assert found["counts"]["supported"] == 1
    assert [each["simulated_dose"] for each in found["claims"]] == [True, True, False]
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


def test_expecting_what_is_no_ledger_is_refused(tmp_path, capsys):
    other = tmp_path / "other.json"
    write_json(other, {"verdicts": []})
    assert run_ledger(tmp_path, "--expect", str(other)) == 1
    assert "other.json: unknown key 'verdicts'" in capsys.readouterr().err
    other.write_text("verdicts")
    assert run_ledger(tmp_path, "--expect", str(other)) == 1
    assert "not JSON" in capsys.readouterr().err


def test_written_ledger_follows_its_schema(tmp_path):
    assert run_ledger(tmp_path) == 0
    path = tmp_path / "run/claims.json"
    validate(read_json(path), "claims_ledger", str(path))


def test_metrics_that_failed_a_control_are_named_at_their_claims(tmp_path):
    flag = {"flagged": True, "reason": "does not put A above B", "note": ""}
    write_json(tmp_path / "run/tables/controls.json", {"metrics": {"psnr": flag, "lpips": flag}})
    assert run_ledger(tmp_path) == 0
    found = read_json(tmp_path / "run/claims.json")
    assert list(found["controls"]) == ["psnr"]
    assert found["claims"][0]["flagged_metrics"] == ["psnr"]
    for name in ("claims.md", "claims.html"):
        text = (tmp_path / "run" / name).read_text()
        assert "⚑ PSNR failed a control" in text
        assert "PSNR does not put A above B" in text


def test_holm_family_is_all_claims_with_a_p_value(tmp_path):
    run = write_scores(tmp_path)
    claims = [claim(above(name, "reference")) for name in ("better", "worse", "noisy", "gone")]
    findings = judge(run, *claims)
    tested = [each for each in findings if each.p_value is not None]
    assert len(tested) == 3
    assert [each.p_holm for each in tested] == holm([each.p_value for each in tested])
