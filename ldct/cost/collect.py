"""What every stage and method of a run cost, from the jobs' own records; no torch here."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ldct.common.files import read_json
from ldct.common.provenance import RECORD_SUFFIX, record_path
from ldct.common.run_files import FIXED, training_names

# Mean over jobs; one missing value does not make the mean of the others wrong, none gives None.
Number = float | None
# "start" and "end" to term to its share, in [0, 1].
Shares = dict[str, dict[str, float]] | None
SUMMED = ("parameters", "multiply_adds_per_slice", "training_seconds", "training_cpu_seconds")
SPENT = ("training_seconds", "training_cpu_seconds", "peak_memory_mb", "peak_gpu_memory_mb")
# Of a record's settings, where models were taken from a set of trained ones.
TAKEN, ELSEWHERE = "taken_from", "not trained here"
PEAKS = ("peak_memory_mb", "peak_gpu_memory_mb")


def collect_cost(
    settings: Mapping[str, Any], run: Path, facts: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Cost of every stage and method of a finished run.

    settings : methods, models, chains, cards, method_seeds, folds, test_patients of the resolved
        configuration.
    run : results folder of the run, with models, predictions and benchmarks.
    facts : model to parameters, critic_parameters and multiply_adds_per_slice.
    Returns {"stages", "methods"}; a number that does not apply or cannot be had is None.
    """
    users = stage_users(settings)
    stages = {
        model: {**facts[model], **stage_cost(run, model, settings, users[model])} for model in users
    }
    names = [name for name in settings["methods"] if name in settings["cards"]]
    methods = {name: method_cost(run, name, settings, stages) for name in names}
    return {"stages": stages, "methods": methods}


def stage_users(settings: Mapping[str, Any]) -> dict[str, list[str]]:
    """Model to the methods whose chain it is part of, in the order in which methods need them."""
    users: dict[str, list[str]] = {}
    chains = settings["chains"]
    # Chains of methods that only lend their stages come last.
    for name in dict.fromkeys([*settings["methods"], *chains]):
        for model in chains.get(name, []):
            users.setdefault(model, [])
            if name in settings["cards"]:
                users[model].append(name)
    return users


def stage_cost(
    run: Path, model: str, settings: Mapping[str, Any], users: Sequence[str]
) -> dict[str, Any]:
    """Time and memory of a stage's trainings, mean over seeds and folds."""
    seeds = next(settings["method_seeds"][name] for name in users)
    names = [name for seed in seeds for name in training_names(settings, seed)]
    jobs = [training_job(run, model, name) for name in names]
    recipe = settings["models"][model]["recipe"]
    steps = mean([job["steps"] for job in jobs])
    spent = {key: mean([job[key] for job in jobs]) for key in SPENT}
    return {
        **spent,
        "steps": steps,
        "batch": recipe["batch"],
        "device": jobs[0]["device"],
        "restarts": sum(job["restarts"] for job in jobs),
        "critic_auc": mean([job["critic_auc"] for job in jobs]),
        "loss_shares": mean_shares([job["loss_shares"] for job in jobs]),
        "seeds": len(jobs),
        "used_by": list(users),
    }


def training_job(run: Path, model: str, name: str) -> dict[str, Any]:
    """What the records and the benchmark file of one training say.

    `training.json` sums over the parts of a resumed training; the benchmark file, Snakemake's own,
    knows the last part.
    """
    folder = run / "models" / model / name
    record = read_record(folder / "weights.safetensors")
    benchmark = read_benchmark(run / "benchmarks/train" / model / f"{name}.tsv")
    spent = read_json(folder / "training.json")
    about = record.get("settings", {})
    return {
        "steps": about.get("steps"),
        "device": ELSEWHERE if TAKEN in about else str(about.get("device", "unknown")),
        "training_seconds": spent["seconds"],
        "training_cpu_seconds": spent["cpu_seconds"],
        "peak_memory_mb": largest(benchmark.get("max_rss"), record.get("peak_memory_mb")),
        "peak_gpu_memory_mb": about.get("peak_gpu_memory_mb"),
        "restarts": spent["restarts"],
        "critic_auc": spent.get("critic_auc"),
        "loss_shares": spent.get("loss_shares"),
    }


def mean_shares(found: Sequence[Shares]) -> Shares:
    """Mean over trainings of the terms' shares of the loss at start and end; None for one term."""
    if None in found or len(found[0]["end"]) < 2:
        return None
    return {
        when: {term: statistics.fmean(each[when][term] for each in found) for term in shares}
        for when, shares in found[0].items()
    }


def method_cost(
    run: Path, name: str, settings: Mapping[str, Any], stages: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Totals over a method's stages, and what it costs to apply."""
    chain = settings["chains"].get(name, [])
    own = [stages[model] for model in chain]
    card = settings["cards"][name]
    jobs = [
        inference_job(run, name, seed, patient)
        for seed in settings["method_seeds"][name]
        for patient in settings["test_patients"]
    ]
    timed = [] if card["kind"] == "predictions" else jobs  # those were copied, not made
    tunings = [
        read_record(run / "models" / name / folder / "parameters.json").get("cpu_seconds")
        for folder in training_names(settings, FIXED)
    ]
    return {
        "title": card["title"],
        "kind": card["kind"],
        "stages": list(chain),
        **{key: total([stage[key] for stage in own]) for key in SUMMED},
        **{f"training_{key}": largest(*[stage[key] for stage in own]) for key in PEAKS},
        "tuning_cpu_seconds": mean(tunings),
        "inference_seconds_per_slice": mean([job["seconds_per_slice"] for job in timed]),
        **{f"inference_{key}": largest(*[job[key] for job in timed]) for key in PEAKS},
        "inference_device": jobs[0]["device"],
    }


def inference_job(run: Path, name: str, seed: str, patient: str) -> dict[str, Any]:
    """What the record and the benchmark file of one prediction say.

    An external program writes no record: its benchmark file is read, where its rule puts that as
    the suite's rules do, and its time is that on the clock.
    """
    record = read_record(run / "predictions" / name / seed / f"{patient}.npy")
    benchmark = read_benchmark(run / "benchmarks/denoise" / name / seed / f"{patient}.tsv")
    slices = len(read_json(run / "test" / patient / "volume.json")["slice_index"])
    about = record.get("settings", {})
    spent = about.get("inference", {})
    clock = first_number(spent.get("seconds"), record.get("seconds"), benchmark.get("s"))
    processor = first_number(spent.get("cpu_seconds"), record.get("cpu_seconds"), clock)
    device = str(about.get("device", "cpu"))
    seconds = processor if device.startswith("cpu") else clock
    return {
        "seconds_per_slice": None if seconds is None else seconds / slices,
        "peak_memory_mb": largest(benchmark.get("max_rss"), record.get("peak_memory_mb")),
        "peak_gpu_memory_mb": about.get("peak_gpu_memory_mb"),
        "device": device,
    }


def all_jobs(folders: Sequence[Path], stages: Mapping[str, Mapping[str, Any]]) -> dict[str, Number]:
    """Processor time of all jobs whose outputs lie in some folders, beside DRL's training alone.

    Returns jobs, how many; cpu_seconds, the start of Python included; times_drl, that over the CPU
    seconds of DRL's steps, None without that stage. Not counted: programs that leave no provenance
    record, a GPU's time, and what a resumed training took before it was stopped.
    """
    spent: dict[tuple[str, ...], float] = {}
    for path in (path for folder in folders for path in folder.rglob(f"*{RECORD_SUFFIX}")):
        record = read_json(path)
        job = tuple(record.get("command", [str(path)]))  # one for all outputs of a job
        spent[job] = max(spent.get(job, 0.0), record.get("cpu_seconds", 0.0))
    seconds = sum(spent.values())
    drl = stages.get("drl", {}).get("training_cpu_seconds")
    times = seconds / drl if drl else None
    return {"jobs": len(spent), "cpu_seconds": seconds, "times_drl": times}


def read_record(output: Path) -> dict[str, Any]:
    """Provenance record of a file; empty without one."""
    path = record_path(output)
    record = read_json(path) if path.is_file() else {}
    if TAKEN in record.get("settings", {}):  # its time is that of copying
        return {"settings": record["settings"]}
    return record


def read_benchmark(path: Path) -> dict[str, float]:
    """Numbers of Snakemake's benchmark file of one job (its last attempt); empty without one."""
    if not path.is_file():
        return {}
    row = pd.to_numeric(pd.read_csv(path, sep="\t").iloc[-1], errors="coerce")
    return row[np.isfinite(row)].to_dict()


def first_number(*values: Number) -> Number:
    """The first value that is there."""
    return next((value for value in values if value is not None), None)


def mean(values: Sequence[Number]) -> Number:
    """Mean of the values that are there."""
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def total(values: Sequence[Number]) -> Number:
    """Sum; None of nothing, and where a value is missing."""
    return None if None in values or not values else sum(values)


def largest(*values: Number) -> Number:
    """Largest value that is there."""
    known = [value for value in values if value is not None]
    return max(known) if known else None
