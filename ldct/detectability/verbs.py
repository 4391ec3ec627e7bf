"""Verbs: detectability of inserted low-contrast discs."""

import argparse
from pathlib import Path

from ldct.common.arguments import add_report, json_mapping, positive_integer

DISCS = json_mapping("contrast_hu", "diameters_mm", "locations", "crop")


def register(verbs: argparse._SubParsersAction) -> None:
    """Add the verbs to the parser."""
    discs = verbs.add_parser("insert-discs", help="low-contrast discs in real background, as crops")
    discs.add_argument("--volumes", type=Path, nargs="+", required=True, help="of test patients")
    discs.add_argument("--lesions", type=Path, required=True)
    discs.add_argument("--settings", type=DISCS, required=True, help="detectability, JSON")
    discs.add_argument("--dose-fraction", type=float, required=True)
    discs.add_argument("--workers", type=positive_integer, default=1)
    discs.add_argument("--output", type=Path, required=True, help="folder")
    discs.set_defaults(run=run_insert_discs)

    detect = verbs.add_parser("detectability", help="d' of a model observer for inserted discs")
    detect.add_argument("--discs", type=Path, required=True, help="folder that insert-discs wrote")
    detect.add_argument("--predictions", type=Path, nargs="*", default=[])
    detect.add_argument("--statistics", type=json_mapping(), default={}, help="of intervals, JSON")
    detect.add_argument("--output", type=Path, required=True, help="folder")
    detect.set_defaults(run=run_detectability)

    report = verbs.add_parser("draw-detectability", help="table and figure of d'")
    add_report(report)
    report.add_argument("--discs", type=Path, required=True, help="discs.json")
    report.set_defaults(run=run_draw_detectability)


def run_insert_discs(options: argparse.Namespace) -> None:
    """Write the test-set folder of inserted discs."""
    from ldct.data.lesions import read_lesions
    from ldct.detectability.disc_set import write_disc_set

    write_disc_set(
        options.volumes,
        read_lesions(options.lesions),
        options.settings,
        options.dose_fraction,
        options.output,
        options.workers,
    )


def run_detectability(options: argparse.Namespace) -> None:
    """Measure the detectability of the inserted discs in all predictions."""
    from ldct.detectability.detection import write_detectability

    confidence = options.statistics.get("confidence", 0.95)
    write_detectability(options.discs, options.predictions, options.output, confidence)


def run_draw_detectability(options: argparse.Namespace) -> None:
    """Render the table and the figure of the detectability of discs."""
    from ldct.common.inputs import read_frames, read_mapping
    from ldct.common.provenance import recorded
    from ldct.detectability.figure import draw_detectability
    from ldct.detectability.table import (
        detectability_notes,
        detectability_summary,
        write_detectability_table,
    )

    frame = read_frames(options.measured, ["method", "seed", "patient"])
    titles, discs = dict(options.titles), read_mapping(options.discs, "problem", "sites")
    values = detectability_summary(frame, titles, options.statistics.get("confidence", 0.95))
    notes = detectability_notes(discs, options.note, values)
    write_detectability_table(
        values, titles, [*notes, options.credit], options.tables, options.measured
    )
    written: list[Path] = []
    with recorded(written, [*options.measured, options.discs], {"notes": notes}):
        written += draw_detectability(values, titles, notes, options.figure)
