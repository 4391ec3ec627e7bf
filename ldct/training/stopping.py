"""Stopping a training without losing it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stop_on_signal(patient: bool = False) -> Iterator[dict[str, int]]:
    """Make SIGTERM and Ctrl-C ask for a checkpoint after the running step; twice, end at once.

    patient : not even then, nor after the block, so that results or a message are still written: a
        process of torchrun gets signals from the system and from torchrun, which kills in the end.

    Yields {"signal": 0}, whose value becomes the number of the signal.
    """
    stop = {"signal": 0}

    def request(number: int, _: object) -> None:
        stop["signal"] = number
        signal.signal(number, signal.SIG_IGN if patient else signal.SIG_DFL)

    previous = {n: signal.signal(n, request) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        if not patient:
            for number, handler in previous.items():
                signal.signal(number, handler)
