"""How long the jobs that wait will take: a figure for the start of a run, within seconds."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ldct.plan.counts import expected_slices, expected_tiles
from ldct.plan.estimate import list_jobs, plan_methods, plan_stages
from ldct.plan.probes import BRIEF
from ldct.plan.schedule import Job, run_on

# Means of the default run on one core of a server, Python's start included: a measure of one slice
# of one prediction; any other job that does not train, tune or denoise.
SLICE_SECONDS, JOB_SECONDS = 0.2, 4.0
MEASURES = ("score/", "image_quality/", "texture/")


def seconds_ahead(
    settings: Mapping[str, Any],
    waiting: Sequence[str],
    data: Path,
    *,
    cores: int,
    gpus: int,
    device: torch.device,
) -> float:
    """Seconds on the clock until all waiting jobs are done.

    settings : of `ldct.configuration.resolve.resolve_run`. waiting : names of the jobs' logs
    without folder and suffix, e.g. "train/drl/0". data, cores, gpus, device : as for `make_plan`.
    """
    slices, stages, names = expected_slices(settings), {}, set(waiting)
    if any(name.startswith("train/") for name in waiting):
        tiles, _ = expected_tiles(settings, data)
        plain = settings["engine"] | {"compile": False, "cuda_graphs": False}  # else minutes
        own = {**settings, "engine": plain}
        stages = plan_stages(own, tiles, cores, 0.0, device, BRIEF)
    methods = plan_methods(settings, sum(slices.values()), device, BRIEF)
    planned = [
        replace(job, after=tuple(names.intersection(job.after)))
        for job in list_jobs(settings, stages, methods, slices, cores, device)
        if job.name in names
    ]
    others = names - {job.name for job in planned}
    jobs = [*planned, *(Job(name, other_seconds(name, slices)) for name in others)]
    return run_on(jobs, cores, gpus, settings["jobs_per_gpu"]).seconds


def other_seconds(name: str, slices: Mapping[str, int]) -> float:
    """Seconds of a job that is not timed: by the slices of its patient, where it measures them."""
    count = slices.get(name.rpartition("/")[2], 0) if name.startswith(MEASURES) else 0
    return JOB_SECONDS / 4 + SLICE_SECONDS * count if count else JOB_SECONDS
