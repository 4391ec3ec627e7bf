"""Cost of loss terms and levels: variants timed in turns in one process, ratios with intervals.

Trainings of a run differ in more than one thing and share the machine with other jobs. Here two
variants differ in one thing and meet the same conditions: each round times every variant once, so
that what slows the machine slows both. Memory is the peak of a process that makes steps of one
variant only.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import stats

from ldct import probes
from ldct.errors import InputError
from ldct.progress import track
from ldct.training.engine import Engine, resolve_engine

CONFIDENCE = 0.95
MEMORY_STEPS = 2


@dataclass(frozen=True)
class Setup:
    """What all variants have in common.

    batch : tiles per step. side : pixels of a slice's side.
    precision, inference_precision : "fp32" or "bf16", of steps and of slices.
    engine : from `resolve_engine`.
    """

    batch: int
    side: int
    device: torch.device
    precision: str
    inference_precision: str
    engine: Engine


def measure_pairs(
    plan: Mapping[str, Any],
    models: Mapping[str, Mapping[str, Any]],
    *,
    batch: int,
    side: int,
    rounds: int,
    device: torch.device,
    precision: str = "fp32",
    inference_precision: str = "fp32",
    engine: Engine | None = None,
) -> dict[str, dict[str, Any]]:
    """Time and memory ratio of every pair of the plan (config/micro_benchmark.yaml).

    models : resolved stages that the variants name.
    batch : tiles per step; side : pixels of a slice's side; rounds : timings of each variant, two
        or more.
    precision, inference_precision : "fp32" or "bf16", of steps and of slices.
    Returns pair name to variant_a, variant_b (their titles), time_ratio a / b with the bounds
    `lower` and `upper` of its 95 % interval over rounds (`ratio_interval`) and its degrees of
    freedom `df`, memory_ratio of the peaks, added_memory_ratio of what the peaks add to an idle
    process, mean seconds and peaks of both, n rounds and conditions. Raises InputError where the
    plan names what is not there, or with one round.
    """
    check_plan(plan, models)
    if rounds < 2:
        raise InputError(f"rounds: found {rounds}, expected 2 or more: one timing has no interval")
    variants = plan["variants"]
    engine = resolve_engine(engine or Engine(), device)
    setup = Setup(batch, side, device, precision, inference_precision, engine)
    memory = {
        name: probes.in_fresh_process(_peak, dict(variant), dict(models), setup)
        for name, variant in track(variants.items(), "memory of variants", len(variants))
    }
    seconds = time_in_turns(
        {name: work_of(variant, models, setup) for name, variant in variants.items()},
        rounds,
        device,
        probes.warm_up_calls(engine, device),
    )
    clock = "processor time, one thread" if device.type == "cpu" else "time on the clock"
    found = {}
    for pair, (a, b) in plan["pairs"].items():
        ratio, lower, upper = ratio_interval(seconds[a], seconds[b])
        size = next(iter(models.values()))["tile_size"]
        if "apply" in variants[a]:
            what, how = f"slice of {side} x {side} pixels", [inference_precision]
        else:
            what = f"batch of {batch} tiles of {size} x {size} pixels"
            how = [precision, *probes.options_on(engine)]
        found[pair] = {
            "variant_a": variants[a]["title"],
            "variant_b": variants[b]["title"],
            "time_ratio": ratio,
            "lower": lower,
            "upper": upper,
            "memory_ratio": memory[a]["peak_mb"] / memory[b]["peak_mb"],
            "added_memory_ratio": memory[a]["added_mb"] / memory[b]["added_mb"],
            "seconds_a": statistics.fmean(seconds[a]),
            "seconds_b": statistics.fmean(seconds[b]),
            "peak_memory_mb_a": memory[a]["peak_mb"],
            "peak_memory_mb_b": memory[b]["peak_mb"],
            "n": rounds,
            "df": rounds - 1,
            "confidence": CONFIDENCE,
            "conditions": ", ".join([what, device.type, clock, *how, "random weights", "in turns"]),
        }
    return found


def check_plan(plan: Mapping[str, Any], models: Mapping[str, Any]) -> None:
    """Raise InputError where a pair names no variant, or a variant no stage."""
    for pair, names in plan["pairs"].items():
        for name in names:
            if name not in plan["variants"]:
                known = ", ".join(plan["variants"])
                raise InputError(f"pair '{pair}': no variant '{name}'; known: {known}")
    for name, variant in plan["variants"].items():
        for stage in variant.get("train", variant.get("apply", [])):
            if stage not in models:
                raise InputError(
                    f"variant '{name}': no stage '{stage}'; known: {', '.join(models)}"
                )


def work_of(
    variant: Mapping[str, Any], models: Mapping[str, Mapping[str, Any]], setup: Setup
) -> Callable[[], None]:
    """The function that is timed: a step of each stage, or one slice."""
    if "apply" in variant:
        levels = [models[name] for name in variant["apply"]]
        return probes.inference(levels, setup.side, setup.device, setup.inference_precision)
    stages = [without_terms(models[name], variant.get("without", [])) for name in variant["train"]]
    how = (setup.batch, setup.device, setup.precision, setup.engine)
    steps = [probes.training_step(stage, models, *how) for stage in stages]

    def work() -> None:
        for step in steps:
            step()

    return work


def without_terms(stage: Mapping[str, Any], terms: Sequence[str]) -> dict[str, Any]:
    """The stage without some of its loss terms."""
    loss = {name: term for name, term in stage["loss"].items() if name not in terms}
    return {**stage, "loss": loss}


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
    """Peak memory in MiB of this process after steps of one variant, and what they added."""
    idle = probes.start_probe(setup.device)
    work = work_of(variant, models, setup)
    for _ in range(MEMORY_STEPS):
        work()
    peak = probes.peak_memory_mb(setup.device)
    return {"peak_mb": peak, "added_mb": peak - idle}
