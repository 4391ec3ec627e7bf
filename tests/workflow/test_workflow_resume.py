"""A training that is killed ends in the same bits as one that is not."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from training_inputs import stage_of, train_arguments, write_cards, write_training_data
from workflow_runs import (
    REPOSITORY,
    job_environment,
    snakemake,
    wait_for_new_checkpoint,
    write_yaml,
)

from ldct.common.files import read_json, sha256_of_file

pytestmark = pytest.mark.end_to_end
STEPS = 40
RANDOM_KILLS = 4


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    folder = tmp_path_factory.mktemp("material")
    volumes, tiles = write_training_data(folder)
    return volumes, tiles, write_cards(folder / "cards")


def start(material, output: Path, steps: int = STEPS, networks: Path | None = None):
    """Start `python -m ldct train`, with the networks of another folder where one is given."""
    volumes, tiles, cards = material
    stage = stage_of("small_lsgan", cards, steps)
    more = ()
    if networks is not None:
        more = ("--checkpoint-every", "10")
        discriminator = {"name": "tiny", "file": str(networks / "discriminator.py"), "options": {}}
        stage["loss"]["adversarial"]["discriminator"] = discriminator
        stage["network"] |= {"file": str(networks / "network.py"), "options": {}}
    return subprocess.Popen(
        [sys.executable, "-m", "ldct", *train_arguments(stage, volumes, tiles, output, *more)],
        cwd=REPOSITORY,
        env=job_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen) -> int:
    process.communicate(timeout=300)
    return process.returncode


def results(folder: Path) -> dict[str, str]:
    return {name: sha256_of_file(folder / name) for name in ("weights.safetensors", "history.csv")}


def write_tiny_networks(folder: Path) -> Path:
    """Networks of a few weights with all that has a state: batch norm, dropout."""
    folder.mkdir()
    (folder / "network.py").write_text(
        "from torch import nn\n"
        "def build():\n"
        "    first = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2))\n"
        "    return nn.Sequential(first, nn.Dropout(0.1), nn.Conv2d(2, 1, 3, padding=1))\n"
    )
    (folder / "discriminator.py").write_text(
        "import torch\n"
        "from torch import nn\n"
        "class Judge(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.body = nn.Sequential(nn.Conv2d(2, 2, 4, 4), nn.BatchNorm2d(2))\n"
        "    def forward(self, candidate, condition):\n"
        "        return self.body(torch.cat([candidate, condition], dim=1))\n"
        "def build():\n"
        "    return Judge()\n"
    )
    return folder


def test_results_lost_after_the_last_step_need_no_second_training(material, tmp_path):
    """A job may fail after its training, or outlive its snakemake, which then removes its files."""
    networks, model = write_tiny_networks(tmp_path / "networks"), tmp_path / "model"
    assert finish(start(material, model, STEPS, networks)) == 0
    expected = results(model)
    for name in ("weights.safetensors", "history.csv", "training.json"):
        (model / name).unlink()
    output, _ = (again := start(material, model, STEPS, networks)).communicate(timeout=300)
    assert again.returncode == 0
    assert f"going on after {STEPS} steps" in output
    assert results(model) == expected


def test_training_killed_at_random_points_ends_in_the_same_bits(material, tmp_path):
    """SIGKILL and SIGTERM in turns: at start-up, in steps, in checkpoints."""
    steps, networks = 500, write_tiny_networks(tmp_path / "networks")
    whole = tmp_path / "whole"
    assert finish(start(material, whole, steps, networks)) == 0
    draw = random.Random(20221)
    folder = tmp_path / "killed"
    kills = []
    while len(kills) < RANDOM_KILLS:
        process = start(material, folder, steps, networks)
        if not kills:
            time.sleep(draw.uniform(0, 1.0))
        else:
            wait_for_new_checkpoint(folder / "checkpoint.pt", process)
            time.sleep(draw.uniform(0, 0.05))
        how = (signal.SIGKILL, signal.SIGTERM)[len(kills) % 2]
        process.send_signal(how)
        status = finish(process)
        assert status != 0, f"finished after {len(kills)} kills: the training is too short"
        assert status in (-how, 128 + how)
        kills.append(how)
    assert finish(start(material, folder, steps, networks)) == 0
    assert results(folder) == results(whole)
    assert read_json(folder / "training.json")["restarts"] >= RANDOM_KILLS - 2
    assert read_json(folder / "training.json")["steps"] == steps


def test_second_process_waits_for_the_first_and_does_not_train_again(material, tmp_path):
    """A job that outlived its snakemake goes on; the next snakemake starts the same job."""
    networks = write_tiny_networks(tmp_path / "networks")
    folder = tmp_path / "model"
    first = start(material, folder, 4000, networks)
    wait_for_new_checkpoint(folder / "checkpoint.pt", first)
    second = start(material, folder, 4000, networks)
    output, _ = second.communicate(timeout=300)
    assert first.wait(timeout=60) == 0
    first.communicate()
    assert second.returncode == 0
    assert "another process works here; waiting for it" in output
    assert "4000/4000" not in output
    assert read_json(folder / "training.json")["restarts"] == 0


def test_killed_workflow_goes_on_to_the_same_bits(copy_of_run, tmp_path):
    """SIGKILL of snakemake and all its jobs; the next call goes on without `--unlock`."""
    folder = copy_of_run
    write_cards(folder / "cards")
    overlay = {
        "methods": ["small_lsgan"],
        "method_paths": ["cards"],
        "budget": {"steps": STEPS},
        "checkpoint_every": 3,
    }
    write_yaml(folder / "overlay.yaml", overlay)
    files = ("small.yaml", "overlay.yaml")
    weights = folder / "results/tiny/models/small_lsgan/0/weights.safetensors"
    target = str(weights.relative_to(folder))
    outcome = snakemake(folder, target, "--cores", "1", configfiles=files)
    assert outcome.returncode == 0, outcome.stdout[-3000:]
    expected = sha256_of_file(weights)
    shutil.rmtree(weights.parent)

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

    assert list((folder / ".snakemake/locks").glob("*.lock"))
    outcome = snakemake(folder, target, "--cores", "1", configfiles=files)
    assert outcome.returncode == 0, outcome.stdout[-3000:]
    assert sha256_of_file(weights) == expected
    assert not (weights.parent / "checkpoint.previous.pt").exists()
