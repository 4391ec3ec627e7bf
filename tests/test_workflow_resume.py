"""A training that is killed ends in the same bits as one that is not."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from training_inputs import stage_of, train_arguments, write_cards, write_training_data
from workflow_runs import (
    REPOSITORY,
    copy_checkout,
    job_environment,
    snakemake,
    write_inputs,
    write_yaml,
)

from ldct.files import sha256_of_file

pytestmark = pytest.mark.end_to_end
STEPS = 40
KILLS = 2


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    folder = tmp_path_factory.mktemp("material")
    volumes, tiles = write_training_data(folder)
    return volumes, tiles, write_cards(folder / "cards")


def start(material, output: Path, steps: int = STEPS) -> subprocess.Popen:
    volumes, tiles, cards = material
    stage = stage_of("small_lsgan", cards, steps)
    return subprocess.Popen(
        [sys.executable, "-m", "ldct", *train_arguments(stage, volumes, tiles, output)],
        cwd=REPOSITORY,
        env=job_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen) -> int:
    process.communicate(timeout=300)
    return process.returncode


@pytest.fixture(scope="module")
def uninterrupted(material, tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("uninterrupted")
    assert finish(start(material, folder)) == 0
    return results(folder)


def results(folder: Path) -> dict[str, str]:
    return {name: sha256_of_file(folder / name) for name in ("weights.safetensors", "history.csv")}


def wait_for_new_checkpoint(checkpoint: Path, process: subprocess.Popen) -> None:
    """Until the running training has written a checkpoint of its own, or has ended."""
    before = checkpoint.stat().st_ino if checkpoint.is_file() else None
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if checkpoint.is_file() and checkpoint.stat().st_ino != before:
            return
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("how", "status"),
    [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 143), (signal.SIGINT, 130)],
    ids=["SIGKILL", "SIGTERM", "SIGINT"],
)
def test_killed_training_ends_in_the_same_bits(material, uninterrupted, tmp_path, how, status):
    checkpoint = tmp_path / "checkpoint.pt"
    kills = 0
    for _ in range(KILLS):
        process = start(material, tmp_path)
        wait_for_new_checkpoint(checkpoint, process)
        time.sleep(random.uniform(0, 0.3))
        process.send_signal(how)
        if finish(process) == 0:
            break
        kills += 1
        assert process.returncode == status
        assert checkpoint.is_file()
        assert not (tmp_path / "weights.safetensors").exists()
    assert kills > 0
    if kills == KILLS:
        assert finish(start(material, tmp_path)) == 0
    assert results(tmp_path) == uninterrupted
    assert not checkpoint.exists()


def test_truncated_checkpoint_is_not_used(material, uninterrupted, tmp_path):
    process = start(material, tmp_path)
    checkpoint = tmp_path / "checkpoint.pt"
    wait_for_new_checkpoint(checkpoint, process)
    process.kill()
    process.communicate()
    content = checkpoint.read_bytes()
    checkpoint.write_bytes(content[: len(content) // 2])
    assert finish(start(material, tmp_path)) == 0
    assert results(tmp_path) == uninterrupted


def test_checkpoint_of_another_training_is_not_used(material, uninterrupted, tmp_path):
    """Same folder, other number of steps: the checkpoint must not leak into the new weights."""
    process = start(material, tmp_path, steps=STEPS + 1)
    wait_for_new_checkpoint(tmp_path / "checkpoint.pt", process)
    process.kill()
    process.communicate()
    assert (tmp_path / "checkpoint.pt").is_file()
    assert finish(start(material, tmp_path)) == 0
    assert results(tmp_path) == uninterrupted


def test_killed_workflow_goes_on_to_the_same_bits(tmp_path):
    """SIGKILL of snakemake and all its jobs, the lock released as snakemake says, and on."""
    folder = copy_checkout(tmp_path / "checkout")
    write_inputs(folder, size=64, slices=3)
    write_cards(folder / "cards")
    overlay = {
        "methods": ["small_lsgan"],
        "method_paths": ["cards"],
        "budget": {"steps": STEPS},
        "tiles": {"size": 16, "stride": 16, "keep_above_hu": -500},
        "checkpoint_every": 3,
    }
    write_yaml(folder / "overlay.yaml", overlay)
    files = ("small.yaml", "overlay.yaml")
    weights = folder / "results/tiny/models/small_lsgan/0/weights.safetensors"
    target = str(weights.relative_to(folder))
    outcome = snakemake(folder, target, "--cores", "1", configfiles=files)
    assert outcome.returncode == 0, outcome.stdout[-3000:]
    expected = sha256_of_file(weights)
    weights.unlink()

    command = [sys.executable, "-m", "snakemake", target, "--cores", "1", "--configfile", *files]
    with (tmp_path / "killed.txt").open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=job_environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        wait_for_new_checkpoint(weights.parent / "checkpoint.pt", process)
        time.sleep(random.uniform(0, 0.3))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert (weights.parent / "checkpoint.pt").is_file()
    assert not weights.exists()

    assert snakemake(folder, "--unlock", configfiles=files).returncode == 0
    outcome = snakemake(folder, target, "--cores", "1", configfiles=files)
    assert outcome.returncode == 0, outcome.stdout[-3000:]
    assert sha256_of_file(weights) == expected
    assert not (weights.parent / "checkpoint.pt").exists()
