"""Command line: the same verbs that the workflow's rules run."""

import argparse
import importlib
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from ldct import __version__
from ldct.common.errors import InputError
from ldct.common.progress import Tee, warning_of_log
from ldct.devices.ranks import rank_and_size

# Rooms with verbs, in the order in which `--help` lists them.
ROOMS = (
    "data",
    "pretrained",
    "training",
    "denoising",
    "controls",
    "metrics",
    "table1",
    "calibration",
    "texture",
    "lesions",
    "detectability",
    "figures",
    "cost",
    "plan",
    "claims",
    "explain",
    "method_check",
)


def main(arguments: list[str]) -> int:
    """Run one verb; returns the exit status.

    Bad input ends in one line on standard error and status 1; with `--log` everything shown on
    standard error is also written to the log file.
    """
    options = _parser().parse_args(arguments)
    with _logged(options.log):
        try:
            options.run(options)
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        except BrokenPipeError:
            # The reader of our output has gone (`| head`); nothing more can be printed.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        except OSError as error:
            if error.filename is None:
                raise
            print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("stopped", file=sys.stderr)
            return 130
        except Exception:
            # Printed here, so that the log holds it too.
            traceback.print_exc()
            return 1
    return 0


@contextmanager
def _logged(path: Path | None) -> Iterator[None]:
    """Write all that is shown on standard error to a log file too, where it can be written."""
    if path is None:
        yield
        return
    shown = sys.stderr
    try:
        tee = Tee(shown, _open_log(path))
    except OSError as error:
        print(warning_of_log(path, error), file=shown)
        yield
        return
    sys.stderr = tee
    try:
        yield
    finally:
        sys.stderr = shown
        tee.close_log()


def _open_log(path: Path) -> TextIO:
    """The log file, begun anew; processes of torchrun add their lines to one file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rank, size = rank_and_size()
    if size == 1:
        return path.open("w", encoding="utf-8")
    if rank == 0:
        path.write_text("", encoding="utf-8")
    return path.open("a", encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ldct", description="Benchmark of low-dose CT denoising: single steps."
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("--log", type=Path, help="also write all messages to this file")
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")
    for room in ROOMS:
        importlib.import_module(f"ldct.{room}.verbs").register(verbs)
    return parser
