"""Verb that carries out notebooks on a run."""

import argparse
from pathlib import Path


def register(verbs: argparse._SubParsersAction) -> None:
    """Add the verb to the parser."""
    notebooks = verbs.add_parser(
        "notebooks", help="carry out scripts of notebooks/ on a run, as .ipynb and HTML"
    )
    notebooks.add_argument("scripts", type=Path, nargs="+", metavar="SCRIPT")
    notebooks.add_argument("--run", dest="run_folder", type=Path, required=True, metavar="FOLDER")
    notebooks.add_argument("--output", type=Path, required=True, metavar="FOLDER")
    notebooks.set_defaults(run=run_notebooks)


def run_notebooks(options: argparse.Namespace) -> None:
    """Write `<name of the script>.ipynb` and `.html` of each script into the output folder."""
    from ldct.common.files import write_text
    from ldct.common.provenance import recorded
    from ldct.notebooks.execute import carry_out

    run = options.run_folder
    for script in options.scripts:
        outputs = [options.output / f"{script.stem}.{suffix}" for suffix in ("ipynb", "html")]
        with recorded(outputs, [script, run / "config.yaml"], {"run": str(run)}):
            for path, text in zip(outputs, carry_out(script, run), strict=True):
                write_text(path, text)
