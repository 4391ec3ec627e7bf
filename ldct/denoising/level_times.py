"""How long each level of a chain takes in a prediction, without making it any slower."""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch

from ldct.devices.choice import Mark, is_gpu, mark, seconds_between
from ldct.networks.chain import Level

# Calls that may wait to be added up: a GPU is done with the oldest of so many long since.
WAITING = 256


class LevelTimes:
    """Time of every level, first level first, summed over all calls of its network.

    seconds : on the clock, the GPU's own one there. cpu_seconds : of the processor; None on a GPU,
    where it only hands out work.
    """

    def __init__(self, count: int, device: torch.device) -> None:
        self.device = device
        self.seconds = [0.0] * count
        self.cpu_seconds = None if is_gpu(device) else [0.0] * count
        self.begun: Mark | None = None
        self.waiting: deque[tuple[int, Mark, Mark]] = deque()

    def begin(self, *_: Any) -> None:
        """Note that a level begins; the arguments of PyTorch's hook are not looked at."""
        self.begun = mark(self.device)

    def end(self, level: int, *_: Any) -> None:
        """Note that it has ended."""
        self.waiting.append((level, self.begun, mark(self.device)))
        self.add_up(WAITING)

    def add_up(self, kept: int = 0) -> None:
        """Sum up all calls but the last `kept`."""
        while len(self.waiting) > kept:
            level, begun, ended = self.waiting.popleft()
            seconds, cpu_seconds = seconds_between(begun, ended)
            self.seconds[level] += seconds
            if self.cpu_seconds is not None:
                self.cpu_seconds[level] += cpu_seconds

    def record(self) -> dict[str, list[float]]:
        """For a provenance record: seconds of each level, to the millisecond."""
        found = {"level_seconds": self.seconds, "level_cpu_seconds": self.cpu_seconds}
        return {
            name: [round(value, 3) for value in values]
            for name, values in found.items()
            if values is not None
        }


@contextmanager
def level_times(levels: Sequence[Level], device: torch.device) -> Iterator[LevelTimes]:
    """Time the levels' networks in the block; complete when the block has ended.

    levels : on `device`, each with a network of its own. On a GPU nothing waits within the block:
    events stand in its queue before and after each level. What a level does outside its network
    (stacking inputs, taking a residual off) is not counted.
    """
    times = LevelTimes(len(levels), device)
    with ExitStack() as hooks:
        for number, level in enumerate(levels):
            before = level.network.register_forward_pre_hook(times.begin)
            hooks.callback(before.remove)
            after = level.network.register_forward_hook(partial(times.end, number))
            hooks.callback(after.remove)
        yield times
    times.add_up()
