"""Verb that renders Table I from scores."""

import argparse
from pathlib import Path
from statistics import fmean

from ldct.common.arguments import json_mapping


def register(verbs: argparse._SubParsersAction) -> None:
    """Add the verb to the parser."""
    table = verbs.add_parser("table1", help="Table I beside the published values, and differences")
    table.add_argument("--scores", type=Path, nargs="+", required=True)
    table.add_argument("--tiles", type=Path, nargs="*", default=[])
    table.add_argument("--protocols", type=Path, nargs="+", required=True, help="main one first")
    table.add_argument("--published", type=Path, required=True)
    table.add_argument("--margins", type=Path, required=True)
    table.add_argument("--run-folder", type=Path, required=True, help="of the trained models")
    settings = json_mapping("run", "dataset", "methods", "chains", "method_seeds")
    table.add_argument("--settings", type=settings, required=True, help="of the run, JSON")
    table.add_argument("--output", type=Path, required=True, help="folder")
    table.set_defaults(run=run_table1)


def run_table1(options: argparse.Namespace) -> None:
    """Table I and differences from the reference, under every protocol."""
    from ldct.common.inputs import read_frames
    from ldct.common.provenance import recorded
    from ldct.configuration.published import read_margins, read_published
    from ldct.data.tiles import read_tiles
    from ldct.metrics.protocol import load_protocols
    from ldct.metrics.scores import KEYS, METRICS, regular_slices
    from ldct.statistics.adversary import adversary_auc, training_records
    from ldct.table1.completeness import equal_to_references
    from ldct.table1.tables import write_score_tables

    inputs = [*options.scores, *options.tiles, *options.protocols]
    inputs += [options.published, options.margins]
    run, settings = options.run_folder, options.settings
    methods = settings["methods"]
    inputs += [path for path in training_records(run, settings, *methods) if path.is_file()]
    found = {name: adversary_auc(run, settings, name) for name in methods}
    found = {"critic_auc": found, "equal": equal_to_references(settings, run)}
    recorded_settings = {key: value for key, value in settings.items() if key != "cards"}
    written: list[Path] = []
    with recorded(written, inputs, recorded_settings):
        written += write_score_tables(
            regular_slices(read_frames(options.scores, [*KEYS, *METRICS])),
            load_protocols(options.protocols),
            read_published(options.published, "source", "place", "counts"),
            read_margins(options.margins),
            settings | found | {"tile_tables": len(options.tiles)},
            # Of models that were trained elsewhere the settings say it.
            settings.get("kept_tiles")
            or round(fmean(len(read_tiles(path)) for path in options.tiles)),
            options.output,
        )
