"""What people see of a training: rows of `history.csv` and the progress line."""

import csv
import io
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ldct.common.errors import InputError
from ldct.devices.parallel import ALONE, Group
from ldct.training.checkpoint import Training
from ldct.training.losses import weight_of
from ldct.training.validation import Validation

LOG_EVERY = 10
REMEDY = (
    "expected a finite number; lower recipe.learning_rate or use precision fp32 (a changed setting "
    "trains from step 0; until then the checkpoint of the last good step stays)"
)


class FiniteWatch:
    """Remembers, on the device, at which step each loss term was first not finite."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.names: list[str] = []
        self.first_bad: Tensor | None = None

    def look(self, terms: Mapping[str, Tensor], step: int) -> None:
        """Note the terms of one step; nothing is read back from the device."""
        bad = ~torch.stack([value.isfinite() for value in terms.values()])
        if self.first_bad is None:
            self.names = list(terms)
            self.first_bad = torch.full_like(bad, -1, dtype=torch.int64)
        self.first_bad = torch.where(bad & (self.first_bad < 0), step, self.first_bad)

    def check(self) -> None:
        """Raise InputError naming the term that was the first not to be finite, and the step."""
        if self.first_bad is None:
            return
        steps = self.first_bad.tolist()
        found = [(step, name) for name, step in zip(self.names, steps, strict=True) if step >= 0]
        if found:
            step, name = min(found, key=lambda one: one[0])
            raise InputError(
                f"{self.model}: loss term '{name}' is not finite from step {step} on; {REMEDY}"
            )


def check_state(tensors: Sequence[Tensor], model: str, step: int) -> None:
    """Raise InputError where weights, statistics or moments are not finite after `step` steps."""
    if tensors and not bool(torch.stack([tensor.isfinite().all() for tensor in tensors]).all()):
        raise InputError(
            f"{model}: weights or optimiser state are not finite after step {step - 1}; {REMEDY}"
        )


class Observer:
    """Keeps the history, the time of the steps and the search for values that are not finite.

    training : brought up to date in place. batch : tiles of a generator step. total : steps.
    group : the processes that train together; the first one validates, and the processor time is
        that of all.
    """

    def __init__(
        self,
        training: Training,
        model: str,
        batch: int,
        total: int,
        validations: Sequence[Validation],
        group: Group = ALONE,
    ) -> None:
        self.training = training
        self.batch = batch
        self.total = total
        self.validations = validations
        self.group = group
        self.watch = FiniteWatch(model)
        self.first = training.step
        self.before = training.seconds, training.cpu_seconds
        self.started = clocks()

    def see(self, step: int, terms: Mapping[str, Tensor]) -> dict[str, str] | None:
        """Take note of one step; returns the end of the progress line where the step is logged.

        The host waits for the device at logged steps alone: every tenth, the last, and those with a
        validation. Raises InputError there where a term was not finite.
        """
        self.watch.look(terms, step)
        training = self.training
        values = torch.stack([value.float() for value in terms.values()])
        training.sums = values if training.sums is None else training.sums + values
        training.summed += 1
        done = step + 1
        last = done == self.total
        due = [one for one in self.validations if last or done % one.every == 0]
        if step % LOG_EVERY and not last and not due:
            return None
        self.watch.check()
        means = (training.sums / training.summed).tolist()
        training.sums, training.summed = None, 0
        row = {"step": step, **dict(zip(terms, means, strict=True))}
        if self.group.is_first:
            paused = clocks()
            for validation in due:
                row |= validation.score(training.network)
            self.started += clocks() - paused
        training.history.append(row)
        speed = (done - self.first) * self.batch / max(self.take_time(), 1e-9)
        shown = {name: f"{value:.3g}" for name, value in row.items() if name != "step"}
        return shown | {"tiles/s": f"{speed:.0f}" if speed >= 10 else f"{speed:.2g}"}

    def take_time(self) -> float:
        """Bring the seconds of the steps up to date; returns those on the clock since the start."""
        seconds, processor = (clocks() - self.started).tolist()
        self.training.seconds = self.before[0] + seconds
        self.training.cpu_seconds = self.before[1] + self.group.total(processor)
        return seconds


def clocks() -> np.ndarray:
    """Seconds on the clock, and of the processor."""
    return np.array([time.perf_counter(), time.process_time()])


def as_csv(history: Sequence[Mapping[str, float]]) -> str:
    """Rows of one table as CSV text; a row that lacks a column has an empty cell there."""
    columns = list(dict.fromkeys(name for row in history for name in row))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    return stream.getvalue()


def loss_shares(row: Mapping[str, float], loss: Mapping[str, Any]) -> dict[str, float]:
    """What each weighted term is of the sum of all, by size; from a row of the history.

    loss : the card's, with numbers for weights.
    """
    sizes = {name: abs(weight_of(loss, name) * row[name]) for name in loss if name in row}
    total = sum(sizes.values())
    return {name: size / total if total else 0.0 for name, size in sizes.items()}


def outcome(history: Sequence[Mapping[str, float]], loss: Mapping[str, Any]) -> dict[str, Any]:
    """The critic's last AUC (None without one) and the shares of the terms of the loss."""
    measured = [row["critic_auc"] for row in history if "critic_auc" in row]
    return {
        "critic_auc": measured[-1] if measured else None,
        "loss_shares": {
            "start": loss_shares(history[0], loss),
            "end": loss_shares(history[-1], loss),
        },
    }
