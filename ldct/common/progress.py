"""Progress that a person sees: a bar on a terminal, a line now and then everywhere else."""

import errno
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from tqdm import tqdm

SECONDS_BETWEEN_LINES = 10.0
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


def track(
    iterable: Iterable[Any],
    label: str,
    total: int | None = None,
    initial: int = 0,
    shown: bool = True,
    delay: float = 0.0,
) -> "tqdm":
    """Wrap an iterable in a progress display on standard error.

    delay : seconds without a display, for what is mostly over by then.
    On a terminal this is a bar. Elsewhere (jobs side by side, log files) it is one whole line every
    ten seconds, so that the lines of parallel jobs stay readable.
    """
    from tqdm import tqdm

    if not shown:
        return tqdm(iterable, disable=True)
    if sys.stderr.isatty():
        return tqdm(iterable, desc=label, total=total, initial=initial, delay=delay)
    return tqdm(
        iterable,
        desc=label,
        total=total,
        initial=initial,
        delay=delay,
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
        self.last = ""

    def write(self, text: str) -> None:
        line = text.strip()
        if line and line != self.last:  # tqdm ends with its last line again
            self.stream.write(line + "\n")
            self.last = line

    def flush(self) -> None:
        self.stream.flush()


class Tee:
    """A text stream that writes to a stream and to a log file, to keep what a person saw.

    A log that cannot be written (a full disk) is given up, which the stream says once. Where the
    stream is itself a file on a full disk, its lines are lost: neither ends what is logged.
    """

    def __init__(self, stream: TextIO, log: TextIO) -> None:
        self.stream = stream
        self.log: TextIO | None = log

    def write(self, text: str) -> int:
        with _losing_what_has_no_room():
            self.stream.write(text)
        if self.log is not None:
            try:
                self.log.write(text)
                # Not earlier: a warning would stand in the middle of a line.
                if text.endswith("\n"):
                    self.log.flush()
            except OSError as error:
                self._give_up(error)
        return len(text)

    def flush(self) -> None:
        with _losing_what_has_no_room():
            self.stream.flush()

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        return self.stream.fileno()

    def close_log(self) -> None:
        """Close the log file; later lines go to the stream alone."""
        if self.log is None:
            return
        try:
            self.log.close()
        except OSError as error:
            self._give_up(error)
        self.log = None

    def _give_up(self, error: OSError) -> None:
        log, self.log = self.log, None
        with suppress(OSError):
            log.close()
        print(warning_of_log(log.name, error), file=self)


@contextmanager
def _losing_what_has_no_room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise


def warning_of_log(name: str | Path, error: OSError) -> str:
    """One line about a log file that cannot be written."""
    reason = error.strerror or error
    return f"warning: {name}: log not written ({reason}); the job goes on without"
