"""Cost of loss terms and levels: variants timed in turns in one process, ratios with intervals.

Trainings of a run differ in more than one thing and share the machine with other jobs. Here two
variants differ in one thing and meet the same conditions: each round times every variant once, so
that what slows the machine slows both. Memory is the peak of a process that makes steps of one
variant only.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats

from ldct.common.errors import InputError
from ldct.common.files import read_yaml
from ldct.common.progress import track
from ldct.cost import probes
from ldct.denoising.network import InferencePlan
from ldct.devices.choice import enter
from ldct.devices.engine import Engine

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Setup:
    """What all variants have in common.

    batch : tiles per step. side : pixels of a slice's side.
    engine : from `resolve_engine`.
    precision, inference_precision : "fp32" or "bf16", of steps and of slices.
    """

    batch: int
    side: int
    device: torch.device
    engine: Engine
    precision: str = "fp32"
    inference_precision: str = "fp32"


def measure_pairs(
    plan: Mapping[str, Any], models: Mapping[str, Mapping[str, Any]], setup: Setup, rounds: int
) -> dict[str, dict[str, Any]]:
    """Time and memory ratio of every pair of the plan (config/micro_benchmark.yaml).

    models : resolved stages that the variants name. rounds : timings of each variant, two or more.
    Returns pair name to variant_a, variant_b (their titles), time_ratio a / b with the bounds
    `lower` and `upper` of its interval over rounds (`ratio_interval`), its `confidence` and degrees
    of freedom `df`, memory_ratio of the peaks, added_memory_ratio of what the peaks add to an idle
    process, mean seconds_a and seconds_b, and conditions. Raises InputError where the plan names
    what is not there.
    """
    check_plan(plan, models)
    variants = plan["variants"]
    memory = {
        name: probes.in_fresh_process(_peak, dict(variant), dict(models), setup)
        for name, variant in track(variants.items(), "memory of variants", len(variants))
    }
    works = {name: work_of(variant, models, setup) for name, variant in variants.items()}
    warm_up = probes.warm_up_calls(setup.engine, setup.device)
    seconds = time_in_turns(works, rounds, setup.device, warm_up)
    found = {}
    for pair, (a, b) in plan["pairs"].items():
        ratio, lower, upper = ratio_interval(seconds[a], seconds[b])
        found[pair] = {
            "variant_a": variants[a]["title"],
            "variant_b": variants[b]["title"],
            "time_ratio": ratio,
            "lower": lower,
            "upper": upper,
            "confidence": CONFIDENCE,
            "df": rounds - 1,
            "memory_ratio": memory[a]["peak_mb"] / memory[b]["peak_mb"],
            "added_memory_ratio": memory[a]["added_mb"] / memory[b]["added_mb"],
            "seconds_a": statistics.fmean(seconds[a]),
            "seconds_b": statistics.fmean(seconds[b]),
            "conditions": conditions(variants[a], models, setup),
        }
    return found


def read_plan(path: Path) -> dict[str, Any]:
    """Variants and pairs of a plan's file. InputError where it has none."""
    plan = read_yaml(path)
    if not isinstance(plan, dict) or not {"variants", "pairs"} <= set(plan):
        raise InputError(
            f"{path}: found no variants and pairs; expected a file like config/micro_benchmark.yaml"
        )
    return plan


def check_plan(plan: Mapping[str, Any], models: Mapping[str, Any]) -> None:
    """Raise InputError where a pair names no variant, or a variant no stage."""
    variants = plan["variants"]
    named = [
        (f"pair '{pair}'", "variant", variants, names) for pair, names in plan["pairs"].items()
    ]
    named += [
        (f"variant '{name}'", "stage", models, variant.get("train", variant.get("apply", [])))
        for name, variant in variants.items()
    ]
    for where, what, known, names in named:
        for name in names:
            if name not in known:
                raise InputError(f"{where}: no {what} '{name}'; known: {', '.join(known)}")


def conditions(
    variant: Mapping[str, Any], models: Mapping[str, Mapping[str, Any]], setup: Setup
) -> str:
    """What was timed and how, in words."""
    if "apply" in variant:
        what, how = f"slice of {setup.side} x {setup.side} pixels", [setup.inference_precision]
    else:
        size = models[variant["train"][0]]["tile_size"]
        what = f"batch of {setup.batch} tiles of {size} x {size} pixels"
        how = [setup.precision, *probes.options_on(setup.engine)]
    clock = "CPU time, one thread" if setup.device.type == "cpu" else "wall time"
    return ", ".join([what, setup.device.type, clock, *how, "random weights", "in turns"])


def work_of(
    variant: Mapping[str, Any], models: Mapping[str, Mapping[str, Any]], setup: Setup
) -> Callable[[], None]:
    """The function that is timed: a step of each stage, or one slice."""
    if "apply" in variant:
        levels = probes.random_levels([models[name] for name in variant["apply"]], setup.device)
        plan = InferencePlan(precision=setup.inference_precision)
        return probes.inference(levels, setup.side, setup.device, plan)
    without = variant.get("without", [])
    steps = []
    for name in variant["train"]:
        loss = {term: value for term, value in models[name]["loss"].items() if term not in without}
        stage = {**models[name], "loss": loss}
        how = (setup.batch, setup.device, setup.precision, setup.engine)
        steps.append(probes.training_step(stage, models, *how))

    def work() -> None:
        for step in steps:
            step()

    return work


def time_in_turns(
    works: Mapping[str, Callable[[], None]], rounds: int, device: torch.device, warm_up: int = 1
) -> dict[str, list[float]]:
    """Seconds of every work in every round; each is called `warm_up` times before, untimed."""
    for work in works.values():
        for _ in range(warm_up):
            work()
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in track(range(rounds), "timing in turns", rounds):
        for name, work in works.items():
            seconds[name].append(probes.timed(work, device))
    return seconds


def ratio_interval(a: Sequence[float], b: Sequence[float]) -> tuple[float, float, float]:
    """Geometric mean of the rounds' ratios a / b, and its 95 % interval over rounds.

    a, b : seconds of two variants, paired by round, two rounds or more. Ratios of paired rounds,
    so that what slows a whole round cancels; their logarithms' mean plus and minus Student's t
    (n - 1 degrees of freedom) times s / sqrt(n), taken back. Returns (ratio, lower, upper).
    """
    logs = np.log(a) - np.log(b)
    half = stats.t.ppf((1 + CONFIDENCE) / 2, logs.size - 1) * stats.sem(logs)
    return tuple(float(np.exp(logs.mean() + by)) for by in (0, -half, half))


def _peak(variant: dict[str, Any], models: dict[str, Any], setup: Setup) -> dict[str, float]:
    """Peak memory in MiB of this process after two calls of one variant, and what they added.

    Freed memory goes back to the system here, unlike in the suite's jobs: how much of it a job
    keeps varies by a quarter from run to run.
    """
    torch.set_num_threads(1)
    enter(setup.device)
    idle = probes.peak_memory_mb(setup.device)
    work = work_of(variant, models, setup)
    work()
    work()
    peak = probes.peak_memory_mb(setup.device)
    return {"peak_mb": peak, "added_mb": peak - idle}
