"""Verbs: annotated lesions: measures, table, and a panel for each."""

import argparse
from pathlib import Path

from ldct.common.arguments import add_panels, add_report


def register(verbs: argparse._SubParsersAction) -> None:
    """Add the verbs to the parser."""
    bench = verbs.add_parser("lesion-bench", help="contrast, edge and noise of every lesion")
    bench.add_argument("--test-folders", type=Path, nargs="+", required=True)
    bench.add_argument("--predictions", type=Path, nargs="*", default=[])
    bench.add_argument("--lesions", type=Path, required=True)
    bench.add_argument("--protocol", type=Path, required=True)
    bench.add_argument("--output", type=Path, required=True, help="folder")
    bench.set_defaults(run=run_lesion_bench)

    report = verbs.add_parser("draw-lesion-bench", help="table of the lesions")
    add_report(report, figure=False)
    report.set_defaults(run=run_draw_lesion_bench)

    panels = verbs.add_parser("draw-lesion-panels", help="a panel for every lesion slice")
    add_panels(panels)
    panels.add_argument("--lesions", type=Path, required=True)
    panels.add_argument("--credit", default="", help="whom to credit for the data")
    panels.set_defaults(run=run_draw_lesion_panels)


def run_lesion_bench(options: argparse.Namespace) -> None:
    """Measure the annotated lesions in all predictions."""
    from ldct.lesions.bench import write_lesion_bench
    from ldct.metrics.protocol import load_protocol

    protocol = load_protocol(options.protocol)
    write_lesion_bench(
        options.test_folders, options.predictions, options.lesions, protocol, options.output
    )


def run_draw_lesion_bench(options: argparse.Namespace) -> None:
    """Render the table of the lesion bench."""
    from ldct.common.inputs import read_frames
    from ldct.lesions.table import lesion_notes, lesion_summary, write_lesion_table

    frame = read_frames(options.measured, ("method", "seed", "patient", "lesion"))
    titles, confidence = dict(options.titles), options.statistics.get("confidence", 0.95)
    values = lesion_summary(frame, titles, confidence)
    notes = lesion_notes(frame, values, options.note, confidence)
    write_lesion_table(values, titles, [*notes, options.credit], options.tables, options.measured)


def run_draw_lesion_panels(options: argparse.Namespace) -> None:
    """Draw a panel for every lesion slice of the test set, and an index of them."""
    from ldct.common.files import atomic_folder
    from ldct.lesions.panels import render_lesion_panels
    from ldct.metrics.protocol import load_protocol
    from ldct.rendering.slices import predictions_by_patient

    found = predictions_by_patient(options.predictions, options.titles)
    cases = [(folder, found.get(folder.name, {})) for folder in options.test_folders]
    protocol = load_protocol(options.protocol)
    with atomic_folder(options.output) as temporary:
        render_lesion_panels(
            cases, options.lesions, protocol, options.note, temporary, options.credit
        )
