"""Command line: the same verbs that the workflow's rules run."""

import argparse
import errno
import importlib
import os
import re
import sys
import textwrap
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn, TextIO

from ldct import __version__
from ldct.common.errors import InputError, problem_of
from ldct.common.files import where_full
from ldct.common.progress import Tee, warning_of_log
from ldct.devices.ranks import rank_and_size

# Rooms with verbs.
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
    "runs",
    "claims",
    "explain",
    "method_check",
    "front_page",
    "scan",
    "notebooks",
    "crate",
)
# Verbs that people type, as `--help` groups them. All others are steps that rules call.
GROUPS = {
    "a run": ("plan", "doctor", "table", "open", "claims", "explain", "crate"),
    "methods": ("methods", "new-method", "check-method", "export-weights"),
    "scans": ("denoise", "calibrate"),
    "more": ("snakefile", "completion"),
}
COMPLETION = """\
[ -z "${{ZSH_VERSION:-}}" ] || {{ autoload -Uz compinit bashcompinit && compinit && bashcompinit; }}
_ldct() {{
    local words
    case "${{COMP_WORDS[1]}}" in
{cases}
    esac
    [ "$COMP_CWORD" != 1 ] || words="{verbs}"
    COMPREPLY=($(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -o default -F _ldct ldct"""

NO_TORCH = "error: this verb needs PyTorch, found none: install the extra `torch`, or use ./run.sh"


def main(arguments: list[str]) -> int:
    """Run one verb; returns the exit status.

    Bad input ends in one line on standard error and status 1; with `--log` everything shown on
    standard error is also written to the log file.
    """
    options = make_parser().parse_args(arguments)
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
            if error.filename is None and error.errno == errno.ENOSPC:
                error.filename = where_full(error, "the working folder")
            if error.filename is None:
                raise
            print(f"error: {problem_of(error)}", file=sys.stderr)
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

    verbs: Mapping[str, "_Parser"] = {}  # of the parser of all verbs
    line = ""  # of a verb, what it is for

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
        if "VERB" in message:
            message = re.sub(r" \(choose from .*\)", "", message) + " (ldct --help lists the verbs)"
        self.exit(2, f"error: {message}\n")


class _Verbs(argparse._SubParsersAction):
    """Verbs that `grouped_verbs` lists, not argparse; each says its line in its own help, too."""

    def add_parser(self, name: str, *, help: str, **settings: Any) -> _Parser:
        parser = super().add_parser(name, **{"description": help, **settings})
        parser.line = help
        return parser


def make_parser() -> _Parser:
    """The parser of all verbs."""
    parser = _Parser(
        prog="ldct",
        usage="ldct [--help] [--version] [--log LOG] VERB ...",
        description="Benchmark of low-dose CT denoising. ldct VERB --help explains a verb.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("--log", type=Path, help="also write all messages to this file")
    verbs = parser.add_subparsers(
        action=_Verbs, prog="ldct", required=True, metavar="VERB", help=argparse.SUPPRESS
    )
    for room in ROOMS:
        importlib.import_module(f"ldct.{room}.verbs").register(verbs)
    completion = verbs.add_parser("completion", help='eval "$(ldct completion)" completes verbs')
    completion.set_defaults(run=lambda _: print(completion_script(verbs.choices)))
    parser.verbs, parser.epilog = verbs.choices, grouped_verbs(verbs.choices)
    return parser


def grouped_verbs(verbs: Mapping[str, _Parser]) -> str:
    """What people use first, a line each; then the names of the steps that rules call."""
    typed = [name for names in GROUPS.values() for name in names]
    lines = []
    for title, names in GROUPS.items():
        lines += [f"{title}:", *(f"  {name:14} {verbs[name].line}" for name in names), ""]
    steps = ", ".join(name for name in verbs if name not in typed)
    return "\n".join([*lines, "steps, which rules call:", *_indented(steps)])


def _indented(text: str) -> list[str]:
    wrapped = textwrap.TextWrapper(78, initial_indent="  ", subsequent_indent="  ")
    wrapped.break_on_hyphens = False
    return wrapped.wrap(text)


def completion_script(verbs: Mapping[str, _Parser]) -> str:
    """Lines for bash, and for zsh, that complete verbs, their options and names of runs."""
    cases = []
    for name, parser in verbs.items():
        words = [option for action in parser._actions for option in action.option_strings]
        if any(action.metavar == "RUN" for action in parser._actions):
            words.append("$(command ls results 2>/dev/null)")
        cases.append(f'        {name}) words="{" ".join(words)}" ;;')
    return COMPLETION.format(cases="\n".join(cases), verbs=" ".join(verbs))
