"""Progress as lines where there is no terminal, and the tee that keeps a log."""

import errno
import io
import sys
from pathlib import Path

import pytest

from ldct.progress import Tee, track


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


def test_tee_writes_to_both_and_is_no_terminal():
    first, second = io.StringIO(), io.StringIO()
    tee = Tee(first, second)
    assert tee.write("one\n") == 4
    tee.flush()
    assert first.getvalue() == second.getvalue() == "one\n"
    assert not tee.isatty()


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


@needs_full
def test_log_that_cannot_be_closed_is_said(capsys):
    """The rest of a line is written at the end."""
    with FULL.open("w", encoding="utf-8") as log:
        tee = Tee(sys.stderr, log)
        tee.write("half a line")
        tee.close_log()
    assert capsys.readouterr().err.count("log not written") == 1


@needs_full
def test_lines_for_a_file_on_a_full_disk_are_lost_and_the_log_has_them(tmp_path):
    with FULL.open("w", encoding="utf-8", buffering=1) as full:
        tee = Tee(full, (tmp_path / "log").open("w", encoding="utf-8"))
        print("step 0", file=tee)
        tee.flush()
        tee.close_log()
        with pytest.raises(OSError, match="No space"):
            full.close()
    assert (tmp_path / "log").read_text(encoding="utf-8") == "step 0\n"


def test_other_errors_of_a_stream_are_not_hidden():
    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    with pytest.raises(BrokenPipeError):
        Tee(Gone(), io.StringIO()).write("step 0\n")
