"""A percent-format script as an executed notebook, and as a page that needs no network."""

import os
import tempfile
from pathlib import Path
from typing import Any

from ldct.common.errors import InputError
from ldct.rendering.page import html_page

KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
START_S = 600  # of a kernel, on a machine whose cores are all busy
STYLE = """\
.input { background: #f4f4f2; margin: .6rem 0; padding: .1rem .8rem; }
pre { font-size: .8rem; line-height: 1.35; margin: .4rem 0; overflow: auto hidden; }
img { max-width: 100%; }
.output_html { overflow-x: auto; }
.anchor-link { display: none; }
"""


def carry_out(source: Path, run: Path) -> tuple[str, str]:
    """Run a script cell by cell: its notebook (.ipynb) and its page (HTML), the same every time.

    source : Python in percent format. run : folder of a finished run, which the script finds in
    LDCT_RUN. Raises InputError where a cell fails, or where the extra `notebooks` is not installed.
    """
    try:
        import jupytext
        import nbformat
        from nbclient import NotebookClient
        from nbclient.exceptions import CellExecutionError
        from nbconvert import HTMLExporter
        from pygments.formatters import HtmlFormatter
    except ImportError as error:
        raise InputError(
            f"notebooks: {error}; install what they need: pip install -e '.[notebooks]'"
        ) from None
    notebook = jupytext.read(source)
    options = {"kernel_name": KERNEL["name"], "record_timing": False, "startup_timeout": START_S}
    options["extra_arguments"] = ["--log-level=ERROR"]
    with tempfile.TemporaryDirectory() as profile:
        # An empty profile: nobody's own settings, and no file that two jobs write.
        environment = os.environ | {"LDCT_RUN": str(run), "IPYTHONDIR": profile}
        try:
            NotebookClient(notebook, **options).execute(env=environment)
        except CellExecutionError as error:
            raise InputError(
                f"{source}: {error.ename}: {error.evalue}; to see where, run: "
                f"LDCT_RUN={run} python {source}"
            ) from None
    _make_repeatable(notebook)
    # Its full templates name scripts to be fetched.
    exporter = HTMLExporter(template_name="basic", embed_images=True)
    exporter.exclude_input_prompt = exporter.exclude_output_prompt = True
    body, _ = exporter.from_notebook_node(notebook)
    colours = HtmlFormatter().get_style_defs(".highlight")
    return nbformat.writes(notebook) + "\n", html_page(source.stem, body, colours + STYLE)


def _make_repeatable(notebook: Any) -> None:
    """Take out random ids, and progress lines and warnings, which tell times and paths.

    A figure is told to screen readers by the heading above it.
    """
    notebook.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    heading = ""
    for number, cell in enumerate(notebook.cells):
        cell.id, cell.metadata = f"cell-{number}", {}
        if cell.cell_type == "markdown":
            heading = cell.source.splitlines()[0].lstrip("# ")
            continue
        cell.outputs = [each for each in cell.outputs if each.get("name") != "stderr"]
        for image in (each for each in cell.outputs if "image/png" in each.get("data", {})):
            image.metadata = {"image/png": {"alt": heading}}
