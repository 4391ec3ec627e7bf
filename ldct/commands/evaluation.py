"""Verbs that score predictions and render Table I."""

import argparse
import json
from pathlib import Path

from ldct.files import read_yaml


def register(verbs: argparse._SubParsersAction) -> None:
    """Add the verbs to the parser."""
    score = verbs.add_parser("score", help="PSNR, SSIM and RMSE per slice of one prediction")
    score.add_argument("--test-folder", type=Path, required=True)
    score.add_argument("--prediction", type=Path, required=True)
    score.add_argument("--protocols", type=Path, nargs="+", required=True)
    score.add_argument("--method", required=True)
    score.add_argument("--seed", required=True, help="a number, or 'fixed' for unseeded methods")
    score.add_argument("--workers", type=int, default=1)
    score.add_argument("--output", type=Path, required=True)
    score.set_defaults(run=run_score)

    table = verbs.add_parser("table1", help="Table I beside the published values, and statistics")
    table.add_argument("--scores", type=Path, nargs="+", required=True)
    table.add_argument("--tiles", type=Path, required=True)
    table.add_argument("--protocols", type=Path, nargs="+", required=True, help="main one first")
    table.add_argument("--published", type=Path, required=True)
    table.add_argument("--settings", type=json.loads, required=True, help="of the run, JSON")
    table.add_argument("--output", type=Path, required=True, help="folder")
    table.set_defaults(run=run_table1)


def run_score(options: argparse.Namespace) -> None:
    """Score one prediction file."""
    from ldct.configuration import FIXED
    from ldct.evaluation.protocol import load_protocol
    from ldct.evaluation.scores import score_predictions

    score_predictions(
        options.test_folder,
        options.prediction,
        [load_protocol(path) for path in options.protocols],
        options.output,
        options.method,
        0 if options.seed == FIXED else int(options.seed),
        options.workers,
    )


def run_table1(options: argparse.Namespace) -> None:
    """Table I, intervals, paired differences and ranks, under every protocol."""
    import time

    import numpy as np
    import pandas as pd

    from ldct import provenance
    from ldct.evaluation.protocol import load_protocol
    from ldct.reporting.score_tables import write_score_tables

    started = time.perf_counter()
    settings = options.settings
    written = write_score_tables(
        pd.concat([pd.read_parquet(path) for path in options.scores], ignore_index=True),
        [load_protocol(path) for path in options.protocols],
        read_yaml(options.published),
        settings,
        len(np.load(options.tiles, mmap_mode="r")),
        options.output,
    )
    for path in written:
        provenance.write_record(
            path,
            inputs=[*options.scores, options.tiles, *options.protocols, options.published],
            settings={key: value for key, value in settings.items() if key != "cards"},
            started=started,
        )
