"""How long jobs take side by side."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Job:
    """One job of the planned run.

    after : names of the jobs it waits for. cores, gpus : what it occupies.
    """

    name: str
    seconds: float
    after: tuple[str, ...] = ()
    cores: int = 1
    gpus: int = 0
    memory_mb: float = 0.0


def run_on(jobs: Sequence[Job], cores: int, gpus: int) -> tuple[float, float]:
    """Seconds until all jobs are done on so many cores and GPUs, and the largest sum of memory.

    As Snakemake does, starts what is ready whenever something ends, the longest jobs first.
    """
    waiting = sorted(jobs, key=lambda job: -job.seconds)
    running: list[tuple[float, Job]] = []
    done: set[str] = set()
    now = largest = 0.0
    while waiting or running:
        for job in [*waiting]:
            free = cores - sum(other.cores for _, other in running)
            slots = gpus - sum(other.gpus for _, other in running)
            if done.issuperset(job.after) and job.cores <= free and job.gpus <= slots:
                waiting.remove(job)
                running.append((now + job.seconds, job))
        largest = max(largest, sum(job.memory_mb for _, job in running))
        now = min(end for end, _ in running)
        done |= {job.name for end, job in running if end <= now}
        running = [(end, job) for end, job in running if end > now]
    return now, largest
