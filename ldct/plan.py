"""What a configuration will cost on this machine, foretold from timings of seconds.

Every distinct stage makes a few steps, every distinct chain denoises one slice, every classical
method a small image, each in a process of its own with one thread, as the rules run them. No data
are needed: pixels are made up, and where there is no tile table the number of tiles is estimated.
"""

import json
import os
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ldct import probes
from ldct.data.tiles import VOLUME
from ldct.errors import InputError
from ldct.progress import track
from ldct.schedule import Job, run_on
from ldct.stages import requested_memory_mb
from ldct.training.engine import CHANGE_BITS, Engine, resolve_engine
from ldct.training.recipe import total_steps

# Of the tiles of the challenge's training slices the paper kept 281,660 of 325,888.
KEPT_SHARE = 281_660 / 325_888
SIDE = 512
# Batches of the timings on a CPU: time per tile hardly depends on the batch, memory grows with it.
SMALL_BATCH, LARGE_BATCH = 2, 8
# Peaks of real trainings were this much above those of their steps alone: the tiles' pages of the
# memory-mapped volumes, and libraries.
DATA_MB = 130
TIMED_STEPS = 2
LEARNED_KINDS = ("network", "cascade")


def make_plan(
    settings: Mapping[str, Any], data: Path, *, cores: int, gpus: int, device: torch.device
) -> dict[str, Any]:
    """Hours and memory of every stage and method, and of the run.

    settings : of `ldct.configuration.resolve_run`.
    data : data folder of the data set; need not exist.
    cores : of `snakemake --cores`; gpus : jobs that may run on GPUs at once.
    """
    tiles, tiles_from = expected_tiles(settings, data)
    slices = expected_slices(settings)
    stages = plan_stages(settings, tiles, device)
    methods = plan_methods(settings, sum(slices.values()), device)
    jobs = list_jobs(settings, stages, methods, slices, cores, device)
    clock, memory = run_on(jobs, cores, gpus)
    return {
        "run": settings["run"],
        "dataset": settings["dataset"]["title"],
        "budget": settings["budget_text"],
        "seeds": len(settings["seeds"]),
        "device": str(device),
        "precision": settings["precision"],
        "engine": probes.options_on(engine_of(settings, device)),
        "processes": settings["engine"]["processes"],
        "inference_precision": settings["inference"]["precision"],
        "cores": cores,
        "tiles": tiles,
        "tiles_from": tiles_from,
        "test_slices": sum(slices.values()),
        "stages": stages,
        "methods": methods,
        "total": {
            "job_hours": sum(job.seconds * job.cores for job in jobs) / 3600,
            "clock_hours": clock / 3600,
            "peak_memory_mb": memory,
            "machine_memory_mb": machine_memory_mb(),
        },
    }


def machine_memory_mb() -> float:
    """Memory of this machine in MiB."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / probes.MEBI


def engine_of(settings: Mapping[str, Any], device: torch.device) -> Engine:
    """The run's engine as it acts on a device, as far as it changes time and memory of a step."""
    wishes = {name: settings["engine"][name] for name in CHANGE_BITS}
    return resolve_engine(Engine(**wishes), device)


def expected_tiles(settings: Mapping[str, Any], data: Path) -> tuple[int, str]:
    """Number of training tiles, and where the number is from; without the validation patient's."""
    held_out = settings["validation"]["patient"]
    table = data / "tiles.npy"
    if table.is_file():
        tiles = np.load(table, mmap_mode="r")
        if held_out is None:
            return len(tiles), str(table)
        number = settings["train_patients"].index(held_out)
        return int((tiles[:, VOLUME] != number).sum()), f"{table} without {held_out}"
    size, stride = settings["tiles"]["size"], settings["tiles"]["stride"]
    patients = settings["dataset"]["patients"]
    trained_on = [name for name in settings["train_patients"] if name != held_out]
    slices = sum(patients[name].get("slices") or 0 for name in trained_on)
    per_slice = ((SIDE - size) // stride + 1) ** 2
    reason = f"estimate: {slices} training slices, {KEPT_SHARE:.1%} of their tiles hold tissue"
    return round(slices * per_slice * KEPT_SHARE), reason


def expected_slices(settings: Mapping[str, Any]) -> dict[str, int]:
    """Test patient to number of slices; those that are added for lesions are not known."""
    every = 1 if settings["test"] == "all" else settings["test"]["every"]
    patients = settings["dataset"]["patients"]
    return {
        name: -(-(patients[name].get("slices") or 0) // every) for name in settings["test_patients"]
    }


def plan_stages(
    settings: Mapping[str, Any], tiles: int, device: torch.device
) -> dict[str, dict[str, Any]]:
    """Steps, seconds and memory of every stage; stages that differ in nothing are timed once."""
    models = settings["models"]
    kinds = {name: kind_of(stage, models) for name, stage in models.items()}
    examples = {kind: name for name, kind in reversed(kinds.items())}
    engine = engine_of(settings, device)
    measured = {
        kind: probe_stage(models[name], models, device, settings["precision"], engine)
        for kind, name in track(examples.items(), "timing stages", len(examples))
    }
    planned = {}
    for name, stage in models.items():
        probe, batch = measured[kinds[name]], stage["recipe"]["batch"]
        steps = total_steps(stage["recipe"], tiles)
        planned[name] = {
            "steps": steps,
            "batch": batch,
            "seconds_per_step": probe["seconds_per_tile"] * batch,
            "seconds": probe["seconds_per_tile"] * steps * batch,
            "peak_memory_mb": probe["memory_mb"] + probe["memory_mb_per_tile"] * batch,
            "requested_memory_mb": requested_memory_mb(stage, settings["engine"]["processes"]),
        }
    return planned


def kind_of(stage: Mapping[str, Any], models: Mapping[str, Any]) -> str:
    """What a step's time depends on, as text: two stages with the same text take the same time."""
    upstream = [models[name]["network"] for name in stage["upstream"]]
    keys = ("network", "target", "inputs", "loss", "tile_size")
    recipe = {key: stage["recipe"].get(key) for key in ("critic_steps", "batch")}
    return json.dumps([{key: stage[key] for key in keys}, recipe, upstream], sort_keys=True)


def probe_stage(
    stage: Mapping[str, Any],
    models: Mapping[str, Any],
    device: torch.device,
    precision: str,
    engine: Engine,
) -> dict[str, float]:
    """Seconds per tile and memory of one stage, from steps of two batch sizes."""
    batch = stage["recipe"]["batch"]
    large = batch if device.type == "cuda" else min(batch, LARGE_BATCH)
    small = min(SMALL_BATCH, large)
    upstream = {name: models[name] for name in stage["upstream"]}
    how = (TIMED_STEPS, str(device), precision, engine)
    found = probes.in_fresh_process(probes.steps_of_two_sizes, stage, upstream, small, large, *how)
    data_mb = DATA_MB if device.type == "cpu" else 0
    slope = (found["peak_large"] - found["peak_small"]) / max(large - small, 1)
    return {
        "seconds_per_tile": found["seconds_per_step"] / large,
        "memory_mb_per_tile": max(slope, 0.0),
        "memory_mb": found["peak_large"] - max(slope, 0.0) * large + data_mb,
    }


def plan_methods(
    settings: Mapping[str, Any], slices: int, device: torch.device
) -> dict[str, dict[str, Any]]:
    """Seconds per slice, of tuning, and memory of every method; None where it cannot be timed."""
    planned = {}
    chains: dict[str, dict[str, float]] = {}
    cards = settings["cards"]
    for name, card in track(cards.items(), "timing methods", len(cards)):
        found: dict[str, Any] = {"seconds_per_slice": None, "tuning_seconds": 0.0, "note": ""}
        levels = [settings["models"][model] for model in settings["chains"].get(name, [])]
        if card["kind"] in LEARNED_KINDS:
            key = json.dumps([[level["network"], level["inputs"]] for level in levels])
            if key not in chains:
                how = (SIDE, str(device), settings["inference"]["precision"])
                chains[key] = probes.in_fresh_process(probes.one_slice, levels, *how)
            found |= chains[key]
        elif card["kind"] in ("classical", "network_finetuned"):
            found |= probe_classical(settings["folders"][name], card.get("settings", {}), levels)
        elif card["kind"] == "identity":
            found["seconds_per_slice"] = 0.0
        else:
            found["note"] = "an external program is not timed"
        per_slice = found["seconds_per_slice"]
        seconds = None if per_slice is None else per_slice * slices
        planned[name] = {"title": card["title"], **found, "seconds": seconds}
    return planned


def probe_classical(
    folder: str, card_settings: Mapping[str, Any], levels: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Seconds per slice and of tuning, from a small image; a note where the method fails on it."""
    try:
        return probes.in_fresh_process(
            probes.small_image, folder, dict(card_settings), list(levels), SIDE
        )
    except InputError:
        raise
    except Exception as error:
        return {"note": f"not timed: {type(error).__name__}: {' '.join(str(error).split())}"}


def list_jobs(
    settings: Mapping[str, Any],
    stages: Mapping[str, Mapping[str, Any]],
    methods: Mapping[str, Mapping[str, Any]],
    slices: Mapping[str, int],
    cores: int,
    device: torch.device,
) -> list[Job]:
    """The jobs that train, tune and denoise; those with an unknown time are left out."""
    gpus = 1 if device.type == "cuda" else 0
    jobs = [
        Job(
            f"{name}/{seed}",
            stage["seconds"],
            tuple(f"{model}/{seed}" for model in settings["models"][name]["upstream"]),
            gpus=gpus,
            memory_mb=stage["peak_memory_mb"],
        )
        for name, stage in stages.items()
        for seed in settings["seeds"]
    ]
    for name, method in methods.items():
        if method["seconds_per_slice"] is None:
            continue
        chain = settings["chains"].get(name, [])
        tuning = (f"tune/{name}",) if method["tuning_seconds"] else ()
        jobs += [Job(job, method["tuning_seconds"]) for job in tuning]
        wide = 1 if chain else max(1, cores // 2)
        for seed in settings["method_seeds"][name]:
            for patient, count in slices.items():
                seconds = method["seconds_per_slice"] * count / wide
                after = (*tuning, *(f"{model}/{seed}" for model in chain))
                memory = method.get("peak_memory_mb") or 0.0
                own = gpus if chain else 0
                job = f"denoise/{name}/{seed}/{patient}"
                jobs.append(Job(job, seconds, after, wide, own, memory * wide))
    return jobs


def compare_plan(plan: Mapping[str, Any], cost: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Foretold over measured of training time and memory and inference time, for what both know.

    Each is a mapping of stage or method to ratio, with "median" beside.
    cost : of `ldct.evaluation.cost.collect_cost` of a finished run of the same configuration.
    """
    pairs = {
        "training_time": [
            (name, stage["seconds"], training_seconds(cost["stages"].get(name, {})))
            for name, stage in plan["stages"].items()
        ],
        "training_memory": [
            (name, stage["peak_memory_mb"], cost["stages"].get(name, {}).get("peak_memory_mb"))
            for name, stage in plan["stages"].items()
        ],
        "inference_time": [
            (
                name,
                method["seconds_per_slice"],
                cost["methods"].get(name, {}).get("inference_seconds_per_slice"),
            )
            for name, method in plan["methods"].items()
        ],
    }
    ratios = {
        what: {name: foretold / found for name, foretold, found in rows if foretold and found}
        for what, rows in pairs.items()
    }
    return {
        what: {**rows, "median": statistics.median(rows.values())}
        for what, rows in ratios.items()
        if rows
    }


def training_seconds(stage: Mapping[str, Any]) -> float | None:
    """Processor time of a training on a CPU; time on the clock on a GPU, or without a record."""
    on_cpu = str(stage.get("device", "cpu")).startswith("cpu")
    processor = stage.get("training_cpu_seconds") if on_cpu else None
    return processor or stage.get("training_seconds")
