"""Verbs that score predictions and render Table I."""

import argparse
import json
from pathlib import Path
from typing import Any

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

    table = verbs.add_parser("table1", help="Table I beside the published values")
    table.add_argument("--scores", type=Path, nargs="+", required=True)
    table.add_argument("--tiles", type=Path, required=True)
    table.add_argument("--protocol", type=Path, required=True)
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
    """Render Table I in four formats."""
    import time

    import numpy as np
    import pandas as pd

    from ldct import provenance
    from ldct.evaluation.protocol import load_protocol
    from ldct.evaluation.scores import summarise
    from ldct.reporting.table1 import render_table1

    started = time.perf_counter()
    protocol = load_protocol(options.protocol)
    scores = pd.concat([pd.read_parquet(path) for path in options.scores], ignore_index=True)
    settings = options.settings
    published = read_yaml(options.published)
    methods = methods_of_table(settings, published["rows"])
    dataset = settings["dataset"]
    context = {
        "run": settings["run"],
        "dataset": dataset["title"],
        "simulated": dataset["simulated"],
        "attribution": dataset.get("credit", dataset["title"] + "."),
        "budget": settings["budget_text"],
        "protocol": protocol.describe(),
        "test_slices": describe_test(settings["test"]),
        "seeds": settings["seeds"],
        "kept_tiles": len(np.load(options.tiles, mmap_mode="r")),
    }
    written = render_table1(
        summarise(scores, protocol), methods, published, context, options.output
    )
    for path in written:
        provenance.write_record(
            path,
            inputs=[*options.scores, options.tiles, options.protocol, options.published],
            settings=context,
            started=started,
        )


def methods_of_table(
    settings: dict[str, Any], published_rows: dict[str, Any]
) -> list[dict[str, Any]]:
    """The table's methods in the run's order, those without a value with the reason.

    settings : `methods` (names in order), `cards`, `broken` (folders with a fault, to message) and,
        in a table made after a failure, `failed` (methods without scores, to message).
    """
    reasons = {**settings["broken"], **settings.get("failed", {})}
    rows = []
    for name in settings["methods"]:
        card = settings["cards"].get(name, {})
        title = card.get("title") or published_rows.get(name, {}).get("title") or name
        rows.append({"id": name, "title": title, "in_paper": name in published_rows})
        if name in reasons:
            rows[-1]["missing"] = reasons[name]
    return rows


def describe_test(test: str | dict[str, int]) -> str:
    """The rule by which test slices were chosen."""
    if test == "all" or test["every"] == 1:
        return "all slices"
    return f"one slice in {test['every']} and every slice with an annotated lesion"
