"""Verbs: full-image metrics beside PSNR and SSIM, HU fidelity by tissue, and their table."""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ldct.commands.arguments import SEED_HELP, json_mapping, seed_argument
from ldct.errors import InputError

SETTINGS = json_mapping("statistics", "context", "titles")
KEYS = ("method", "seed", "patient")


def register(verbs: argparse._SubParsersAction) -> None:
    """Add the verbs to the parser."""
    measure = verbs.add_parser(
        "measure-image-quality", help="VIF, GMSD, LPIPS and HU fidelity per slice of one prediction"
    )
    measure.add_argument("--test-folder", type=Path, required=True)
    measure.add_argument("--prediction", type=Path, required=True)
    measure.add_argument("--protocol", type=Path, required=True)
    measure.add_argument("--method", required=True)
    measure.add_argument("--seed", type=seed_argument, required=True, help=SEED_HELP)
    measure.add_argument(
        "--network-input",
        type=json_mapping("window", "clip"),
        help="of a learned method: JSON of window and clip",
    )
    measure.add_argument("--lpips", choices=("alex", "vgg"))
    measure.add_argument("--lpips-weights", type=Path, help="made by fetch-lpips-weights")
    measure.add_argument("--output", type=Path, required=True)
    measure.set_defaults(run=run_measure)

    table = verbs.add_parser("metrics-table", help="all metrics of all methods with intervals")
    table.add_argument("--scores", type=Path, nargs="+", required=True)
    table.add_argument("--image-quality", type=Path, nargs="+", required=True)
    table.add_argument("--protocol", type=Path, required=True)
    table.add_argument("--settings", type=SETTINGS, required=True, help="of the run, JSON")
    table.add_argument("--output", type=Path, required=True, help="folder")
    table.set_defaults(run=run_table)

    fetch = verbs.add_parser("fetch-lpips-weights", help="weights of LPIPS (64 MB, checked)")
    fetch.add_argument("--network", choices=("alex", "vgg"), required=True)
    fetch.add_argument("--archives", type=Path, default=Path("data/weights/archives"))
    fetch.add_argument("--output", type=Path, required=True, help="safetensors file")
    fetch.set_defaults(run=run_fetch)


def run_measure(options: argparse.Namespace) -> None:
    """Measure one prediction file."""
    from ldct.evaluation.image_quality import measure_predictions
    from ldct.evaluation.protocol import load_protocol

    seen = options.network_input
    measure_predictions(
        options.test_folder,
        options.prediction,
        load_protocol(options.protocol),
        options.output,
        options.method,
        options.seed,
        network_input=(tuple(seen["window"]), seen["clip"]) if seen else None,
        lpips_network=options.lpips,
        lpips_weights=options.lpips_weights,
    )


def run_table(options: argparse.Namespace) -> None:
    """Write the table of metrics in three formats."""
    from ldct.evaluation.columns_metrics import FULL_REFERENCE, SCORES
    from ldct.evaluation.protocol import load_protocol
    from ldct.reporting.metrics_table import summarise_metrics, write_metrics

    protocol = load_protocol(options.protocol)
    settings = options.settings
    summary = summarise_metrics(
        read_rows(options.scores, protocol.name, SCORES),
        read_rows(options.image_quality, protocol.name, FULL_REFERENCE),
        settings["statistics"],
    )
    write_metrics(
        summary,
        dict(settings["titles"]),
        {**settings["context"], "protocol": protocol.describe()},
        options.output / "metrics",
        [*options.scores, *options.image_quality, options.protocol],
    )


def read_rows(paths: list[Path], protocol: str, columns: Iterable[str] = ()) -> Any:
    """Rows of all files as one frame; where they have protocols, those of the one named.

    Raises InputError where a file is no table with `columns`, or none has the protocol.
    """
    from ldct.inputs import read_frames

    rows = read_frames(paths, [*KEYS, *columns])
    if "protocol" not in rows:
        return rows
    own = rows[rows["protocol"] == protocol]
    if own.empty and len(rows):
        known = ", ".join(sorted(rows["protocol"].unique()))
        raise InputError(
            f"{paths[0]}: found no row under protocol {protocol}, only under {known}; "
            "score under it first, or name the file of another protocol"
        )
    return own


def run_fetch(options: argparse.Namespace) -> None:
    """Fetch LPIPS weights."""
    from ldct.evaluation.lpips_weights import fetch_lpips_weights

    fetch_lpips_weights(options.network, options.archives, options.output)
