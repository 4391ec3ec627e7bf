"""Verbs: lesion bench: measures of annotated lesions, and detectability of inserted discs."""

import argparse
from pathlib import Path

from ldct.commands.arguments import json_list, json_mapping, positive_integer

DISCS = json_mapping("contrasts_hu", "diameters_mm", "locations", "crop")
SCALING = json_mapping("window", "clip")


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

    lesions = verbs.add_parser("lesion-bench", help="contrast, edge and noise of every lesion")
    lesions.add_argument("--test-folders", type=Path, nargs="+", required=True)
    lesions.add_argument("--predictions", type=Path, nargs="*", default=[])
    lesions.add_argument("--lesions", type=Path, required=True)
    lesions.add_argument("--protocol", type=Path, required=True)
    lesions.add_argument("--output", type=Path, required=True, help="folder")
    lesions.set_defaults(run=run_lesion_bench)

    detect = verbs.add_parser("detectability", help="d' of model observers for inserted discs")
    detect.add_argument("--discs", type=Path, required=True, help="folder that insert-discs wrote")
    detect.add_argument("--predictions", type=Path, nargs="*", default=[])
    detect.add_argument("--statistics", type=json_mapping(), default={}, help="of intervals, JSON")
    detect.add_argument("--output", type=Path, required=True, help="folder")
    detect.set_defaults(run=run_detectability)

    lesion_report = verbs.add_parser("draw-lesion-bench", help="table and figure of the lesions")
    add_report(lesion_report)
    lesion_report.add_argument("--spectra", type=Path, nargs="+", required=True, help="parquet")
    lesion_report.add_argument("--protocol", type=Path, required=True)
    lesion_report.add_argument("--scaling", type=SCALING, required=True, help="of networks")
    lesion_report.set_defaults(run=run_draw_lesion_bench)

    detect_report = verbs.add_parser("draw-detectability", help="table and figure of d'")
    add_report(detect_report)
    detect_report.add_argument("--discs", type=Path, required=True, help="discs.json")
    detect_report.set_defaults(run=run_draw_detectability)


def add_report(parser: argparse.ArgumentParser) -> None:
    """Add the options of verbs that draw a table and a figure from measured values."""
    parser.add_argument("--measured", type=Path, nargs="+", required=True, help="parquet files")
    parser.add_argument("--titles", type=json_list, required=True, help="[[method, title], ...]")
    parser.add_argument("--statistics", type=json_mapping(), default={}, help="of intervals, JSON")
    parser.add_argument("--note", required=True, help="data, dose and budget in words")
    parser.add_argument("--credit", default="", help="whom to credit for the data")
    parser.add_argument("--tables", type=Path, required=True, help="path without suffix")
    parser.add_argument("--figure", type=Path, required=True, help="path without suffix")


def run_insert_discs(options: argparse.Namespace) -> None:
    """Write the test-set folder of inserted discs."""
    from ldct.data.disc_set import write_disc_set
    from ldct.data.lesions import read_lesions

    write_disc_set(
        options.volumes,
        read_lesions(options.lesions),
        options.settings,
        options.dose_fraction,
        options.output,
        options.workers,
    )


def run_lesion_bench(options: argparse.Namespace) -> None:
    """Measure the annotated lesions in all predictions."""
    from ldct.evaluation.lesion_bench import write_lesion_bench
    from ldct.evaluation.protocol import load_protocol

    write_lesion_bench(
        options.test_folders,
        options.predictions,
        options.lesions,
        load_protocol(options.protocol),
        options.output,
    )


def run_detectability(options: argparse.Namespace) -> None:
    """Measure the detectability of the inserted discs in all predictions."""
    from ldct.evaluation.disc_detection import write_detectability

    write_detectability(
        options.discs, options.predictions, options.output, **confidence_of(options)
    )


def confidence_of(options: argparse.Namespace) -> dict[str, float]:
    """The confidence in `--statistics` as keyword argument; nothing where there is none."""
    return {key: value for key, value in options.statistics.items() if key == "confidence"}


def run_draw_lesion_bench(options: argparse.Namespace) -> None:
    """Render the table and the figure of the lesion bench."""
    import time

    from ldct.evaluation.protocol import load_protocol
    from ldct.reporting.bench_tables import read_tables
    from ldct.reporting.lesion_bench_figure import draw_lesion_bench
    from ldct.reporting.lesion_bench_table import lesion_notes, write_lesion_table

    started = time.perf_counter()
    frame = read_tables(options.measured, ("method", "seed", "patient", "lesion"))
    spectra = read_tables(options.spectra, ("method", "frequency", "power"))
    titles = dict(options.titles)
    notes = lesion_notes(frame, load_protocol(options.protocol), options.scaling, options.note)
    write_lesion_table(
        frame,
        titles,
        [*notes, options.credit],
        options.tables,
        options.measured,
        options.statistics,
    )
    drawn = draw_lesion_bench(frame, spectra, titles, notes, options.figure)
    inputs = [*options.measured, *options.spectra, options.protocol]
    record_figures(drawn, inputs, options, notes, started)


def run_draw_detectability(options: argparse.Namespace) -> None:
    """Render the table and the figure of the detectability of discs."""
    import time

    from ldct.inputs import read_frames, read_mapping
    from ldct.reporting.detectability_figure import draw_detectability
    from ldct.reporting.detectability_table import (
        detectability_notes,
        seeds_of,
        write_detectability_table,
    )

    started = time.perf_counter()
    frame = read_frames(options.measured, ["method", "seed", "patient"])
    titles = dict(options.titles)
    confidence = confidence_of(options)
    notes = detectability_notes(
        read_mapping(options.discs, "problem", "sites"),
        options.note,
        n_seeds=seeds_of(frame, titles),
        **confidence,
    )
    write_detectability_table(
        frame,
        titles,
        [*notes, options.credit],
        options.tables,
        options.measured,
        **confidence,
    )
    drawn = draw_detectability(frame, titles, notes, options.figure, **confidence)
    record_figures(drawn, [*options.measured, options.discs], options, notes, started)


def record_figures(
    drawn: list[Path],
    inputs: list[Path],
    options: argparse.Namespace,
    notes: list[str],
    started: float,
) -> None:
    """Write the provenance records of figures."""
    from ldct.provenance import write_record

    settings = {"titles": options.titles, "statistics": options.statistics, "notes": notes}
    for path in drawn:
        write_record(path, inputs=inputs, settings=settings, started=started)
