"""Two processes that train one stage together: as one would, and as safe against kills."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from forked_verbs import Verb
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from training_inputs import (
    DISCRIMINATOR,
    STATEFUL_NETWORK,
    stage_of,
    train_arguments,
    write_cards,
    write_training_data,
)
from workflow_runs import (
    REPOSITORY,
    job_environment,
    snakemake,
    wait_for_new_checkpoint,
    write_yaml,
)

from ldct.cli import main
from ldct.common.errors import InputError
from ldct.common.files import read_json, read_yaml, sha256_of_file
from ldct.configuration.resolve import resolve_run
from ldct.devices import choice as devices
from ldct.devices.choice import hold_device
from ldct.devices.parallel import Group, check_batch, part_of

# 96 tiles less 3: the last batch of an epoch has 3 rows, which two processes share as 1 and 2.
TILES, BATCH = 93, 10
PLAIN_NETWORK = """
from torch import nn
def build():
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 1, 3, padding=1))
"""
WASSERSTEIN = {"kind": "wasserstein", "weight": 0.01, "gradient_penalty": 10.0}


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    folder = tmp_path_factory.mktemp("material")
    volumes, tiles = write_training_data(folder)
    np.save(tiles, np.load(tiles)[:TILES])
    for name, text in (
        ("plain.py", PLAIN_NETWORK),
        ("stateful.py", STATEFUL_NETWORK),
        ("discriminator.py", DISCRIMINATOR),
    ):
        (folder / name).write_text(text)
    return folder, volumes, tiles, write_cards(folder / "cards")


def arguments(material, network: str, steps: int, output: Path, *more: str) -> list[str]:
    """A Wasserstein GAN of `network`, or "drl" with squared error alone."""
    folder, volumes, tiles, cards = material
    stage = stage_of("small_lsgan" if network != "drl" else "small_drl", cards, steps)
    # The drop lets the end not hang on the last few steps.
    stage["recipe"] |= {"batch": BATCH, "learning_rate_drop": {"after": 0.6, "factor": 0.1}}
    if network != "drl":
        critic = {"name": "tiny", "file": str(folder / "discriminator.py"), "options": {}}
        stage["loss"]["adversarial"] = WASSERSTEIN | {"discriminator": critic}
        stage["network"] |= {"file": str(folder / f"{network}.py"), "options": {}}
    return train_arguments(stage, volumes, tiles, output, *more)


def torchrun(options: tuple[str, ...], given: list[str], log: Path) -> subprocess.Popen:
    """Start torchrun as the rule does."""
    command = [sys.executable, "-m", "torch.distributed.run", *options, "-m", "--", "ldct"]
    return subprocess.Popen(
        [*command, "--log", str(log), *given],
        cwd=REPOSITORY,
        env=job_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def together(given: list[str], printed: Path) -> None:
    """Two processes that train to the end, told of each other as torchrun tells them."""
    told = {"TORCHELASTIC_RUN_ID": "test", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    told |= {"MASTER_ADDR": "localhost", "MASTER_PORT": str(free_port())}
    both = [Verb(given, printed, **told, RANK=rank, LOCAL_RANK=rank) for rank in "01"]
    assert [process.finish() for process in both] == [0, 0], printed.read_text()[-2000:]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


def start_two(material, network: str, steps: int, output: Path, *more: str) -> subprocess.Popen:
    given = arguments(material, network, steps, output, *more)
    options = ("--standalone", "--nproc-per-node=2", "--shutdown-timeout=120")
    return torchrun(options, given, output.with_suffix(".log"))


def finish(process: subprocess.Popen) -> tuple[int, str]:
    printed, _ = process.communicate(timeout=300)
    return process.returncode, printed


def history(folder: Path) -> np.ndarray:
    return np.genfromtxt(folder / "history.csv", delimiter=",", skip_header=1)


@pytest.mark.end_to_end
def test_two_processes_train_as_one_does(material, tmp_path):
    """Short last batches, gradient penalty; two torchruns that meet as machines do."""
    meeting = ("--nnodes=2", "--rdzv-backend=c10d", f"--rdzv-endpoint=localhost:{free_port()}")
    options = (*meeting, "--rdzv-id=test", "--local-addr=localhost", "--nproc-per-node=1")
    given = arguments(material, "plain", 25, tmp_path / "two")
    logs = [tmp_path / f"{name}.log" for name in ("a", "b")]
    for machine in [torchrun(options, given, log) for log in logs]:
        status, printed = finish(machine)
        assert status == 0, printed[-2000:]
    assert main(arguments(material, "plain", 25, tmp_path / "one")) == 0
    one, two = (load_file(tmp_path / name / "weights.safetensors") for name in ("one", "two"))
    for name, weights in one.items():
        torch.testing.assert_close(two[name], weights, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(history(tmp_path / "two"), history(tmp_path / "one"), rtol=1e-4)
    record = read_json(tmp_path / "two/training.json")
    assert (record["processes"], record["backend"]) == (2, "gloo")
    assert record["devices"] == ["cpu", "cpu"]
    settings = read_json(tmp_path / "two/weights.safetensors.provenance.json")["settings"]
    assert (settings["processes"], settings["threads"]) == (2, 1)
    log = "".join(path.read_text() for path in logs)
    assert "process 1 of 2: running on the CPU" in log
    assert "process 2 of 2: running on the CPU" in log
    assert log.count("25/25") == 1
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == [
        ".lock",
        "checkpoint.pt",
        "history.csv",
        "training.json",
        "weights.safetensors",
        "weights.safetensors.provenance.json",
    ]


def children(process: subprocess.Popen) -> list[int]:
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(pid) for pid in listed.read_text().split()]


@pytest.mark.end_to_end
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs Linux' /proc")
def test_two_processes_survive_sigterm_and_the_death_of_one(material, tmp_path):
    """The same bits as without; dropout and batch norm have a state in each process."""
    steps, often = 200, ("--checkpoint-every", "20")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    together(arguments(material, "stateful", steps, whole, *often), tmp_path / "printed.txt")

    process = start_two(material, "stateful", steps, killed, "--checkpoint-every", "1000000")
    while process.poll() is None and "0/200" not in read(killed.with_suffix(".log")):
        time.sleep(0.05)
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    status, printed = finish(process)
    assert status != 0, "finished before the signal: the training is too short"
    # No other step would have written one.
    assert (killed / "checkpoint.pt").is_file(), printed[-2000:]

    process = start_two(material, "stateful", steps, killed, *often)
    wait_for_new_checkpoint(killed / "checkpoint.pt", process)
    os.kill(children(process)[-1], signal.SIGKILL)
    status, printed = finish(process)
    assert status != 0
    assert "another of the 2 processes of this training has ended" in read(
        killed.with_suffix(".log")
    )
    assert (killed / "checkpoint.pt").is_file()
    assert not (killed / "weights.safetensors").exists()

    together(arguments(material, "stateful", steps, killed, *often), tmp_path / "printed.txt")
    for name in ("weights.safetensors", "history.csv"):
        assert sha256_of_file(killed / name) == sha256_of_file(whole / name)
    assert read_json(killed / "training.json")["restarts"] == 2


def read(path: Path) -> str:
    return path.read_text() if path.is_file() else ""


@pytest.mark.end_to_end
def test_workflow_starts_torchrun_by_config_alone(copy_of_run):
    folder = copy_of_run
    write_cards(folder / "cards")
    overlay = {
        "methods": ["small_drl"],
        "controls": [],
        "method_paths": ["cards"],
        "budget": {"steps": 3},
    }
    write_yaml(folder / "one.yaml", overlay)
    write_yaml(folder / "two.yaml", overlay | {"engine": {"processes": 2}})
    target = "results/tiny/models/small_drl/0/weights.safetensors"
    two = ("small.yaml", "two.yaml")
    outcome = snakemake(folder, target, "--cores", "2", "-p", configfiles=two)
    assert outcome.returncode == 0, outcome.stdout[-3000:]
    assert "python -m torch.distributed.run --standalone --nproc-per-node=2" in outcome.stdout
    assert read_json((folder / target).with_name("training.json"))["processes"] == 2
    plain = snakemake(folder, target, "-n", "-p", configfiles=("small.yaml", "one.yaml")).stdout
    assert "Params have changed" in plain
    assert "python -m ldct --log logs/tiny/train/small_drl/0.log train" in plain
    assert "torch.distributed.run" not in plain


@given(size=st.integers(1, 9), total=st.integers(1, 40))
def test_parts_make_up_the_batch(size, total):
    rows = np.arange(total)
    parts = [part_of(Group(rank, size), total) for rank in range(size)]
    counted = [part for part in parts if part.share > 0]
    assert np.concatenate([rows[part.rows] for part in counted]).tolist() == rows.tolist()
    assert sum(part.share for part in parts) == pytest.approx(1)
    assert all(len(rows[part.rows]) > 0 for part in parts)
    if total % size == 0:
        assert {part.share for part in parts} == {1 / size}


def test_batch_that_cannot_be_shared_is_refused():
    check_batch(32, 4, "drl")
    with pytest.raises(InputError, match=r"drl: recipe.batch is 32, which 3 processes"):
        check_batch(32, 3, "drl")


def test_fewer_gpus_granted_than_processes_is_an_error(monkeypatch):
    monkeypatch.setattr(devices, "gpus_seen", lambda: [torch.device("cuda", 0)])
    with (
        pytest.raises(InputError, match="grants 1 GPU for 2 processes"),
        hold_device("cuda", 1, 1, Group(0, 2, 0, 2)),
    ):
        pass


def test_configuration_refuses_processes_that_do_not_divide_a_batch():
    config = read_yaml(REPOSITORY / "config/config.yaml")
    config["engine"]["processes"] = 3
    with pytest.raises(InputError, match=r"'engine.processes': found 3, but the batch of fc_aide"):
        resolve_run(config, REPOSITORY)
