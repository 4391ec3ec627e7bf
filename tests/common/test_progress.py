"""Progress as lines where there is no terminal, and the tee that keeps a log."""

import io
import sys
from pathlib import Path

import pytest

from ldct.common.progress import Tee, track


def test_progress_without_a_terminal_is_whole_lines(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    assert list(track([1, 2, 3], "slices")) == [1, 2, 3]
    lines = stream.getvalue().splitlines()
    assert lines[-1].startswith("slices: 3/3")
    assert "\r" not in stream.getvalue()


def test_progress_is_not_a_line_per_item(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    list(track(range(10_000), "steps"))
    assert len(stream.getvalue().splitlines()) < 10


def test_resumed_progress_counts_on(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    list(track(range(4, 6), "steps", total=6, initial=4))
    assert stream.getvalue().splitlines()[0].startswith("steps: 4/6")
    assert stream.getvalue().splitlines()[-1].startswith("steps: 6/6")


FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")


@needs_full
def test_log_on_a_full_disk_is_given_up_and_said_once():
    shown = io.StringIO()
    with FULL.open("w", encoding="utf-8") as log:
        tee = Tee(shown, log)
        for number in range(3):
            print("step", number, file=tee)
        tee.close_log()
    warning = "warning: /dev/full: log not written (No space left on device); the job goes on"
    lines = shown.getvalue().splitlines()
    assert lines[1].startswith(warning)
    assert [*lines[:1], *lines[2:]] == ["step 0", "step 1", "step 2"]
