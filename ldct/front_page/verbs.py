"""Verb that makes a run's first page."""

import argparse
from pathlib import Path

from ldct.common.arguments import json_mapping


def register(verbs: argparse._SubParsersAction) -> None:
    """Add the verb to the parser."""
    page = verbs.add_parser(
        "front-page", help="index.html of a finished run: all of it in one file"
    )
    page.add_argument("--run", dest="run_folder", type=Path, required=True, metavar="FOLDER")
    page.add_argument(
        "--results", type=Path, nargs="+", help="files that it shows; left out: all of the folder"
    )
    page.add_argument("--settings", type=json_mapping("cards"), help="JSON; else its config.yaml")
    page.add_argument("--output", type=Path, help="left out: index.html of the run's folder")
    page.set_defaults(run=run_front_page)


def run_front_page(options: argparse.Namespace) -> None:
    """Write the page and say its size."""
    from ldct.common.files import write_text
    from ldct.common.provenance import recorded
    from ldct.explain.number import open_run
    from ldct.front_page.page import front_page
    from ldct.front_page.results import Results

    run, settings = options.run_folder, options.settings
    if settings is None:
        run, settings = open_run(str(run))
    given = options.results or [run]
    found = [path for each in given for path in (each.rglob("*") if each.is_dir() else [each])]
    output = options.output or run / "index.html"
    with recorded([output], options.results or [run / "config.yaml"], {"run": settings["run"]}):
        write_text(output, front_page(Results(run, settings, frozenset(found))))
    print(f"{output}: {output.stat().st_size / 1e6:.1f} MB")
