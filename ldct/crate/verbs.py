"""The verb `crate`."""

import argparse
from pathlib import Path

from ldct.common.errors import InputError


def register(verbs: argparse._SubParsersAction) -> None:
    """Add the verbs to the parser."""
    crate = verbs.add_parser("crate", help="a finished run as one archive that describes itself")
    # `run` is the attribute that holds the verb's function.
    crate.add_argument("name", metavar="RUN", help="a folder, or a name below results/")
    crate.add_argument("output", metavar="OUTPUT.zip", type=Path)
    crate.set_defaults(run=run_crate)


def run_crate(options: argparse.Namespace) -> None:
    """Write the RO-Crate of a run and say what is in it."""
    from ldct.crate.pack import write_crate
    from ldct.explain.number import open_run

    if options.output.suffix != ".zip":
        raise InputError(f"{options.output}: expected a name that ends in .zip")
    count = write_crate(*open_run(options.name), options.output)
    size = options.output.stat().st_size / 2**20
    print(f"{options.output}: {count} files, {size:.1f} MiB (RO-Crate 1.1, Process Run Crate 0.5)")
