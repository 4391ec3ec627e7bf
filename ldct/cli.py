"""Command line: the same verbs that the workflow's rules run."""

import argparse
import importlib
import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn, TextIO

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
    "viewer",
    "cost",
    "plan",
    "weights",
    "doctor",
    "claims",
    "explain",
    "method_check",
    "front_page",
    "scan",
    "notebooks",
    "crate",
)

NO_TORCH = "error: this verb needs PyTorch, found none: install the extra `torch`, or use ./run.sh"


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
        except Exception as error:
            if isinstance(error, ModuleNotFoundError) and error.name == "torch":
                print(NO_TORCH, file=sys.stderr)
                return 1
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


class _Parser(argparse.ArgumentParser):
    """Ends in one line, which says what a verb, option or choice with a typo may have meant."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        self.given = list(args or [])
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            # Here, and not in the parser of all verbs, options of this verb are known.
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown

    def error(self, message: str) -> NoReturn:
        # "argument VERB: invalid choice: 'x' (choose from 'a', 'b')"
        chosen, *choices = re.findall(r"'([^']*)'", message) or [""]
        known = [option for action in self._actions for option in action.option_strings]
        end = self.given.index(chosen) if chosen in self.given else None
        options = [word.split("=")[0] for word in self.given[:end] if word.startswith("--")]
        typos = [(word, known) for word in options if not any(o.startswith(word) for o in known)]
        for word, meant in [*typos, (chosen, choices)]:
            if close := get_close_matches(word, meant, n=1):
                message = f"{message}; '{word}': did you mean '{close[0]}'?"
        if "argument VERB" in message:
            where = " (python -m ldct --help lists the verbs)"
            message = re.sub(r" \(choose from .*\)", where, message)
        self.exit(2, f"error: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="ldct", description="Benchmark of low-dose CT denoising: single steps.")
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("--log", type=Path, help="also write all messages to this file")
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")
    for room in ROOMS:
        importlib.import_module(f"ldct.{room}.verbs").register(verbs)
    return parser
