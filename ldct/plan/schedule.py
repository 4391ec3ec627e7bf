"""How long jobs take side by side, and how much memory."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Job:
    """One job of the planned run.

    after : names of the jobs it waits for. cores, gpus : what it occupies.
    memory_mb : of the machine. gpu_memory_mb : of each GPU that it occupies.
    """

    name: str
    seconds: float
    after: tuple[str, ...] = ()
    cores: int = 1
    gpus: int = 0
    memory_mb: float = 0.0
    gpu_memory_mb: float = 0.0


class Course(NamedTuple):
    """Seconds until all jobs are done, and the most memory at one moment.

    gpu_memory_mb : on one GPU, if those jobs share it that need the most.
    """

    seconds: float
    memory_mb: float
    gpu_memory_mb: float


def run_on(jobs: Sequence[Job], cores: int, gpus: int, jobs_per_gpu: int = 1) -> Course:
    """How the jobs go on so many cores and GPUs.

    As Snakemake does, starts what is ready whenever something ends, the longest jobs first. Every
    job has at most `cores` cores and `gpus` GPUs.
    """
    waiting = sorted(jobs, key=lambda job: -job.seconds)
    running: list[tuple[float, Job]] = []
    done: set[str] = set()
    now = largest = largest_on_gpu = 0.0
    while waiting or running:
        for job in [*waiting]:
            free = cores - sum(other.cores for _, other in running)
            slots = gpus * jobs_per_gpu - sum(other.gpus for _, other in running)
            if done.issuperset(job.after) and job.cores <= free and job.gpus <= slots:
                waiting.remove(job)
                running.append((now + job.seconds, job))
        together = [job for _, job in running]
        largest = max(largest, sum(job.memory_mb for job in together))
        on_gpu = heapq.nlargest(jobs_per_gpu, (job.gpu_memory_mb for job in together))
        largest_on_gpu = max(largest_on_gpu, sum(on_gpu))
        now = min(end for end, _ in running)
        done |= {job.name for end, job in running if end <= now}
        running = [(end, job) for end, job in running if end > now]
    return Course(now, largest, largest_on_gpu)
