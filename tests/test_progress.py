"""Progress as lines where there is no terminal, and the tee that keeps a log."""

import io
import sys

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
