"""Verbs: control methods: predictions that show what a metric rewards and what it misses."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ldct.common.arguments import json_list, json_mapping
from ldct.common.errors import InputError
from ldct.common.run_files import TABLES


def register(verbs: argparse._SubParsersAction) -> None:
    """Add the verbs to the parser."""
    tune = verbs.add_parser("tune-controls", help="choose the controls' parameters")
    tune.add_argument("--controls", type=Path, nargs="+", required=True, help="folders")
    tune.add_argument("--settings", type=json_list, required=True, help="JSON list, of the cards")
    tune.add_argument("--volumes", type=Path, nargs="*", required=True)
    tune.add_argument("--outputs", type=Path, nargs="+", required=True, help="one per control")
    tune.set_defaults(run=run_tune)

    denoise = verbs.add_parser("denoise-controls", help="predictions of the controls")
    denoise.add_argument("--controls", type=Path, nargs="+", required=True, help="folders")
    denoise.add_argument(
        "--parameters", type=Path, nargs="+", required=True, help="one per control"
    )
    denoise.add_argument("--test-folder", type=Path, required=True)
    denoise.add_argument("--outputs", type=Path, nargs="+", required=True, help="one per control")
    denoise.set_defaults(run=run_denoise)

    table = verbs.add_parser("controls-table", help="what each control does to each metric")
    for name in TABLES:
        option = f"--{name.replace('_', '-')}"
        table.add_argument(option, dest=name, type=Path, nargs="*", default=[])
    table.add_argument("--protocol", type=Path, required=True)
    settings = json_mapping("titles", "note", "credit")
    table.add_argument("--settings", type=settings, required=True, help="of the run, JSON")
    table.add_argument("--output", type=Path, required=True, help="folder")
    table.set_defaults(run=run_table)


def run_tune(options: argparse.Namespace) -> None:
    """Write the parameters of all controls."""
    from ldct.denoising.classical import tune_classical

    for folder, settings, output in _one_each(options, "settings", "outputs"):
        tune_classical(folder, settings, options.volumes, output)


def run_denoise(options: argparse.Namespace) -> None:
    """Write the predictions of all controls for one patient."""
    from ldct.controls.predict import denoise_control

    for folder, parameters, output in _one_each(options, "parameters", "outputs"):
        denoise_control(folder, parameters, options.test_folder, output)


def _one_each(options: argparse.Namespace, *names: str) -> Iterator[tuple[Any, ...]]:
    lists = [options.controls, *(getattr(options, name) for name in names)]
    if len(set(map(len, lists))) > 1:
        raise InputError(
            f"--controls, --{', --'.join(names)}: found {', '.join(str(len(own)) for own in lists)}"
            " of them; expected one each for every control"
        )
    return zip(*lists, strict=True)


def run_table(options: argparse.Namespace) -> None:
    """Check the metrics' code on the controls and write their table."""
    from ldct.controls.table import write_controls
    from ldct.metrics.protocol import load_protocol
    from ldct.metrics.verbs import read_rows

    settings = options.settings
    protocol = load_protocol(options.protocol)
    files = {name: getattr(options, name) for name in TABLES if getattr(options, name)}
    write_controls(
        {name: read_rows(paths, protocol.name) for name, paths in files.items()},
        dict(settings["titles"]),
        {**settings, "protocol": protocol.describe()},
        options.output / "controls",
        [*(path for paths in files.values() for path in paths), options.protocol],
    )
