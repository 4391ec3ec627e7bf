"""The workflow through a real SLURM: a node of this machine with a made-up GPU.

LDCT_SLURM=1 switches it on: every job starts Snakemake twice, and the whole takes minutes.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from one_node import call, job_list, missing_programs, one_node
from training_inputs import write_cards
from workflow_runs import (
    copy_checkout,
    job_environment,
    snakemake,
    wait_for_new_checkpoint,
    write_inputs,
    write_yaml,
)

from ldct.common.files import read_json, sha256_of_file, write_json

QUICK = ["--slurm-init-seconds-before-status-checks", "1", "--seconds-between-status-checks", "1"]
# What the site adds to the profile; two GPU jobs of a node with one GPU wait for each other.
SITE = ["--workflow-profile", "profiles/slurm", *QUICK, "--jobs", "4", "--local-cores", "1"]
SITE += ["--default-resources", "slurm_partition=main", "mem_mb=1000 * attempt", "runtime=10"]
SITE += ["--set-resources", "train:gpu=1", "denoise_network:gpu=1"]
# Jobs of a second on these pixels, which would wait for SLURM alone.
SHORT = ["score", "image_quality", "texture", "texture_references", "texture_squares", "calibrate"]
SHORT += ["denoise_identity", "denoise_controls", "tune_controls", "list_lesions", "pack_slices"]
SHORT += ["insert_discs", "measure_detectability", "measure_lesions", "select_test_slices"]
SHORT += ["micro_benchmark"]
SUBMITTED = {
    *("index_dataset", "write_volume", "list_tiles", "train", "tune_classical"),
    *("denoise_network", "denoise_classical"),
}
ON_GPU = {"train", "denoise_network"}
STEPS = 100
TRAINING = {
    "methods": ["small_drl"],
    "method_paths": ["cards"],
    "budget": {"steps": STEPS},
    "checkpoint_every": 5,
}
WEIGHTS = Path("results/tiny/models/small_drl/0/weights.safetensors")
FILES = ("small.yaml", "training.yaml")


@pytest.fixture(scope="module")
def cluster():
    """Environment of a running SLURM; skipped where it is not asked for, or not installed."""
    if not os.getenv("LDCT_SLURM"):
        pytest.skip("takes minutes; LDCT_SLURM=1 switches it on")
    missing = missing_programs()
    if missing:
        pytest.skip(
            f"not installed: {', '.join(missing)} (apt: slurmctld slurmd slurm-client munge)"
        )
    if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        pytest.skip("pip install --no-deps -r profiles/slurm/requirements.txt")
    # A short path: one of a socket has 108 characters.
    folder = Path(tempfile.mkdtemp(prefix="slurm"), "one")
    with one_node(folder) as environment:
        yield job_environment() | {name: environment[name] for name in ("PATH", "SLURM_CONF")}
        print("job rule state gpus time memory restarts")
        for job in job_list(environment):
            print(*job.values())
    shutil.rmtree(folder.parent)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    folder = copy_checkout(tmp_path_factory.mktemp("cluster") / "checkout")
    write_inputs(folder)
    write_cards(folder / "cards")
    write_yaml(folder / "training.yaml", TRAINING)
    with (folder / "Snakefile").open("a", encoding="utf-8") as snakefile:
        snakefile.write(f"\n\nworkflow.localrules(*{SHORT})\n")
    return folder


def test_tiny_run_completes_through_slurm(cluster, checkout):
    outcome = snakemake(checkout, *SITE, environment=cluster)
    assert outcome.returncode == 0, outcome.stdout[-4000:]
    for file in ("tables/table1.csv", "claims.md", "index.html"):
        assert (checkout / "results/tiny" / file).stat().st_size > 0
    jobs = job_list(cluster)
    assert {job["state"] for job in jobs} == {"COMPLETED"}
    rules = {job["rule"].removeprefix("rule_").partition("_wildcards")[0]: job for job in jobs}
    assert set(rules) == SUBMITTED
    assert {name for name, job in rules.items() if job["gpus"] == "1"} == ON_GPU


def test_killed_training_goes_on_to_the_same_bits(cluster, checkout, tmp_path):
    """A signal and a SIGKILL end the job, and Snakemake tries again; SLURM requeues the third.

    What is asked for is planned, and grows with each try.
    """
    weights, folder = checkout / WEIGHTS, (checkout / WEIGHTS).parent
    target = [str(WEIGHTS), "--cores", "1"]
    outcome = snakemake(checkout, *target, configfiles=FILES)
    assert outcome.returncode == 0, outcome.stdout[-3000:]
    expected = sha256_of_file(weights)
    shutil.rmtree(folder)
    write_json(checkout / "results/tiny/plan.json", {"stages": {"small_drl": {"seconds": 7200}}})

    before = [job["job"] for job in job_list(cluster)]
    ended = [*before]
    command = [sys.executable, "-m", "snakemake", str(WEIGHTS), *SITE, "--configfile", *FILES]
    printed = tmp_path / "printed.txt"
    with printed.open("w") as output:
        process = subprocess.Popen(
            command, cwd=checkout, env=cluster, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            for end in (terminate, kill, requeue):
                job = next_running_job(cluster, ended)
                wait_for_new_checkpoint(folder / "checkpoint.pt", process)
                end(cluster, job)
                ended.append(job)
            assert process.wait(300) == 0, printed.read_text()[-3000:]
        finally:
            process.kill()
            process.wait()
    jobs = [job for job in job_list(cluster) if job["job"] not in before]
    assert [job["state"] for job in jobs] == ["FAILED", "CANCELLED", "COMPLETED"]
    assert [job["restarts"] for job in jobs] == ["0", "0", "1"]
    assert [job["time"] for job in jobs] == ["03:30:00", "07:00:00", "10:30:00"]
    assert [job["memory"] for job in jobs] == ["2500M", "5000M", "7500M"]
    assert sha256_of_file(weights) == expected
    assert read_json(folder / "training.json")["restarts"] == 3


def terminate(cluster: Mapping[str, str], job: str) -> None:
    """As at the end of a job's time: a signal to its steps."""
    call(cluster, "scancel", "--signal=TERM", job)


def kill(cluster: Mapping[str, str], job: str) -> None:
    call(cluster, "scancel", "--signal=KILL", job)


def requeue(cluster: Mapping[str, str], job: str) -> None:
    """As where a job of a higher priority needs the node."""
    call(cluster, "scontrol", "requeue", job)


def next_running_job(cluster: Mapping[str, str], ended: Sequence[str]) -> str:
    """Number of a running job that is none of those before."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for job in job_list(cluster):
            if job["job"] not in ended and job["state"] == "RUNNING":
                return job["job"]
        time.sleep(0.2)
    raise TimeoutError(f"no job runs after {ended}")
