"""Verbs about the machine and the installed suite."""

import argparse

from ldct.common.files import REPOSITORY


def register(verbs: argparse._SubParsersAction) -> None:
    """Add the verbs to the parser."""
    snakefile = verbs.add_parser("snakefile", help="print the path of the workflow, for snakemake")
    snakefile.set_defaults(run=lambda _: print(REPOSITORY / "Snakefile"))
