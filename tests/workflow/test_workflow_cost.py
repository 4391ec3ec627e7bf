"""Cost tables, devices and inference in the whole workflow on synthetic patients."""

import json

import pandas as pd
import pytest
from workflow_runs import LEARNED, METHODS, MODELS, PATIENT

pytestmark = pytest.mark.end_to_end


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_cost_of_every_stage_and_method_is_there(finished_run):
    cost = read(finished_run / "results/tiny/tables/cost.json")
    assert set(cost["stages"]) == set(MODELS)
    assert set(cost["methods"]) == set(METHODS)
    for stage in cost["stages"].values():
        assert stage["parameters"] > 200_000
        assert stage["multiply_adds_per_slice"] > 5e10
        assert stage["training_cpu_seconds"] > 0
        assert 100 < stage["peak_memory_mb"] < 8000
        assert (stage["steps"], stage["restarts"]) == (2, 0)
    for name, method in cost["methods"].items():
        assert method["inference_seconds_per_slice"] > 0, name
        assert method["inference_peak_memory_mb"] > 20, name
    assert cost["stages"]["lsgan"]["used_by"] == ["proposed"]
    table = pd.read_csv(finished_run / "results/tiny/tables/cost.csv")
    assert list(table[table["what"] == "method"]["name"]) == METHODS


def test_pairs_of_the_paper_are_measured(finished_run):
    micro = read(finished_run / "results/tiny/tables/cost.json")["micro"]
    assert len(micro) == 5
    for pair in micro.values():
        assert 0 < pair["lower"] <= pair["time_ratio"] <= pair["upper"]
        assert pair["memory_ratio"] > 0
    assert micro["perceptual_over_mse"]["time_ratio"] > 1
    assert micro["adversarial_over_content"]["time_ratio"] > 1
    record = finished_run / "results/tiny/tables/micro_benchmark.json.provenance.json"
    assert read(record)["settings"]["device"] == "cpu"


def test_predictions_record_device_plan_and_time(finished_run):
    for method in LEARNED:
        path = finished_run / f"results/tiny/predictions/{method}/0/{PATIENT}.npy.provenance.json"
        settings = read(path)["settings"]
        assert settings["device"] == "cpu"
        inference = settings["inference"]
        assert (inference["tile"], inference["batch"]) == (0, 1)
        assert inference["precision"] == "fp32"
        assert inference["cpu_seconds"] > 0
    log = finished_run / f"logs/tiny/denoise/drl/0/{PATIENT}.log"
    assert "running on the CPU" in log.read_text()
    assert "running on the CPU" in (finished_run / "logs/tiny/train/drl/0.log").read_text()
