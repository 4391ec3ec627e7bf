"""How far a whole run is, and about how long it will still take: one line after every job."""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

# The plan's own pace counts as much as so large a part of the run that is done.
TRUST = 0.05


class RunProgress(logging.Handler):
    """Follows a run by the events that Snakemake logs.

    planned : seconds of each job by the path of its log; empty where nobody planned, and then the
        line says nothing of what is left. seconds : of the whole run on the clock, as planned.
    """

    def __init__(
        self,
        planned: Mapping[str, float],
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self.planned, self.seconds, self.clock = planned, seconds, clock
        self.began, self.done = clock(), 0.0
        self.running: dict[int, tuple[float, float]] = {}  # job: its planned seconds, its start

    def emit(self, record: logging.LogRecord) -> None:
        """Note that a job starts or ends."""
        event = getattr(record, "event", None)
        if event == "job_info":
            planned = sum(self.planned.get(str(log), 0.0) for log in record.log or ())
            self.running[record.jobid] = planned, self.clock()
        elif event == "job_finished":
            self.done += self.running.pop(record.job_id, (0.0, 0.0))[0]

    def line(self, counted: Mapping[str, Any]) -> str:
        """`37 of 112 jobs, 12 min so far, about 25 min left`; counted : done and total."""
        now = self.clock()
        text = f"{counted['done']} of {counted['total']} jobs, {duration(now - self.began)} so far"
        if not self.planned or counted["done"] >= counted["total"]:
            return text
        begun = sum(min(planned, now - start) for planned, start in self.running.values())
        share = min(1.0, (self.done + begun) / sum(self.planned.values()))
        # Seconds of the clock for one of the plan: near 1 at first, then as measured.
        pace = (now - self.began + TRUST * self.seconds) / ((share + TRUST) * self.seconds)
        return f"{text}, about {duration((1 - share) * self.seconds * pace)} left"


def duration(seconds: float) -> str:
    """Seconds in the unit that a person would choose."""
    for unit, size in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            digits = 0 if seconds >= 10 * size else 1
            return f"{seconds / size:.{digits}f} {unit}"
    return f"{seconds:.0f} s"
