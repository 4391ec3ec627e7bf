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
from forked_verbs import Verb
from training_inputs import (
    STATEFUL_NETWORK,
    stage_of,
    train_arguments,
    write_cards,
    write_training_data,
)
from workflow_runs import (
    job_environment,
    snakemake,
    wait_for_new_checkpoint,
    write_yaml,
)

from ldct.cli import main
from ldct.common.files import read_json, sha256_of_file

pytestmark = pytest.mark.end_to_end
STEPS = 40
RANDOM_KILLS = 4
DISCRIMINATOR = """
import torch
from torch import nn
class Judge(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(2, 2, 4, 4), nn.BatchNorm2d(2))
    def forward(self, candidate, condition):
        return self.body(torch.cat([candidate, condition], dim=1))
def build():
    return Judge()
"""


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    folder = tmp_path_factory.mktemp("material")
    volumes, tiles = write_training_data(folder)
    (folder / "network.py").write_text(STATEFUL_NETWORK)
    (folder / "discriminator.py").write_text(DISCRIMINATOR)
    return volumes, tiles, write_cards(folder / "cards")


def arguments(material, output: Path, steps: int = STEPS) -> list[str]:
    """A training of tiny networks with all that has a state: batch norm, dropout."""
    volumes, tiles, cards = material
    stage = stage_of("small_lsgan", cards, steps)
    networks = cards.parent
    discriminator = {"name": "tiny", "file": str(networks / "discriminator.py"), "options": {}}
    stage["loss"]["adversarial"]["discriminator"] = discriminator
    stage["network"] |= {"file": str(networks / "network.py"), "options": {}}
    return train_arguments(stage, volumes, tiles, output, "--checkpoint-every", "10")


def results(folder: Path) -> dict[str, str]:
    return {name: sha256_of_file(folder / name) for name in ("weights.safetensors", "history.csv")}


def test_results_lost_after_the_last_step_need_no_second_training(material, tmp_path, capsys):
    """A job may fail after its training, or outlive its snakemake, which then removes its files."""
    assert main(arguments(material, tmp_path)) == 0
    expected = results(tmp_path)
    for name in ("weights.safetensors", "history.csv", "training.json"):
        (tmp_path / name).unlink()
    capsys.readouterr()
    assert main(arguments(material, tmp_path)) == 0
    assert f"going on after {STEPS} steps" in capsys.readouterr().err
    assert results(tmp_path) == expected


def test_training_killed_at_random_points_ends_in_the_same_bits(material, tmp_path):
    """SIGKILL, SIGTERM and SIGUSR1 in turns: at start-up, in steps, in checkpoints."""
    steps, folder, printed = 500, tmp_path / "killed", tmp_path / "printed.txt"
    assert main(arguments(material, tmp_path / "whole", steps)) == 0
    draw = random.Random(20221)
    for number in range(RANDOM_KILLS):
        process = Verb(arguments(material, folder, steps), printed)
        if number == 0:
            time.sleep(draw.uniform(0, 0.2))
        else:
            wait_for_new_checkpoint(folder / "checkpoint.pt", process)
            time.sleep(draw.uniform(0, 0.05))
        how = (signal.SIGKILL, signal.SIGTERM, signal.SIGUSR1)[number % 3]
        os.kill(process.pid, how)
        status = process.finish()
        assert status != 0, f"finished after {number} kills: the training is too short"
        assert status in (-how, 128 + how)
    assert Verb(arguments(material, folder, steps), printed).finish() == 0
    assert results(folder) == results(tmp_path / "whole")
    assert read_json(folder / "training.json")["restarts"] >= RANDOM_KILLS - 2
    assert read_json(folder / "training.json")["steps"] == steps


def test_second_process_waits_for_the_first_and_does_not_train_again(material, tmp_path):
    """A job that outlived its snakemake goes on; the next snakemake starts the same job."""
    folder, waiting = tmp_path / "model", "another process works here; waiting for it"
    first = Verb(arguments(material, folder, 200), tmp_path / "first.txt")
    wait_for_new_checkpoint(folder / "checkpoint.pt", first)
    os.kill(first.pid, signal.SIGSTOP)
    second = Verb(arguments(material, folder, 200), tmp_path / "second.txt")
    while second.poll() is None and waiting not in printed_by(second):
        time.sleep(0.05)
    os.kill(first.pid, signal.SIGCONT)
    assert (first.finish(), second.finish()) == (0, 0)
    assert waiting in printed_by(second)
    assert "200/200" not in printed_by(second)
    assert read_json(folder / "training.json")["restarts"] == 0


def printed_by(process: Verb) -> str:
    return process.printed.read_text() if process.printed.is_file() else ""


def test_killed_workflow_goes_on_to_the_same_bits(copy_of_run, tmp_path):
    """SIGKILL of snakemake and all its jobs; the next call goes on without `--unlock`."""
    folder = copy_of_run
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
