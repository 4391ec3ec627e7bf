"""What people see of a training: rows of `history.csv`, the progress line, event files."""

import csv
import io
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ldct.errors import InputError
from ldct.training.finite import FiniteWatch
from ldct.training.parallel import ALONE, Group
from ldct.training.state import Training
from ldct.training.validation import Validation

LOG_EVERY = 10


class Observer:
    """Keeps the history, the time and the search for values that are not finite.

    training : brought up to date in place. batch : tiles of a generator step. total : steps.
    events : from `event_writer`, or None. group : the processes that train together; the first
        one validates, and the processor time is that of all.
    """

    def __init__(
        self,
        training: Training,
        model: str,
        batch: int,
        total: int,
        validation: Validation | None,
        events: Any,
        group: Group = ALONE,
    ) -> None:
        self.training = training
        self.batch = batch
        self.total = total
        self.validation = validation
        self.events = events
        self.group = group
        self.watch = FiniteWatch(model)
        self.first = training.step
        self.before = training.seconds, training.cpu_seconds
        self.started = time.perf_counter(), time.process_time()

    def see(self, step: int, terms: Mapping[str, Tensor]) -> dict[str, str] | None:
        """Take note of one step; returns the end of the progress line where the step is logged.

        The host waits for the device at logged steps alone: every tenth, the last, and those with a
        validation. Raises InputError there where a term was not finite.
        """
        self.watch.look(terms, step)
        add_terms(self.training, terms)
        done = step + 1
        last = done == self.total
        validate = self.validation is not None and (last or done % self.validation.every == 0)
        if step % LOG_EVERY and not last and not validate:
            return None
        self.watch.check()
        row = {"step": step, **take_means(self.training, terms)}
        if validate and self.group.is_first:
            row |= self.validation.score(self.training.network)
        self.training.history.append(row)
        if self.events is not None:
            write_events(self.events, row)
        speed = (done - self.first) * self.batch / max(self.take_time(), 1e-9)
        shown = {name: f"{value:.3g}" for name, value in row.items() if name != "step"}
        return shown | {"tiles/s": f"{speed:.0f}"}

    def take_time(self) -> float:
        """Bring the training's seconds up to date; returns those on the clock since the start."""
        seconds = time.perf_counter() - self.started[0]
        self.training.seconds = self.before[0] + seconds
        processor = self.group.total(time.process_time() - self.started[1])
        self.training.cpu_seconds = self.before[1] + processor
        return seconds


def add_terms(training: Training, terms: Mapping[str, Tensor]) -> None:
    """Add the terms of one step to those since the last row of the history, on the device."""
    values = torch.stack([value.float() for value in terms.values()])
    training.sums = values if training.sums is None else training.sums + values
    training.summed += 1


def take_means(training: Training, terms: Mapping[str, Tensor]) -> dict[str, float]:
    """Means of the terms since the last row of the history, and begin anew."""
    means = (training.sums / training.summed).tolist()
    training.sums, training.summed = None, 0
    return dict(zip(terms, means, strict=True))


def as_csv(history: Sequence[Mapping[str, float]]) -> str:
    """Rows of one table as CSV text; a row that lacks a column has an empty cell there."""
    columns = list(dict.fromkeys(name for row in history for name in row))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    return stream.getvalue()


def event_writer(folder: Path, first_step: int) -> Any:
    """A TensorBoard writer of `folder`; events of `first_step` and later are taken back.

    Raises InputError where the package is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise InputError(
            "engine.tensorboard: found true, but the package tensorboard is not installed; install "
            f"it (`{sys.executable} -m pip install tensorboard`), or set engine.tensorboard: false"
        ) from None
    return SummaryWriter(str(folder), purge_step=first_step)


def write_events(writer: Any, row: Mapping[str, float]) -> None:
    """Add one row of the history; a full disk costs event files, not the training."""
    with _warning_of_events():
        for name, value in row.items():
            if name != "step":
                writer.add_scalar(name, value, row["step"])


def close_events(writer: Any) -> None:
    """Write what is left and close the file; a full disk costs no more here."""
    with _warning_of_events():
        writer.close()


@contextmanager
def _warning_of_events() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        print(f"warning: TensorBoard event file not written ({error})", file=sys.stderr)
