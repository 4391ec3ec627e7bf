"""Progress that a person sees: a bar on a terminal, a line now and then everywhere else."""

import sys
from collections.abc import Iterable
from typing import Any, TextIO

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 10.0


def track(
    iterable: Iterable[Any],
    label: str,
    total: int | None = None,
    initial: int = 0,
    shown: bool = True,
) -> tqdm:
    """Wrap an iterable in a progress display on standard error.

    On a terminal this is a bar. Elsewhere (jobs side by side, log files) it is one whole line every
    ten seconds, so that the lines of parallel jobs stay readable.
    """
    if not shown:
        return tqdm(iterable, disable=True)
    if sys.stderr.isatty():
        return tqdm(iterable, desc=label, total=total, initial=initial)
    return tqdm(
        iterable,
        desc=label,
        total=total,
        initial=initial,
        file=_LineStream(sys.stderr),
        mininterval=SECONDS_BETWEEN_LINES,
        maxinterval=SECONDS_BETWEEN_LINES,
        miniters=1,
        bar_format="{desc}: {n_fmt}/{total_fmt} after {elapsed}, {remaining} left {postfix}",
    )


class _LineStream:
    """Turns tqdm's carriage returns into lines."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> None:
        line = text.strip()
        if line:
            self.stream.write(line + "\n")

    def flush(self) -> None:
        self.stream.flush()


class Tee:
    """A text stream that writes to two streams; used to keep a log of what a person saw."""

    def __init__(self, first: TextIO, second: TextIO) -> None:
        self.first = first
        self.second = second

    def write(self, text: str) -> int:
        self.first.write(text)
        self.second.write(text)
        self.second.flush()
        return len(text)

    def flush(self) -> None:
        self.first.flush()
        self.second.flush()

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        return self.first.fileno()
