"""Verb: slices for the page."""

import argparse
from pathlib import Path

from ldct.common.arguments import add_panels, json_mapping


def register(verbs: argparse._SubParsersAction) -> None:
    """Add the verb to the parser."""
    pack = verbs.add_parser("pack-slices", help="slices of all methods, for the page of a run")
    add_panels(pack)
    pack.add_argument("--lesions", type=Path, required=True)
    pack.add_argument("--settings", type=json_mapping(), default={}, help="crop, slices, megabytes")
    pack.set_defaults(run=run_pack_slices)


def run_pack_slices(options: argparse.Namespace) -> None:
    """Pack the slices that the page shows, and print their number and size."""
    from ldct.metrics.protocol import load_protocol
    from ldct.rendering.slices import predictions_by_patient
    from ldct.viewer.pack import pack_slices

    found = predictions_by_patient(options.predictions, options.titles)
    cases = [(folder, found.get(folder.name, {})) for folder in options.test_folders]
    protocol = load_protocol(options.protocol)
    pack_slices(cases, options.lesions, protocol, options.note, options.output, **options.settings)
