"""A percent-format script as an executed notebook, and as a page that needs no network."""

import os
import tempfile
from pathlib import Path
from typing import Any

from ldct.common.errors import InputError

KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
START_S = 600  # of a kernel, on a machine whose cores are all busy
# Scripts that nbconvert would fetch.
FETCHED = ("jquery_url", "mathjax_url", "mermaid_js_url", "require_js_url")
FETCHED += ("html_manager_semver_range", "jupyter_widgets_base_url", "widget_renderer_url")


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
    except ImportError as error:
        raise InputError(
            f"notebooks: {error}; install what they need: pip install -e '.[notebooks]'"
        ) from None
    notebook = jupytext.read(source)
    options = {"kernel_name": KERNEL["name"], "record_timing": False, "startup_timeout": START_S}
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
    exporter = HTMLExporter(embed_images=True, **dict.fromkeys(FETCHED, ""))
    page, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": source.stem}})
    return nbformat.writes(notebook) + "\n", page


def _make_repeatable(notebook: Any) -> None:
    """Take out random ids, and progress lines and warnings, which tell times and paths."""
    notebook.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    for number, cell in enumerate(notebook.cells):
        cell.id, cell.metadata = f"cell-{number}", {}
        if "outputs" in cell:
            cell.outputs = [each for each in cell.outputs if each.get("name") != "stderr"]
