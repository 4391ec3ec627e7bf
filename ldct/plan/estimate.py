"""What a configuration will cost on this machine, foretold from timings of seconds.

Every distinct stage makes a few steps, every distinct chain denoises one slice, every classical
method a small image, each in a process of its own with one thread, as the rules run them. No data
are needed: pixels are made up, and where there is no tile table the number of tiles is estimated.
"""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from ldct.common.errors import InputError
from ldct.common.progress import track
from ldct.common.run_files import FIXED, training_name, training_names
from ldct.configuration.stages import requested_memory_mb
from ldct.cost import probes
from ldct.devices.choice import free_memory, is_gpu, total_memory_mb
from ldct.devices.engine import Engine, resolve_engine
from ldct.devices.torch_build import CHANGE_BITS
from ldct.plan import probes as plan_probes
from ldct.plan.counts import (
    MEBI,
    SIDE,
    expected_slices,
    expected_tiles,
    expected_volume_mb,
    without_slices,
)
from ldct.plan.probes import THOROUGH, Effort
from ldct.plan.schedule import Job, run_on
from ldct.training.feeding import DEVICE_SHARE
from ldct.training.recipe import total_steps

SMALL_BATCH = 2
# Peaks of real trainings were this much above those of their steps alone: the tiles' pages of the
# memory-mapped volumes, and libraries.
DATA_MB = 200
LEARNED_KINDS = ("network", "cascade")


def make_plan(
    settings: Mapping[str, Any], data: Path, *, cores: int, gpus: int, device: torch.device
) -> dict[str, Any]:
    """Hours and memory of every stage and method, and of the run.

    settings : of `ldct.configuration.resolve.resolve_run`.
    data : data folder of the data set; need not exist.
    cores : of `snakemake --cores`; gpus : GPUs that the run may use.
    device : what is measured on; a GPU is held by the caller.
    Raises InputError where a training's processes have no GPU each.
    """
    check_processes(settings, gpus, device)
    tiles, tiles_from = expected_tiles(settings, data)
    slices = expected_slices(settings)
    held_mb = held_volume_mb(settings, device)
    stages = plan_stages(settings, tiles, cores, held_mb, device)
    methods = plan_methods(settings, sum(slices.values()), device)
    jobs = list_jobs(settings, stages, methods, slices, cores, device)
    course = run_on(jobs, cores, gpus, settings["jobs_per_gpu"])
    return {
        "run": settings["run"],
        "dataset": settings["dataset"]["title"],
        "budget": settings["budget_text"],
        "seeds": len(settings["seeds"]),
        "folds": len(settings["folds"]),
        "device": str(device),
        "precision": settings["precision"],
        "engine": probes.options_on(engine_of(settings, device)),
        "processes": settings["engine"]["processes"],
        "torchrun": list(settings["engine"]["torchrun"]),
        "volumes_on_device_mb": held_mb,
        "inference_precision": settings["inference"]["precision"],
        "cores": cores,
        "gpus": gpus if is_gpu(device) else 0,
        "jobs_per_gpu": settings["jobs_per_gpu"],
        "tiles": tiles,
        "tiles_from": tiles_from,
        "without_slices": without_slices(settings, data),
        "test_slices": sum(slices.values()),
        "stages": stages,
        "methods": methods,
        "total": {
            "job_hours": sum(job.seconds * job.cores for job in jobs) / 3600,
            "clock_hours": course.seconds / 3600,
            "peak_memory_mb": course.memory_mb,
            "machine_memory_mb": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / MEBI,
            "peak_gpu_memory_mb": course.gpu_memory_mb if is_gpu(device) else None,
            "gpu_memory_mb": total_memory_mb(device),
        },
    }


def check_processes(settings: Mapping[str, Any], gpus: int, device: torch.device) -> None:
    """Raise InputError where there are fewer GPUs than processes of one training."""
    processes = settings["engine"]["processes"]
    if is_gpu(device) and gpus < processes:
        raise InputError(
            f"--gpus: found {gpus} for engine.processes: {processes}, expected one GPU for each; "
            f"say --gpus {processes}, or lower engine.processes"
        )


def held_volume_mb(settings: Mapping[str, Any], device: torch.device) -> float:
    """MiB of the volumes that each process of a training copies to its device; 0 where none."""
    wish, volumes = settings["engine"]["volumes_on_device"], expected_volume_mb(settings)
    if wish == "auto":
        free = free_memory(device)
        wish = free is not None and volumes * MEBI <= DEVICE_SHARE * free
    return volumes if wish else 0.0


def engine_of(settings: Mapping[str, Any], device: torch.device) -> Engine:
    """The run's engine as it acts on a device, as far as it changes time and memory of a step."""
    wishes = {name: settings["engine"][name] for name in CHANGE_BITS}
    return resolve_engine(Engine(**wishes), device)


def plan_stages(
    settings: Mapping[str, Any],
    tiles: int,
    cores: int,
    held_mb: float,
    device: torch.device,
    effort: Effort = THOROUGH,
) -> dict[str, dict[str, Any]]:
    """Steps, seconds and memory of every stage; stages that differ in nothing are timed once.

    held_mb : of volumes on the device, for each process.
    Of several processes one is timed, with its part of the batch. On a CPU with fewer cores they
    take turns. Memory of the machine is that of all processes, memory of a GPU that of one.
    """
    models = {} if settings["weights"] else settings["models"]
    processes = settings["engine"]["processes"]
    lanes = processes if is_gpu(device) else min(processes, cores)
    kinds = {name: kind_of(stage, models) for name, stage in models.items()}
    examples = {kind: name for name, kind in reversed(kinds.items())}
    how = (device, settings["precision"], engine_of(settings, device), effort)
    measured = {
        kind: probe_stage(models[name], models, processes, *how)
        for kind, name in track(examples.items(), "timing stages", len(examples))
    }
    host_mb, gpu_mb = (0.0, held_mb) if is_gpu(device) else (held_mb, 0.0)
    planned = {}
    for name, stage in models.items():
        probe, batch = measured[kinds[name]], stage["recipe"]["batch"]
        part = batch // processes
        steps = total_steps(stage["recipe"], tiles)
        per_step = probe["seconds_per_tile"] * part * processes / lanes
        on_host = probe["memory_mb"] + probe["memory_mb_per_tile"] * part + host_mb
        on_gpu = probe["gpu_memory_mb"]
        planned[name] = {
            "steps": steps,
            "batch": batch,
            "cores": lanes,
            "seconds_per_step": per_step,
            "seconds": per_step * steps,
            "peak_memory_mb": on_host * processes,
            "peak_gpu_memory_mb": None if on_gpu is None else on_gpu + gpu_mb,
            "requested_memory_mb": requested_memory_mb(stage, processes),
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
    processes: int,
    device: torch.device,
    precision: str,
    engine: Engine,
    effort: Effort,
) -> dict[str, Any]:
    """Seconds per tile and memory of one process of a stage, from steps of two batch sizes.

    gpu_memory_mb : with the process's part of the batch; None on a CPU.
    """
    part = stage["recipe"]["batch"] // processes
    large = part if is_gpu(device) else min(part, effort.batch)
    small = min(SMALL_BATCH, large)
    upstream = {name: models[name] for name in stage["upstream"]}
    found = probed(
        effort,
        plan_probes.steps_of_two_sizes,
        *(stage, upstream, small, large, str(device), precision, engine, effort),
    )
    slope = max((found["peak_large"] - found["peak_small"]) / max(large - small, 1), 0.0)
    return {
        "seconds_per_tile": found["seconds_per_step"] / large,
        "memory_mb_per_tile": slope,
        "memory_mb": found["peak_large"] - slope * large + DATA_MB,
        "gpu_memory_mb": found["peak_gpu"],
    }


def plan_methods(
    settings: Mapping[str, Any], slices: int, device: torch.device, effort: Effort = THOROUGH
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
                inference = settings["inference"]
                side = SIDE if is_gpu(device) else int(SIDE * effort.share)
                how = (side, SIDE, str(device), inference["precision"], inference["tile"])
                chains[key] = probed(effort, plan_probes.one_slice, levels, *how)
            found |= chains[key]
        elif card["kind"] in ("classical", "network_finetuned"):
            given = (settings["folders"][name], dict(card.get("settings", {})), levels, SIDE)
            try:
                found |= probed(effort, plan_probes.small_image, *given)
            except InputError:
                raise
            except Exception as error:
                reason = " ".join(str(error).split())
                found["note"] = f"not timed: {type(error).__name__}: {reason}"
            if levels and is_gpu(device):
                found["note"] = found["note"] or "timed on the CPU"
        elif card["kind"] == "identity":
            found["seconds_per_slice"] = 0.0
        else:
            found["note"] = "not timed: made by another program"
        if settings["weights"]:
            found["tuning_seconds"] = 0.0
        per_slice = found["seconds_per_slice"]
        seconds = None if per_slice is None else per_slice * slices
        planned[name] = {"title": card["title"], **found, "seconds": seconds}
    return planned


def probed(effort: Effort, measure: Callable[..., Any], *arguments: Any) -> Any:
    """What is measured in a process of its own, or in this one where its memory is no matter."""
    if effort == THOROUGH:
        return probes.in_fresh_process(measure, *arguments)
    return measure(*arguments)


def list_jobs(
    settings: Mapping[str, Any],
    stages: Mapping[str, Mapping[str, Any]],
    methods: Mapping[str, Mapping[str, Any]],
    slices: Mapping[str, int],
    cores: int,
    device: torch.device,
) -> list[Job]:
    """The jobs that train, tune and denoise, named as their logs; without those of unknown time."""
    gpus = 1 if is_gpu(device) else 0
    jobs = [
        Job(
            f"train/{name}/{training}",
            stage["seconds"],
            tuple(f"train/{model}/{training}" for model in settings["models"][name]["upstream"]),
            min(stage["cores"], cores),
            gpus * settings["engine"]["processes"],
            stage["peak_memory_mb"],
            stage["peak_gpu_memory_mb"] or 0.0,
        )
        for name, stage in stages.items()
        for seed in settings["seeds"]
        for training in training_names(settings, str(seed))
    ]
    for name, method in methods.items():
        if method["seconds_per_slice"] is None:
            continue
        chain = settings["chains"].get(name, [])
        if method["tuning_seconds"]:
            for each in training_names(settings, FIXED):
                jobs.append(Job(f"tune_classical/{name}/{each}", method["tuning_seconds"]))
        wide = 1 if chain else max(1, cores // 2)
        for seed in settings["method_seeds"][name]:
            for patient, count in slices.items():
                seconds = method["seconds_per_slice"] * count / wide
                training, tuned = (training_name(settings, key, patient) for key in (seed, FIXED))
                after = [f"train/{model}/{training}" for model in chain if model in stages]
                after += [f"tune_classical/{name}/{tuned}"] if method["tuning_seconds"] else []
                memory = (method.get("peak_memory_mb") or 0.0) * wide
                own, on_gpu = (gpus if chain else 0), method.get("peak_gpu_memory_mb") or 0.0
                job = f"denoise/{name}/{seed}/{patient}"
                jobs.append(Job(job, seconds, tuple(after), wide, own, memory, on_gpu))
    return jobs
