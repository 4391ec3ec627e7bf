"""Verbs in processes of their own, forked from one that has imported PyTorch already."""

import multiprocessing
import os
import sys
from pathlib import Path

from ldct.cli import main

CONTEXT = multiprocessing.get_context("forkserver")
# An optimiser imports the last.
CONTEXT.set_forkserver_preload(["ldct.cli", "ldct.training.loop", "torch._dynamo"])


class Verb(CONTEXT.Process):
    """A verb that has been started; what it prints goes to `printed`, a file."""

    def __init__(self, arguments: list[str], printed: Path, **environment: str) -> None:
        super().__init__(target=_run, args=(arguments, printed, environment), daemon=True)
        self.printed = printed
        self.start()

    def poll(self) -> int | None:
        return self.exitcode

    def finish(self) -> int:
        """Status at its end."""
        self.join(timeout=300)
        return self.exitcode


def _run(arguments: list[str], printed: Path, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    with printed.open("a") as stream:
        os.dup2(stream.fileno(), sys.stdout.fileno())
        os.dup2(stream.fileno(), sys.stderr.fileno())
    sys.exit(main(arguments))
