"""Snakemake killed at random moments, and started again, ends in the bits of an undisturbed run.

LDCT_KILLS=50 python -m pytest -s tests/hardship/test_kills.py makes the whole run anew among fifty
kills, which takes half an hour; the default takes away scores and tables of a finished run.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from workflow_runs import job_environment, snakemake

from ldct.common.files import read_json, sha256_of_file

pytestmark = pytest.mark.end_to_end
KILLS = int(os.environ.get("LDCT_KILLS", "10"))
SEED = int(os.environ.get("LDCT_KILLS_SEED", "14"))
RUN = "results/tiny"
# What a reader takes from a run; times and machines stand in none of them.
TABLES = ("tables/table1.csv", "tables/differences.csv", "tables/metrics.csv")
WHOLE = ("results", "data", "logs")
PART = ("scores/*", "tables/table1.*", "tables/differences.*", "tables/metrics.*", "claims.*")
PART += ("tables/drl_author",)
TARGETS = [] if KILLS > 10 else [f"{RUN}/{name}" for name in (*TABLES, "claims.json")]
JOB = re.compile(r"--log (?:logs/tiny/)?(\S+)\.log")
TOLD = "the run that held it has ended"


@dataclass
class Attempt:
    """One call of snakemake, from its start to its kill or end."""

    printed: Path
    process: subprocess.Popen
    started: float = field(default_factory=time.monotonic)

    def finished_jobs(self) -> int:
        return self.printed.read_text(errors="replace").count("\nFinished jobid")

    def wait_for_moment(self, draw: random.Random) -> bool:
        """Until some jobs are finished and a little more; whether it still runs.

        Not of the clock alone: on a slow machine each attempt would end before its first job.
        """
        jobs, more = draw.choice([0, 0, 1, 2, 3]), draw.uniform(0, 2)
        deadline = time.monotonic() + 120
        while self.finished_jobs() < jobs and time.monotonic() < deadline:
            if self.process.poll() is not None:
                return False
            time.sleep(0.02)
        until = time.monotonic() + more
        while time.monotonic() < until and self.process.poll() is None:
            time.sleep(0.02)
        return self.process.poll() is None

    def running_jobs(self) -> list[str]:
        """Jobs below snakemake, by their logs."""
        found = []
        for child in psutil.Process(self.process.pid).children(recursive=True):
            try:
                found += JOB.findall(" ".join(child.cmdline()))
            except psutil.Error:
                continue
        return sorted(set(found))


def start(folder: Path, number: int) -> Attempt:
    printed = folder / f"printed_{number}.txt"
    command = [sys.executable, "-m", "snakemake", *TARGETS, "--cores", "2"]
    with printed.open("w") as output:
        process = subprocess.Popen(
            [*command, "--configfile", "small.yaml"],
            cwd=folder,
            env=job_environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Attempt(printed, process)


def temporaries(folder: Path) -> list[Path]:
    return [path for top in WHOLE for path in (folder / top).rglob(".*.tmp*")]


def results(folder: Path) -> dict[str, str]:
    """sha256 of tables, and claims but for those on times of this machine."""
    claims = read_json(folder / RUN / "claims.json")["claims"]
    untimed = {each["id"]: each for each in claims if each["heading"] != "Cost"}
    return {name: sha256_of_file(folder / RUN / name) for name in TABLES} | untimed


def take_away(folder: Path) -> None:
    """What the run makes again among kills."""
    if KILLS > 10:
        for name in WHOLE:
            shutil.rmtree(folder / name)
    for path in [path for pattern in PART for path in (folder / RUN).glob(pattern)]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.fixture
def groups() -> Iterator[list[int]]:
    """Process groups of the test, all of which are ended."""
    started: list[int] = []
    yield started
    for group in started:
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            continue


def wait_for_orphans(folder: Path) -> None:
    """Jobs that outlived their snakemake end by themselves."""
    deadline = time.monotonic() + 120
    for process in psutil.process_iter(["cwd", "cmdline"]):
        own = process.info["cwd"] == str(folder) and "ldct" in (process.info["cmdline"] or [])
        if own:
            process.wait(max(0, deadline - time.monotonic()))


def test_killed_runs_end_in_the_bits_of_an_undisturbed_one(copy_of_run, groups):
    folder, draw = copy_of_run, random.Random(SEED)
    expected = results(folder)
    take_away(folder)
    kills, finished = 0, 0
    print("\nkill  seconds  what         jobs that ran; unfinished files left")
    for number in range(KILLS):
        attempt = start(folder, number)
        groups.append(attempt.process.pid)
        if not attempt.wait_for_moment(draw):
            assert attempt.process.returncode == 0, attempt.printed.read_text()[-3000:]
            finished += 1
            take_away(folder)
            continue
        alone = draw.random() < 0.5
        moment, jobs = time.monotonic() - attempt.started, attempt.running_jobs()
        (os.kill if alone else os.killpg)(attempt.process.pid, signal.SIGKILL)
        attempt.process.wait()
        kills += 1
        what, left = "alone" if alone else "with its jobs", len(temporaries(folder))
        print(f"{kills:4}  {moment:7.1f}  {what:13} {', '.join(jobs) or 'none'}; {left}")
        assert "Traceback" not in attempt.printed.read_text()
    killed = list((folder / ".snakemake/locks").glob("*.lock"))
    outcome = snakemake(folder, *TARGETS, "--cores", "2")
    assert outcome.returncode == 0, outcome.stdout[-3000:]
    wait_for_orphans(folder)
    print(f"{kills} kills, {finished} runs that ended before theirs, then an end")
    assert kills > KILLS / 2
    assert results(folder) == expected
    # What the user sees of the dead run is one line a lock, and no word of unlocking.
    assert outcome.stdout.count(TOLD) == len(killed)
    assert "unlock" not in outcome.stdout
    second = snakemake(folder, *TARGETS, "--cores", "2")
    assert "Nothing to be done" in second.stdout, second.stdout[-2000:]
    print(f"left at the end: {[path.name for path in temporaries(folder)]}")
