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

# Of jobs that do not train, tune or denoise, on one core of a server: Python's start and the like,
# and what scores, image quality and texture add for every slice, on the average.
JOB_SECONDS, SLICE_SECONDS = 3.0, 0.1


def plan_ahead(
    settings: Mapping[str, Any],
    waiting: Sequence[str],
    data: Path,
    *,
    cores: int,
    gpus: int,
    device: torch.device,
) -> tuple[float, dict[str, float]]:
    """Seconds on the clock until all waiting jobs are done, and those of each job by its name.

    settings : of `ldct.configuration.resolve.resolve_run`. waiting : names of the jobs' logs
    without folder and suffix, e.g. "train/drl/0". data, cores, gpus, device : as for `make_plan`.
    """
    slices, stages, names = expected_slices(settings), {}, set(waiting)
    if any(name.startswith("train/") for name in waiting):
        tiles, _ = expected_tiles(settings, data)
        plain = settings["engine"] | {"compile": False, "cuda_graphs": False}  # else minutes
        stages = plan_stages({**settings, "engine": plain}, tiles, cores, 0.0, device, BRIEF)
    own = ("denoise/", "tune_classical/")
    used = {name.split("/")[1] for name in waiting if name.startswith(own)}
    cards = {name: card for name, card in settings["cards"].items() if name in used}
    methods = plan_methods({**settings, "cards": cards}, sum(slices.values()), device, BRIEF)
    planned = [
        replace(job, after=tuple(names.intersection(job.after)))
        for job in list_jobs(settings, stages, methods, slices, cores, device)
        if job.name in names
    ]
    for name in names - {job.name for job in planned}:
        count = slices.get(name.rpartition("/")[2], 0)
        planned.append(Job(name, JOB_SECONDS + SLICE_SECONDS * count))
    seconds = {job.name: job.seconds for job in planned}
    return run_on(planned, cores, gpus, settings["jobs_per_gpu"]).seconds, seconds
