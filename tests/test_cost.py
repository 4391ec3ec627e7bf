"""Cost of a run: sums, shares, what is missing; ratios of the paired micro-benchmark."""

import csv
import io
import json
import time

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from training_inputs import METHODS, stage_of, write_cards

from ldct import probes
from ldct.errors import InputError
from ldct.evaluation.cost import collect_cost, read_benchmark
from ldct.files import read_yaml, write_json
from ldct.micro_benchmark import check_plan, measure_pairs, ratio_interval, time_in_turns
from ldct.registry import find_methods
from ldct.reporting.cost_formats import cost_csv, cost_html, cost_markdown, cost_tables
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


def add_level_times(run, method, seed, **times):
    path = run / f"predictions/{method}/{seed}/L001.npy.provenance.json"
    record = json.loads(path.read_text())
    record["settings"]["inference"] |= times
    write_json(path, record)


def stage_row(cost, name):
    """Cells of a stage's row by the heads of its table."""
    table = cost_tables({**cost, "micro": {}})[1]
    cells = next(cells for cells in table.cells if cells[0][1].startswith(name))
    return {column.head: text for column, text in cells}


def test_inference_of_a_stage_is_its_part_of_the_predictions(run):
    """Four slices; LSGAN alone and as the first level of Proposed, whose seeds differ."""
    settings = {**SETTINGS, "methods": [*SETTINGS["methods"], "lsgan"]}
    settings["cards"] = {**SETTINGS["cards"], "lsgan": {"title": "LSGAN", "kind": "network"}}
    settings["method_seeds"] = {**SETTINGS["method_seeds"], "lsgan": ["0"]}
    settings["chains"] = {**CHAINS, "lsgan": ["lsgan"]}
    write_json(
        run / "predictions/lsgan/0/L001.npy.provenance.json",
        {"settings": {"device": "cpu", "inference": {"seconds": 6.0, "cpu_seconds": 5.5}}},
    )
    add_level_times(run, "lsgan", 0, level_seconds=[5.0], level_cpu_seconds=[4.0])
    add_level_times(run, "proposed", 0, level_seconds=[6.0, 3.0], level_cpu_seconds=[5.0, 2.0])
    add_level_times(run, "proposed", 1, level_seconds=[7.0, 3.0], level_cpu_seconds=[6.0, 2.0])
    cost = collect_cost(settings, run, FACTS)
    first, second, drl = (cost["stages"][name] for name in ("lsgan", "proposed_level2", "drl"))
    assert first["inference_seconds_per_slice"] == pytest.approx((4 + 5 + 6) / 3 / 4)
    assert first["inference_clock_seconds_per_slice"] == pytest.approx((5 + 6 + 7) / 3 / 4)
    assert first["inference_of"] == ["proposed", "lsgan"]
    assert second["inference_seconds_per_slice"] == pytest.approx(0.5)
    assert second["inference_of"] == ["proposed"]
    # Its predictions are of a run made before levels were timed.
    assert drl["inference_seconds_per_slice"] is None
    assert drl["inference_of"] == []
    assert stage_row(cost, "proposed_level2")["Inference, s a slice"] == "0.5"
    assert stage_row(cost, "drl")["Inference, s a slice"] == "–"
    assert json.loads(json.dumps(cost, allow_nan=False)) == cost


def test_columns_of_a_gpu_and_of_tuning_are_there_where_there_is_something_to_show(run):
    def heads(cost):
        return [
            {column.head for column in table.columns}
            for table in cost_tables({**cost, "micro": {}})[:2]
        ]

    methods, stages = heads(collect_cost(SETTINGS, run, FACTS))
    assert not {head for head in methods | stages if "GPU" in head or "Tuning" in head}
    for seed in ("0", "1"):
        path = run / f"predictions/drl/{seed}/L001.npy.provenance.json"
        settings = json.loads(path.read_text())["settings"]
        settings |= {"device": "cuda:0 (some GPU)", "peak_gpu_memory_mb": 700.0 + int(seed)}
        write_json(path, {"settings": settings})
        add_level_times(run, "drl", seed, level_seconds=[8.0])
        weights = run / f"models/drl/{seed}/weights.safetensors.provenance.json"
        record = json.loads(weights.read_text())
        record["settings"] |= {"device": "cuda:0 (some GPU)", "peak_gpu_memory_mb": 900.0}
        write_json(weights, record)
    tuned = run / "models/outside/fixed/parameters.json.provenance.json"
    write_json(tuned, {"cpu_seconds": 26.94})
    cost = collect_cost(SETTINGS, run, FACTS)
    methods, stages = heads(cost)
    assert {"Training GPU peak, MiB", "Inference GPU peak, MiB", "Tuning, CPU s"} <= methods
    assert "GPU peak, MiB" in stages
    assert cost["methods"]["drl"]["inference_peak_gpu_memory_mb"] == 701
    assert cost["stages"]["drl"]["inference_seconds_per_slice"] == pytest.approx(2.0)
    assert cost["methods"]["proposed"]["inference_peak_gpu_memory_mb"] is None
    table = cost_tables({**cost, "micro": {}})[0]
    tuning = {
        row[0][1]: text for row in table.cells for column, text in row if "Tun" in column.head
    }
    assert tuning == {"Low <Dose>": "–", "Proposed": "–", "DRL": "–", "Out|side": "26.9"}


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
    a, b = [3.0, 3.2, 2.8, 3.1], [1.0, 1.1, 0.9, 1.0]
    ratio, lower, upper = ratio_interval(a, b)
    expected = stats.ttest_1samp(np.log(np.divide(a, b)), 0).confidence_interval(0.95)
    assert (lower, upper) == pytest.approx((np.exp(expected.low), np.exp(expected.high)))
    assert ratio == pytest.approx(stats.gmean(np.divide(a, b)))


@pytest.mark.parametrize("skewed", [False, True])
def test_interval_covers_the_true_ratio(skewed):
    """With the six rounds of the default configuration, on a machine that is busy now and then."""
    rng = np.random.default_rng(0)
    rounds = read_yaml(METHODS.parent / "config/config.yaml")["micro_benchmark"]["rounds"]
    hits = []
    for _ in range(2000):
        busy = 1 + rng.exponential(0.5, rounds)
        own = rng.exponential(0.1, (2, rounds)) if skewed else rng.normal(0, 0.1, (2, rounds))
        a, b = busy * np.exp(own)
        _, lower, upper = ratio_interval(2 * a, b)
        hits.append(lower <= 2.0 <= upper)
    assert 0.92 <= np.mean(hits) <= 0.98


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
    found = measure_pairs(plan, models, batch=2, side=48, rounds=3, device=CPU)
    pair = found["adversarial"]
    assert pair["variant_a"] == "with critic"
    assert 1 < pair["lower"] <= pair["time_ratio"] <= pair["upper"]
    assert pair["memory_ratio"] > 1
    assert (pair["n"], pair["df"]) == (3, 2)
    assert "batch of 2 tiles of 16 x 16 pixels, cpu" in pair["conditions"]
    assert found["same"]["time_ratio"] == found["same"]["memory_ratio"] == 1
    assert "slice of 48 x 48 pixels" in found["same"]["conditions"]
    with pytest.raises(InputError, match="rounds: found 1, expected 2 or more"):
        measure_pairs(plan, models, batch=2, side=48, rounds=1, device=CPU)


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
