"""Types of arguments that verbs share: a bad value ends in one line, before any work."""

import argparse
import json
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ldct.common.run_files import FIXED

SEED_HELP = "a number, or 'fixed' for unseeded methods"


def positive_integer(text: str) -> int:
    """A whole number from 1. Raises ArgumentTypeError."""
    return _whole_number(text, 1)


def natural_number(text: str) -> int:
    """A whole number from 0. Raises ArgumentTypeError."""
    return _whole_number(text, 0)


def seed_argument(text: str) -> int:
    """The number of a seed, 0 for 'fixed' (unseeded methods). Raises ArgumentTypeError."""
    if text == FIXED:
        return 0
    try:
        return natural_number(text)
    except ArgumentTypeError as error:
        raise ArgumentTypeError(f"{error}, or '{FIXED}'") from None


def json_mapping(*keys: str) -> Callable[[str], dict[str, Any]]:
    """A type of argument: a JSON mapping that has at least `keys`."""

    def convert(text: str) -> dict[str, Any]:
        content = _json(text, dict, "a JSON mapping")
        missing = [key for key in keys if key not in content]
        if missing:
            raise ArgumentTypeError(
                f"found no {', '.join(missing)}, expected a JSON mapping with {', '.join(keys)}"
            )
        return content

    return convert


def json_list(text: str) -> list[Any]:
    """A JSON list. Raises ArgumentTypeError."""
    return _json(text, list, "a JSON list")


def add_overlays(parser: ArgumentParser) -> None:
    """Add the options of verbs that look at a configuration: those of snakemake."""
    parser.add_argument(
        "--configfile",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="laid over the default run, as with snakemake",
    )
    parser.add_argument(
        "--config", nargs="+", default=[], metavar="KEY=VALUE", help="as with snakemake"
    )


def add_measuring(parser: ArgumentParser) -> None:
    """Add the options of verbs that measure one prediction of one patient."""
    parser.add_argument("--test-folder", type=Path, required=True)
    parser.add_argument("--prediction", type=Path, required=True)
    parser.add_argument("--method", required=True)
    parser.add_argument("--seed", type=seed_argument, required=True, help=SEED_HELP)
    parser.add_argument("--output", type=Path, required=True, help="parquet file")


def add_report(parser: ArgumentParser, figure: bool = True) -> None:
    """Add the options of verbs that draw a table, and a figure, from measured values."""
    parser.add_argument("--measured", type=Path, nargs="+", required=True, help="parquet files")
    parser.add_argument("--titles", type=json_list, required=True, help="[[method, title], ...]")
    parser.add_argument("--statistics", type=json_mapping(), default={}, help="of intervals, JSON")
    parser.add_argument("--note", required=True, help="data, dose and budget in words")
    parser.add_argument("--credit", default="", help="whom to credit for the data")
    parser.add_argument("--tables", type=Path, required=True, help="path without suffix")
    if figure:
        parser.add_argument("--figure", type=Path, required=True, help="path without suffix")


def _whole_number(text: str, lowest: int) -> int:
    try:
        number = int(text)
    except ValueError:
        number = lowest - 1
    if number < lowest:
        raise ArgumentTypeError(f"found '{text}', expected a whole number from {lowest}")
    return number


def _json(text: str, kind: type, expected: str) -> Any:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise ArgumentTypeError(f"found no JSON ({error}), expected {expected}") from None
    if not isinstance(content, kind):
        raise ArgumentTypeError(f"found {text[:40]}, expected {expected}")
    return content


def add_panels(parser: argparse.ArgumentParser) -> None:
    """Add the options of figures that show slices."""
    parser.add_argument("--test-folders", type=Path, nargs="+", required=True)
    parser.add_argument("--predictions", type=Path, nargs="*", default=[])
    parser.add_argument("--titles", type=json_list, required=True, help="[[method, title], ...]")
    parser.add_argument("--protocol", type=Path, required=True)
    parser.add_argument("--note", required=True, help="data, dose and budget in words")
    parser.add_argument("--output", type=Path, required=True)
