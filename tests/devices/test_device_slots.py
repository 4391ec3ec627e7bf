"""Jobs side by side never share a device beyond its slots, and a killed job gives its slot back."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ldct.common.errors import InputError
from ldct.devices import choice as devices
from ldct.devices.choice import hold_device
from ldct.devices.slots import held_slots, lock_folder

# Holds a slot for a moment; tells when it began and ended, and on which device.
HOLDER = """
import sys, time
from pathlib import Path
from ldct.devices.slots import held_slots
folder, jobs, seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
with held_slots(sys.argv[4:], jobs, folder, 1) as (slot,):
    print("began", time.monotonic(), slot.device, slot.number, flush=True)
    time.sleep(seconds)
    print("ended", time.monotonic(), slot.device, slot.number, flush=True)
"""
FAKE = ["GPU-first", "GPU-second"]


def start_holder(folder: Path, jobs: int, seconds: float, names=FAKE) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), str(jobs), str(seconds), *names],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


@pytest.mark.parametrize("jobs_per_device", [1, 2])
def test_never_more_holders_than_slots(tmp_path, jobs_per_device):
    """Five processes on two devices: all get their turn, and no slot has two at a time."""
    holders = [start_holder(tmp_path, jobs_per_device, 0.1) for _ in range(5)]
    events = []
    for holder in holders:
        printed, _ = holder.communicate(timeout=60)
        assert holder.returncode == 0
        events += [line.split() for line in printed.splitlines()]
    assert len(events) == 10
    held: set[tuple[str, str]] = set()
    most = 0
    for kind, _, *slot in sorted(events, key=lambda event: (float(event[1]), event[0] == "began")):
        if kind == "began":
            assert tuple(slot) not in held
            held.add(tuple(slot))
        else:
            held.remove(tuple(slot))
        most = max(most, len(held))
    assert most <= 2 * jobs_per_device
    assert {event[2] for event in events} == {"0", "1"}


class WaitingError(Exception):
    """Instead of waiting."""


@pytest.fixture
def must_wait(monkeypatch):
    """The function that tells whether `held_slots` of its arguments would wait."""

    def wait(_):
        raise WaitingError

    def check(*arguments) -> bool:
        monkeypatch.setattr("ldct.devices.slots.time.sleep", wait)
        try:
            with held_slots(*arguments):
                return False
        except WaitingError:
            return True
        finally:
            monkeypatch.undo()

    return check


def test_slot_comes_back_when_its_holder_is_killed(tmp_path, must_wait):
    holder = start_holder(tmp_path, 1, 60, ["only"])
    assert holder.stdout.readline().startswith("began")
    assert must_wait(["only"], 1, tmp_path, 1)
    holder.kill()
    holder.wait(timeout=30)
    assert not must_wait(["only"], 1, tmp_path, 1)


def test_first_slots_of_all_devices_go_before_second_ones(tmp_path):
    with (
        held_slots(FAKE, 2, tmp_path, 1) as (first,),
        held_slots(FAKE, 2, tmp_path, 1) as (second,),
    ):
        assert {first.device, second.device} == {0, 1}
        with held_slots(FAKE, 2, tmp_path, 1) as (third,):
            assert third.number == 1


def test_job_of_two_devices_holds_both_or_none(tmp_path, must_wait):
    with held_slots(FAKE, 1, tmp_path, 2) as slots:
        assert [slot.device for slot in slots] == [0, 1]
        assert must_wait(FAKE, 1, tmp_path, 1)
    with held_slots(FAKE, 1, tmp_path, 1):
        assert must_wait(FAKE, 1, tmp_path, 2)
        assert not must_wait(FAKE, 1, tmp_path, 1)
    with held_slots(FAKE, 2, tmp_path, 1), held_slots(FAKE, 2, tmp_path, 2) as slots:
        assert [(slot.device, slot.number) for slot in slots] == [(1, 0), (0, 1)]
    with pytest.raises(InputError, match="found 2 GPUs for 3 processes"):
        held_slots(FAKE, 1, tmp_path, 3).__enter__()


def test_waiting_is_said_once(tmp_path, capsys):
    holder = start_holder(tmp_path, 1, 0.3, ["only"])
    assert holder.stdout.readline().startswith("began")
    with held_slots(["only"], 1, tmp_path, 1):
        assert capsys.readouterr().err.count("waiting for a free device") == 1
    holder.wait(timeout=30)


def test_auto_falls_back_to_the_cpu_and_says_so(capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with hold_device("auto", 1) as device:
        assert device.type == "cpu"
    assert "running on the CPU" in capsys.readouterr().err
    with pytest.raises(InputError, match="PyTorch sees no CUDA device"), hold_device("cuda", 1):
        pass


def test_cpu_is_taken_where_the_workflow_grants_no_gpu(monkeypatch):
    monkeypatch.setattr(devices, "gpus_seen", lambda: [torch.device("cuda", 0)])
    with hold_device("auto", 0) as device:
        assert device.type == "cpu"
    with pytest.raises(InputError, match="grants no GPU"), hold_device("cuda", 0):
        pass


def test_second_job_gets_the_second_gpu(tmp_path, monkeypatch, capsys):
    """Two made-up GPUs: what `hold_device` does with what PyTorch tells it."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "made-up")
    monkeypatch.setattr(devices, "gpu_identity", lambda device: f"GPU-{device.index}")
    monkeypatch.setattr(devices, "lock_folder", lambda: tmp_path)
    with hold_device("auto", 1) as first, hold_device("auto", 1) as second:
        assert {str(first), str(second)} == {"cuda:0", "cuda:1"}
    assert "running on cuda:1 (made-up, GPU-1), slot 1 of 1" in capsys.readouterr().err


def test_locks_are_private_to_the_user():
    folder = lock_folder()
    assert folder.stat().st_uid == os.getuid()
    assert folder.stat().st_mode & 0o077 == 0
