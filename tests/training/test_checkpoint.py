"""Checkpoints: whole or absent, two of them, and a full disk costs no training."""

import errno
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ldct.training.checkpoint import (
    NEWEST,
    PREVIOUS,
    keep_checkpoint,
    load_checkpoint,
    newest_checkpoint,
    remove_leftovers,
    save_checkpoint,
)


class Code:
    """Something that only unpickling with code could bring back."""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("checkpoint") / "checkpoint.pt"
    save_checkpoint(path, {"fingerprint": "f", "step": 3, "network": {"w": torch.rand(40)}})
    return path.read_bytes()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_checkpoint_is_no_checkpoint(checkpoint, tmp_path_factory, data):
    """Cut anywhere, changed in any byte, or replaced by anything: no state and no exception."""
    kind = data.draw(st.sampled_from(["cut", "garbage", "changed"]))
    if kind == "cut":
        content = checkpoint[: data.draw(st.integers(0, len(checkpoint) - 1))]
    elif kind == "garbage":
        content = data.draw(st.binary(max_size=200))
    else:
        place = data.draw(st.integers(0, len(checkpoint) - 1))
        changed = checkpoint[place] ^ data.draw(st.integers(1, 255))
        content = checkpoint[:place] + bytes([changed]) + checkpoint[place + 1 :]
    path = tmp_path_factory.mktemp("damaged") / "checkpoint.pt"
    path.write_bytes(content)
    assert load_checkpoint(path, "f") is None


def test_checkpoint_comes_back_as_it_was(tmp_path):
    state = {
        "fingerprint": "f",
        "step": 3,
        "network": {"w": torch.rand(4)},
        "history": [{"a": 1.0}],
    }
    save_checkpoint(tmp_path / "checkpoint.pt", state)
    loaded = load_checkpoint(tmp_path / "checkpoint.pt", "f")
    assert torch.equal(loaded.pop("network")["w"], state.pop("network")["w"])
    assert loaded == state


def test_checkpoint_of_another_training_or_with_code_is_no_checkpoint(tmp_path):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"fingerprint": "old"})
    assert load_checkpoint(path, "new") is None
    assert load_checkpoint(path, "old") == {"fingerprint": "old"}
    torch.save({"fingerprint": "old", "call": Code}, path)
    assert load_checkpoint(path, "old") is None
    assert load_checkpoint(tmp_path / "missing.pt", "old") is None


def states(folder: Path, *steps: int) -> None:
    for step in steps:
        save_checkpoint(folder / NEWEST, {"fingerprint": "f", "step": step})


def test_leftovers_of_killed_jobs_go_and_nothing_else(tmp_path):
    states(tmp_path, 1)
    for name in (".checkpoint.4711.tmp.pt", ".weights.4711.tmp.safetensors", ".lock"):
        (tmp_path / name).write_bytes(b"half")
    remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", NEWEST]


@pytest.mark.parametrize("damage", ["cut", "empty", "missing", "other training"])
def test_broken_newest_checkpoint_falls_back_to_the_one_before(tmp_path, damage):
    """Missing: a power cut between the two renames. Empty: before the data reached the disk."""
    states(tmp_path, 1, 2)
    newest = tmp_path / NEWEST
    if damage == "cut":
        newest.write_bytes(newest.read_bytes()[:-7])
    elif damage == "empty":
        newest.write_bytes(b"")
    elif damage == "missing":
        newest.unlink()
    else:
        save_checkpoint(tmp_path / "other.pt", {"fingerprint": "g", "step": 9})
        (tmp_path / "other.pt").replace(newest)
    assert newest_checkpoint(tmp_path, "f")["step"] == 1


def test_full_disk_warns_and_keeps_the_last_good_checkpoints(tmp_path, monkeypatch, capsys):
    states(tmp_path, 1, 2)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        assert not keep_checkpoint(tmp_path, {"fingerprint": "f", "step": 3})
    message = capsys.readouterr().err
    assert "checkpoint.pt: not written at step 3 (No space left on device)" in message
    assert newest_checkpoint(tmp_path, "f")["step"] == 2
    assert load_checkpoint(tmp_path / PREVIOUS, "f")["step"] == 1
    assert len(list(tmp_path.iterdir())) == 2
    assert keep_checkpoint(tmp_path, {"fingerprint": "f", "step": 4})
    assert newest_checkpoint(tmp_path, "f")["step"] == 4
