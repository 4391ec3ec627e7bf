"""Cost of a run: sums, shares, what is missing; ratios of the paired micro-benchmark."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from torch.utils.flop_counter import FlopCounterMode
from training_inputs import METHODS, stage_of, write_cards

from ldct.cli import main
from ldct.common.errors import InputError
from ldct.common.files import read_json, read_yaml, write_json
from ldct.configuration.registry import find_methods
from ldct.configuration.stages import resolve_models
from ldct.cost import probes
from ldct.cost.collect import all_jobs, collect_cost, read_benchmark
from ldct.cost.micro_benchmark import Setup, check_plan, conditions, measure_pairs, ratio_interval
from ldct.cost.table import all_jobs_note, cost_tables
from ldct.devices.engine import Engine
from ldct.networks.files import build_network

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
SHARES = {"start": {"mae": 0.25, "adversarial": 0.75}, "end": {"mae": 0.9, "adversarial": 0.1}}
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
        spent = {"seconds": seconds + 1, "cpu_seconds": seconds, "restarts": 2 if resumed else 0}
        if model == "lsgan":
            spent |= {"loss_shares": SHARES, "critic_auc": 0.5 + int(seed) / 4}
        write_json(folder / "training.json", spent)
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


@pytest.fixture
def with_lsgan():
    """The first level of Proposed is a method of its own, too."""
    return SETTINGS | {
        "methods": [*SETTINGS["methods"], "lsgan"],
        "cards": SETTINGS["cards"] | {"lsgan": {"title": "LSGAN", "kind": "network"}},
        "method_seeds": SETTINGS["method_seeds"] | {"lsgan": ["0"]},
        "chains": CHAINS | {"lsgan": ["lsgan"]},
    }


def change_record(path, **settings):
    path = path.with_name(f"{path.name}.provenance.json")
    record = read_json(path) if path.is_file() else {"settings": {"device": "cpu"}}
    record["settings"] |= settings
    write_json(path, record)


def shown(cost):
    """Heads to cells of every row of the methods' and the stages' table."""
    tables = cost_tables({**cost, "micro": {}})[:2]
    return [
        {row[0]: dict(zip(table.heads, row, strict=True)) for row in table.rows} for table in tables
    ]


def test_methods_are_sums_over_their_stages(run):
    cost = collect_cost(SETTINGS, run, FACTS)
    proposed, drl = cost["methods"]["proposed"], cost["methods"]["drl"]
    assert proposed["stages"] == ["lsgan", "proposed_level2"]
    assert proposed["parameters"] == 50
    assert proposed["multiply_adds_per_slice"] == 500
    assert proposed["training_cpu_seconds"] == pytest.approx(60 + 6)
    assert proposed["training_seconds"] == pytest.approx(61 + 7)
    assert proposed["inference_seconds_per_slice"] == pytest.approx(2.0)
    assert drl["training_peak_memory_mb"] == 400
    assert list(cost["methods"]) == SETTINGS["methods"]


def test_stage_counts_all_parts_of_a_resumed_training(run):
    stage = collect_cost(SETTINGS, run, FACTS)["stages"]["drl"]
    assert stage["training_cpu_seconds"] == pytest.approx(6)
    assert (stage["restarts"], stage["seeds"]) == (2, 2)


def test_a_gpu_and_tuning_have_columns_where_there_is_something_to_show(run):
    methods, stages = shown(collect_cost(SETTINGS, run, FACTS))
    heads = [*methods["DRL"], *stages["drl"]]
    assert not [head for head in heads if "GPU" in head or "Tuning" in head]
    gpu = {"device": "cuda:0 (some GPU)"}
    for seed in ("0", "1"):
        inference = {"seconds": 10.0, "cpu_seconds": 4.0}
        prediction = {"peak_gpu_memory_mb": 700.0 + int(seed), "inference": inference}
        change_record(run / f"predictions/drl/{seed}/L001.npy", **gpu, **prediction)
        weights = run / f"models/drl/{seed}/weights.safetensors"
        change_record(weights, **gpu, peak_gpu_memory_mb=900.0)
    tuned = run / "models/outside/fixed/parameters.json.provenance.json"
    write_json(tuned, {"cpu_seconds": 26.94})
    cost = collect_cost(SETTINGS, run, FACTS)
    assert cost["methods"]["drl"]["inference_seconds_per_slice"] == pytest.approx(2.5)
    methods, stages = shown(cost)
    assert methods["DRL"]["Inference GPU peak (MiB)"] == "701"
    assert methods["Proposed"]["Inference GPU peak (MiB)"] == "–"
    assert stages["drl"]["GPU peak (MiB)"] == methods["DRL"]["Training GPU peak (MiB)"] == "900"
    tuning = {title: row["Tuning, CPU time (s)"] for title, row in methods.items()}
    assert tuning == {"Low <Dose>": "–", "Proposed": "–", "DRL": "–", "Out|side": "26.9"}


def test_stages_tell_the_critics_auc_and_the_shares_of_their_terms(run):
    _, stages = shown(collect_cost(SETTINGS, run, FACTS))
    told = ("Critic AUC", "Shares of the loss, start → end (%)")
    assert [stages["lsgan"][head] for head in told] == ["0.62", "adversarial 75 → 10, mae 25 → 90"]
    assert [stages["drl"][head] for head in told] == ["–", "–"]


def test_what_is_not_recorded_or_does_not_apply_is_a_dash(run):
    cost = collect_cost(SETTINGS, run, FACTS)
    assert json.loads(json.dumps(cost, allow_nan=False)) == cost
    methods = shown(cost)[0]
    _title, *cells = methods["Out|side"].values()
    assert set(cells) == {"–"}
    assert methods["Low <Dose>"]["Inference per slice (s)"] == "0.5"
    assert methods["Low <Dose>"]["Parameters"] == "–"


def test_benchmark_file_without_numbers(tmp_path):
    path = tmp_path / "0.tsv"
    path.write_text(HEAD + "1.5\t0:00:01\tNA\t-\n")
    assert read_benchmark(path) == {"s": 1.5}
    assert read_benchmark(tmp_path / "none.tsv") == {}


def test_verb_writes_every_method_stage_and_pair(run, tmp_path):
    pair = {"variant_a": "a", "variant_b": "b", "time_ratio": 2.0, "lower": 1.5, "upper": 2.5}
    pair |= {"memory_ratio": 1.2, "added_memory_ratio": 1.4, "conditions": "one thread"}
    write_json(tmp_path / "micro.json", {"a_over_b": pair})
    settings = SETTINGS | {"dataset": {"title": "made-up"}, "budget_text": "4 steps per stage"}
    arguments = ["cost", "--settings", json.dumps(settings), "--run-folder", str(run)]
    arguments += ["--data-folder", str(run / "none"), "--micro", str(tmp_path / "micro.json")]
    arguments += ["--output", str(tmp_path / "out")]
    assert main(arguments) == 0
    for suffix in ("md", "html"):
        text = (tmp_path / f"out/cost.{suffix}").read_text(encoding="utf-8").replace("\\", "")
        for part in ("Low &lt;Dose&gt;", "a / b", "2.00 [1.50, 2.50]", "proposed", "4 steps per"):
            assert part in text
    rows = pd.read_csv(tmp_path / "out/cost.csv").groupby("what")["name"].agg(list)
    assert rows["method"] == SETTINGS["methods"] and set(rows["stage"]) == set(MODELS)
    assert read_json(tmp_path / "out/cost.json")["micro"] == {"a_over_b": pair}


def test_all_jobs_count_once_whatever_number_of_outputs_they_have(tmp_path):
    """Two outputs of one command, the second written later, and one of another job."""
    for name, command, seconds in (("a", "one", 1.0), ("b", "one", 3.0), ("c", "two", 27.0)):
        record = {"command": [command], "cpu_seconds": seconds}
        write_json(tmp_path / f"{name}.npy.provenance.json", record)
    spent = all_jobs([tmp_path], {"drl": {"training_cpu_seconds": 20.0}})
    assert spent == {"jobs": 2, "cpu_seconds": 30.0, "times_drl": 1.5}
    assert "2 jobs before this table: 30 CPU s, 1.5 times DRL" in all_jobs_note(spent)
    assert "times" not in all_jobs_note(all_jobs([tmp_path], {}))


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


def test_ratio_of_paired_rounds():
    """A common slowdown of a round cancels out; the interval holds the ratio of unequal rounds."""
    slow = np.array([1.0, 5.0, 2.0, 9.0])
    assert ratio_interval(3 * slow, slow) == pytest.approx((3, 3, 3))
    a, b = [3.0, 3.2, 2.8, 3.1], [1.0, 1.1, 0.9, 1.0]
    ratio, lower, upper = ratio_interval(a, b)
    expected = stats.ttest_1samp(np.log(np.divide(a, b)), 0).confidence_interval(0.95)
    assert (lower, upper) == pytest.approx((np.exp(expected.low), np.exp(expected.high)))
    assert ratio == pytest.approx(stats.gmean(np.divide(a, b)))


def test_shipped_plan_names_stages_that_exist():
    plan = read_yaml(METHODS.parent / "config/micro_benchmark.yaml")
    models, _ = resolve_models(plan["methods"], find_methods([METHODS]), "quick", 64)
    check_plan(plan, models)
    assert set(plan["pairs"]) == {
        "perceptual_over_mse",
        "adversarial_over_content",
        "five_critic_steps_over_one",
        "cascade_over_drl_inference",
        "cascade_over_drlp_training_step",
    }
    with pytest.raises(InputError, match="no variant 'other'"):
        check_plan({**plan, "pairs": {"p": ["other", "drl"]}}, models)
    with pytest.raises(InputError, match="no stage 'missing'"):
        check_plan({**plan, "variants": {**plan["variants"], "x": {"train": ["missing"]}}}, models)


def test_pairs_are_measured_with_interval_and_memory(tmp_path):
    """The LSGAN step has a critic that its content-only variant lacks: slower for certain."""
    models = {"small_lsgan": stage_of("small_lsgan", write_cards(tmp_path / "cards"), 2)}
    plan = {
        "variants": {
            "with": {"title": "with critic", "train": ["small_lsgan"]},
            "without": {"title": "without", "train": ["small_lsgan"], "without": ["adversarial"]},
        },
        "pairs": {"adversarial": ["with", "without"], "same": ["with", "with"]},
    }
    setup = Setup(2, 48, CPU, Engine(fused_optimizer=True), inference_precision="bf16")
    found = measure_pairs(plan, models, setup, 3)
    pair = found["adversarial"]
    assert pair["variant_a"] == "with critic"
    assert 1 < pair["lower"] <= pair["time_ratio"] <= pair["upper"]
    assert pair["memory_ratio"] > 1
    assert pair["df"] == 2
    assert found["same"]["time_ratio"] == found["same"]["memory_ratio"] == 1
    assert pair["conditions"] == (
        "batch of 2 tiles of 16 x 16 pixels, cpu, CPU time, one thread, fp32, fused_optimizer, "
        "random weights, in turns"
    )
    of_a_slice = conditions({"apply": ["small_lsgan"]}, models, setup)
    assert "slice of 48 x 48 pixels, cpu, CPU time, one thread, bf16" in of_a_slice
