"""Cost of a run: sums, shares, what is missing; ratios of the paired micro-benchmark."""

import csv
import io
import json
import time

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from training_inputs import METHODS, stage_of, write_cards

from ldct import probes
from ldct.errors import InputError
from ldct.evaluation.cost import collect_cost, read_benchmark
from ldct.files import read_yaml, write_json
from ldct.micro_benchmark import check_plan, measure_pairs, ratio_interval, time_in_turns
from ldct.registry import find_methods
from ldct.reporting.cost_formats import cost_csv, cost_html, cost_markdown
from ldct.stages import resolve_models
from ldct.training import loop
from ldct.training.networks import build_network

CPU = torch.device("cpu")
MODELS, CHAINS = resolve_models(["drl", "proposed"], find_methods([METHODS]), {"steps": 4}, 16)
SETTINGS = {
    "run": "tiny",
    "methods": ["low_dose", "proposed", "drl", "outside"],
    "models": MODELS,
    "chains": CHAINS,
    "cards": {
        "low_dose": {"title": "Low <Dose>", "kind": "identity"},
        "proposed": {"title": "Proposed", "kind": "cascade"},
        "drl": {"title": "DRL", "kind": "network"},
        "outside": {"title": "Out|side", "kind": "external"},
    },
    "method_seeds": {
        "low_dose": ["fixed"],
        "proposed": ["0", "1"],
        "drl": ["0", "1"],
        "outside": ["fixed"],
    },
    "test_patients": ["L001"],
}
FACTS = {
    "drl": {"parameters": 10, "critic_parameters": 0, "multiply_adds_per_slice": 100},
    "lsgan": {"parameters": 20, "critic_parameters": 7, "multiply_adds_per_slice": 200},
    "proposed_level2": {"parameters": 30, "critic_parameters": 0, "multiply_adds_per_slice": 300},
}
HEAD = "s\th:m:s\tmax_rss\tcpu_time\n"
SPENT = {("drl", "0"): 5.0, ("drl", "1"): 7.0, ("lsgan", "0"): 50.0, ("lsgan", "1"): 70.0}
SPENT |= {("proposed_level2", "0"): 6.0, ("proposed_level2", "1"): 6.0}


@pytest.fixture
def run(tmp_path):
    """Records of six trainings and their predictions, as the rules leave them."""
    write_json(tmp_path / "test/L001/volume.json", {"slice_index": [0, 4, 8, 12]})
    for (model, seed), seconds in SPENT.items():
        folder = tmp_path / "models" / model / seed
        # One training was resumed: the benchmark file knows its last part only.
        resumed = (model, seed) == ("drl", "1")
        restarts = {"restarts": 2 if resumed else 0}
        times = {"seconds": seconds + 1, "cpu_seconds": seconds}
        write_json(folder / "training.json", times | restarts)
        record = {"settings": {"steps": 4, "device": "cpu"}, "peak_memory_mb": 300.0}
        write_json(folder / "weights.safetensors.provenance.json", record)
        tsv = tmp_path / "benchmarks/train" / model / f"{seed}.tsv"
        tsv.parent.mkdir(parents=True, exist_ok=True)
        tsv.write_text(HEAD + "0.5\t0:00:00\t400.0\t0.1\n")
    for method in ("proposed", "drl"):
        for seed in ("0", "1"):
            inference = {"seconds": 10.0, "cpu_seconds": 8.0 if method == "proposed" else 4.0}
            record = {"settings": {"device": "cpu", "inference": inference}}
            write_json(tmp_path / f"predictions/{method}/{seed}/L001.npy.provenance.json", record)
    write_json(
        tmp_path / "predictions/low_dose/fixed/L001.npy.provenance.json",
        {"settings": {}, "seconds": 0.5, "cpu_seconds": 2.0, "peak_memory_mb": 100.0},
    )
    return tmp_path


def test_methods_are_sums_over_their_stages(run):
    cost = collect_cost(SETTINGS, run, FACTS)
    proposed, drl = cost["methods"]["proposed"], cost["methods"]["drl"]
    assert proposed["stages"] == ["lsgan", "proposed_level2"]
    assert proposed["parameters"] == 50
    assert proposed["multiply_adds_per_slice"] == 500
    assert proposed["training_cpu_seconds"] == pytest.approx(60 + 6)
    assert proposed["training_seconds"] == pytest.approx(61 + 7)
    assert drl["training_cpu_seconds"] == pytest.approx(6)
    assert drl["training_peak_memory_mb"] == 400
    assert list(cost["methods"]) == SETTINGS["methods"]


def test_stage_counts_all_parts_of_a_resumed_training(run):
    stage = collect_cost(SETTINGS, run, FACTS)["stages"]["drl"]
    assert stage["training_cpu_seconds"] == pytest.approx(6)
    assert stage["restarts"] == 2
    assert stage["seeds"] == 2
    batch = MODELS["drl"]["recipe"]["batch"]
    assert stage["tiles"] == 4 * batch
    assert stage["tiles_per_second"] == pytest.approx(4 * batch / 7)


def test_shared_stages_are_named(run):
    settings = {**SETTINGS, "methods": [*SETTINGS["methods"], "lsgan"]}
    settings["cards"] = {**SETTINGS["cards"], "lsgan": {"title": "LSGAN", "kind": "network"}}
    settings["method_seeds"] = {**SETTINGS["method_seeds"], "lsgan": ["0"]}
    settings["chains"] = {**CHAINS, "lsgan": ["lsgan"]}
    cost = collect_cost(settings, run, FACTS)
    assert cost["stages"]["lsgan"]["used_by"] == ["proposed", "lsgan"]
    assert cost["methods"]["proposed"]["shared_stages"] == {"lsgan": ["lsgan"]}


def test_inference_is_processor_time_per_slice_on_a_cpu(run):
    methods = collect_cost(SETTINGS, run, FACTS)["methods"]
    assert methods["proposed"]["inference_seconds_per_slice"] == pytest.approx(2.0)
    assert methods["proposed"]["inference_clock_seconds_per_slice"] == pytest.approx(2.5)
    assert methods["low_dose"]["inference_seconds_per_slice"] == pytest.approx(0.5)


def test_inference_is_time_on_the_clock_on_a_gpu(run):
    for seed in ("0", "1"):
        path = run / f"predictions/drl/{seed}/L001.npy.provenance.json"
        record = json.loads(path.read_text())
        record["settings"]["device"] = "cuda:0 (some GPU)"
        write_json(path, record)
    methods = collect_cost(SETTINGS, run, FACTS)["methods"]
    assert methods["drl"]["inference_seconds_per_slice"] == pytest.approx(2.5)


def test_what_is_not_recorded_is_none_and_a_dash(run):
    cost = collect_cost(SETTINGS, run, FACTS)
    outside = cost["methods"]["outside"]
    assert outside["inference_seconds_per_slice"] is None
    cost["micro"] = {}
    row = next(
        line for line in cost_markdown(cost, "tiny", "Caption.").splitlines() if "Out" in line
    )
    assert row.count("–") == 7
    assert json.loads(json.dumps(cost, allow_nan=False)) == cost


def test_benchmark_file_without_numbers(tmp_path):
    path = tmp_path / "0.tsv"
    path.write_text(HEAD + "1.5\t0:00:01\tNA\t-\n")
    assert read_benchmark(path) == {"s": 1.5}
    assert read_benchmark(tmp_path / "none.tsv") == {}


def test_tables_hold_every_method_and_stage_escaped(run):
    cost = collect_cost(SETTINGS, run, FACTS)
    pair = {"variant_a": "a", "variant_b": "b", "time_ratio": 2.0, "lower": 1.5, "upper": 2.5}
    pair |= {"memory_ratio": 1.2, "added_memory_ratio": 1.4, "conditions": "one thread"}
    cost["micro"] = {"a_over_b": pair}
    markdown, page = (make(cost, "tiny", "Caption.") for make in (cost_markdown, cost_html))
    assert "Low &lt;Dose&gt;" in markdown
    assert "Low &lt;Dose&gt;" in page
    assert "Out\\|side" in markdown
    for text in (markdown, page):
        assert "1.50 to 2.50" in text
        assert "proposed" in text
        assert "lost between the checkpoint and the stop" in text
    rows = list(csv.DictReader(io.StringIO(cost_csv(cost))))
    assert [row["name"] for row in rows if row["what"] == "method"] == SETTINGS["methods"]
    assert {row["name"] for row in rows if row["what"] == "stage"} == set(MODELS)


def test_facts_are_those_of_the_networks():
    """DRL: 224,971 parameters; its multiply-adds by PyTorch's own count of a real forward pass."""
    facts = probes.stage_facts(MODELS)
    assert facts["drl"]["parameters"] == 224_971
    assert facts["lsgan"]["critic_parameters"] > 0
    assert facts["drl"]["critic_parameters"] == 0
    network = build_network(MODELS["drl"]["network"], 0, "drl").eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 1, 64, 64))
    assert facts["drl"]["multiply_adds_per_slice"] == counter.get_total_flops() // 2 * 64


def test_variants_are_timed_in_turns():
    calls = []
    works = {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}
    seconds = time_in_turns(works, 3, CPU)
    assert calls == ["a", "b"] * 4
    assert [len(values) for values in seconds.values()] == [3, 3]


def test_timing_is_processor_time_on_a_cpu():
    assert probes.timed(lambda: time.sleep(0.3), CPU) < 0.1


def test_ratio_of_paired_rounds():
    """A common slowdown of a round cancels out; the interval holds the ratio of unequal rounds."""
    slow = np.array([1.0, 5.0, 2.0, 9.0])
    assert ratio_interval(3 * slow, slow) == pytest.approx((3, 3, 3))
    ratio, lower, upper = ratio_interval([3.0, 3.2, 2.8, 3.1], [1.0, 1.1, 0.9, 1.0])
    assert lower < ratio < upper
    assert ratio == pytest.approx(12.1 / 4.0)


def test_interval_covers_the_true_ratio():
    rng = np.random.default_rng(0)
    hits = 0
    for seed in range(200):
        a, b = 2 * rng.lognormal(0, 0.1, 12), rng.lognormal(0, 0.1, 12)
        _, lower, upper = ratio_interval(a, b, resamples=400, seed=seed)
        hits += lower <= 2.0 <= upper
    assert 0.85 * 200 <= hits <= 200


def test_shipped_plan_names_stages_that_exist():
    plan = read_yaml(METHODS.parent / "config/micro_benchmark.yaml")
    models, _ = resolve_models(plan["methods"], find_methods([METHODS]), "quick", 64)
    check_plan(plan, models)
    assert set(plan["pairs"]) == {
        "perceptual_over_mse",
        "adversarial_over_content",
        "cascade_over_drl_inference",
        "cascade_over_drlp_training_step",
    }
    with pytest.raises(InputError, match="no variant 'other'"):
        check_plan({**plan, "pairs": {"p": ["other", "drl"]}}, models)
    with pytest.raises(InputError, match="no stage 'missing'"):
        check_plan({**plan, "variants": {**plan["variants"], "x": {"train": ["missing"]}}}, models)


def test_pairs_are_measured_with_interval_and_memory(tmp_path):
    """The LSGAN step has a critic that its content-only variant lacks: slower for certain."""
    cards = write_cards(tmp_path / "cards")
    models = {name: stage_of(name, cards, 2) for name in ("small_drl", "small_lsgan")}
    plan = {
        "variants": {
            "with": {"title": "with critic", "train": ["small_lsgan"]},
            "without": {"title": "without", "train": ["small_lsgan"], "without": ["adversarial"]},
            "slice": {"title": "a slice", "apply": ["small_drl"]},
        },
        "pairs": {"adversarial": ["with", "without"], "same": ["slice", "slice"]},
    }
    found = measure_pairs(plan, models, batch=2, side=48, rounds=2, device=CPU)
    pair = found["adversarial"]
    assert pair["variant_a"] == "with critic"
    assert 1 < pair["lower"] <= pair["time_ratio"] <= pair["upper"]
    assert pair["memory_ratio"] > 1
    assert pair["n"] == 2
    assert "batch of 2 tiles of 16 x 16 pixels, cpu" in pair["conditions"]
    assert found["same"]["time_ratio"] == found["same"]["memory_ratio"] == 1
    assert "slice of 48 x 48 pixels" in found["same"]["conditions"]


def test_step_of_a_second_level_trains_it_on_what_the_first_gives(monkeypatch):
    """The probe is a real step: weights change, upstream ones do not."""
    built: list[nn.Module] = []

    def remember(*arguments):
        built.append(build_network(*arguments))
        return built[-1]

    for module in (probes, loop):
        monkeypatch.setattr(module, "build_network", remember)
    step = probes.training_step(MODELS["proposed_level2"], MODELS, 2, CPU)
    own, upstream = built[0], built[1]
    before = [[weight.clone() for weight in network.parameters()] for network in (own, upstream)]
    step()
    changed = [
        any(not torch.equal(a, b) for a, b in zip(old, network.parameters(), strict=True))
        for old, network in zip(before, (own, upstream), strict=True)
    ]
    assert changed == [True, False]
