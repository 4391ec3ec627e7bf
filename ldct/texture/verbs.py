"""Verbs: texture lab: noise power spectra and their distance to that of NDCT."""

import argparse
from pathlib import Path

from ldct.common.arguments import add_measuring, json_list, json_mapping


def register(verbs: argparse._SubParsersAction) -> None:
    """Add the verbs to the parser."""
    squares = verbs.add_parser("texture-squares", help="flat squares of soft tissue, by rule")
    squares.add_argument("--volumes", type=Path, nargs="+", required=True)
    squares.add_argument("--slices", type=int, required=True, help="of a patient, at most")
    squares.add_argument("--output", type=Path, required=True)
    squares.set_defaults(run=run_texture_squares)

    references = verbs.add_parser(
        "texture-references", help="the texture of NDCT and LDCT in the squares"
    )
    references.add_argument("--test-folders", type=Path, nargs="+", required=True)
    references.add_argument("--squares", type=Path, required=True)
    references.add_argument("--output", type=Path, required=True, help="folder")
    references.set_defaults(run=run_texture_references)

    measure = verbs.add_parser("texture", help="noise power of one prediction; an .npz beside it")
    add_measuring(measure)
    measure.add_argument("--squares", type=Path, required=True)
    measure.set_defaults(run=run_texture)

    report = verbs.add_parser("texture-report", help="table and figures of the texture lab")
    report.add_argument("--measured", type=Path, nargs="+", required=True, help="parquet files")
    report.add_argument("--facts", type=Path, required=True, help="squares.json")
    report.add_argument(
        "--rows", type=json_list, required=True, help="[[method, title, kind], ...]"
    )
    report.add_argument("--statistics", type=json_mapping(), default={}, help="of intervals, JSON")
    report.add_argument("--note", required=True, help="data, dose and budget in words")
    report.add_argument("--credit", default="", help="whom to credit for the data")
    report.add_argument("--tables", type=Path, required=True, help="folder")
    report.add_argument("--figures", type=Path, required=True, help="folder")
    report.set_defaults(run=run_texture_report)


def run_texture_squares(options: argparse.Namespace) -> None:
    """Choose squares on the volumes of the test patients."""
    from ldct.texture.files import write_squares

    write_squares(options.volumes, options.slices, options.output)


def run_texture_references(options: argparse.Namespace) -> None:
    """Measure NDCT and LDCT in the squares."""
    from ldct.texture.files import write_references

    write_references(options.test_folders, options.squares, options.output)


def run_texture(options: argparse.Namespace) -> None:
    """Measure one prediction file."""
    from ldct.texture.files import write_texture

    write_texture(
        options.prediction,
        options.test_folder,
        options.squares,
        options.output,
        options.method,
        options.seed,
    )


def run_texture_report(options: argparse.Namespace) -> None:
    """Write tables/texture.{csv,md,html}, the figures, and the curves of the first as CSV."""
    from ldct.common.files import write_text
    from ldct.common.inputs import read_mapping
    from ldct.common.provenance import recorded
    from ldct.texture.figures import draw_curves, draw_spectra
    from ldct.texture.summary import curves_frame, summarise_texture
    from ldct.texture.table import write_texture_tables

    inputs = [*options.measured, options.facts]
    settings = {"rows": options.rows, "statistics": options.statistics, "note": options.note}
    written: list[Path] = []
    with recorded(written, inputs, settings):
        summary = summarise_texture(options.measured, options.rows, options.statistics)
        facts = read_mapping(options.facts, "side_px", "n_squares")
        write_texture_tables(summary, facts, options.note, options.credit, options.tables, inputs)
        written += draw_curves(summary, options.note, options.figures / "texture_nps")
        written.append(options.figures / "texture_nps.csv")
        write_text(written[-1], curves_frame(summary).to_csv(index=False))
        written += draw_spectra(summary, options.note, options.figures / "texture_spectra")
