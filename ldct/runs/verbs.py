"""Verbs that show a finished run."""

import argparse
import webbrowser

from ldct.common.errors import InputError


def register(verbs: argparse._SubParsersAction) -> None:
    """Add the verbs to the parser."""
    table = verbs.add_parser("table", help="print Table I of a run")
    # `run` is the attribute that holds the verb's function.
    table.add_argument("name", metavar="RUN", help="a folder, or a name below results/")
    table.set_defaults(run=run_table)

    page = verbs.add_parser("open", help="open the page of a run in the browser")
    page.add_argument("name", metavar="RUN", help="a folder, or a name below results/")
    page.set_defaults(run=run_open)


def run_table(options: argparse.Namespace) -> None:
    """Print Table I of a run."""
    from ldct.runs.place import find_run
    from ldct.runs.terminal import table1_text

    print(table1_text(find_run(options.name)))


def run_open(options: argparse.Namespace) -> None:
    """Open the page of a run; where no browser answers, its address is what is printed."""
    from ldct.runs.place import find_run

    folder = find_run(options.name)
    page = folder / "index.html"
    if not page.is_file():
        made = "./run.sh with the run's configuration makes it"
        if (folder / "tables").is_dir():
            made = f"ldct front-page --run {folder} makes it"
        raise InputError(f"{page}: not found; {made}")
    address = page.resolve().as_uri()
    print(address, flush=True)
    webbrowser.open(address)
