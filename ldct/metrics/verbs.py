"""Verbs: full-image metrics beside PSNR and SSIM, HU fidelity by tissue, and their table."""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ldct.common.arguments import add_measuring, json_mapping, positive_integer
from ldct.common.errors import InputError


def register(verbs: argparse._SubParsersAction) -> None:
    """Add the verbs to the parser."""
    score = verbs.add_parser("score", help="PSNR, SSIM and RMSE per slice of one prediction")
    add_measuring(score)
    score.add_argument("--protocols", type=Path, nargs="+", required=True)
    score.add_argument("--workers", type=positive_integer, default=1)
    score.set_defaults(run=run_score)

    measure = verbs.add_parser(
        "measure-image-quality", help="VIF, GMSD, LPIPS and HU fidelity per slice of one prediction"
    )
    add_measuring(measure)
    measure.add_argument("--protocol", type=Path, required=True)
    measure.add_argument("--lpips", choices=("alex", "vgg"))
    measure.add_argument("--lpips-weights", type=Path, help="made by fetch-lpips-weights")
    measure.set_defaults(run=run_measure)

    table = verbs.add_parser("metrics-table", help="all metrics of all methods with intervals")
    table.add_argument("--scores", type=Path, nargs="+", required=True)
    table.add_argument("--image-quality", type=Path, nargs="+", required=True)
    table.add_argument("--protocol", type=Path, required=True)
    settings = json_mapping("statistics", "context", "titles")
    table.add_argument("--settings", type=settings, required=True, help="of the run, JSON")
    table.add_argument("--output", type=Path, required=True, help="folder")
    table.set_defaults(run=run_table)


def run_score(options: argparse.Namespace) -> None:
    """Score one prediction file."""
    from ldct.metrics.protocol import load_protocols
    from ldct.metrics.scores import score_predictions

    score_predictions(
        options.test_folder,
        options.prediction,
        load_protocols(options.protocols),
        options.output,
        options.method,
        options.seed,
        options.workers,
    )


def run_measure(options: argparse.Namespace) -> None:
    """Measure one prediction file."""
    from ldct.metrics.image_quality import measure_predictions
    from ldct.metrics.protocol import load_protocol

    measure_predictions(
        options.test_folder,
        options.prediction,
        load_protocol(options.protocol),
        options.output,
        options.method,
        options.seed,
        lpips_network=options.lpips,
        lpips_weights=options.lpips_weights,
    )


def run_table(options: argparse.Namespace) -> None:
    """Write the table of metrics in three formats."""
    from ldct.metrics.columns import FULL_REFERENCE, SCORES
    from ldct.metrics.protocol import load_protocol
    from ldct.metrics.scores import notes_of_slices
    from ldct.metrics.table import summarise_metrics, write_metrics

    protocol = load_protocol(options.protocol)
    settings = options.settings
    scores, titles = read_rows(options.scores, protocol.name, SCORES), dict(settings["titles"])
    summary = summarise_metrics(
        scores,
        read_rows(options.image_quality, protocol.name, FULL_REFERENCE),
        settings["statistics"],
    )
    write_metrics(
        summary,
        titles,
        {
            **settings["context"],
            "protocol": protocol.describe(),
            "slices": notes_of_slices(scores, titles),
        },
        options.output / "metrics",
        [*options.scores, *options.image_quality, options.protocol],
    )


def read_rows(paths: list[Path], protocol: str, columns: Iterable[str] = ()) -> Any:
    """Rows of the regular slices of all files; where they have protocols, those of the one named.

    Raises InputError where a file is no table with `columns`, or none has the protocol.
    """
    from ldct.common.inputs import read_frames
    from ldct.metrics.scores import regular_slices

    rows = regular_slices(read_frames(paths, ["method", "seed", "patient", *columns]))
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
