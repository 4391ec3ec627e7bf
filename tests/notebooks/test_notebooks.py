"""Notebooks: short, on the package's face alone, and right, on stored results and on a run."""

import ast
import json
import runpy
import sys

import matplotlib
import pytest
from repository_files import REPOSITORY
from workflow_runs import rows_of_summary, snakemake

from ldct.cli import main
from ldct.common.errors import InputError
from ldct.configuration.code_behind import code_behind
from ldct.notebooks.execute import carry_out

matplotlib.use("Agg")
NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.py"))
STORED = REPOSITORY / "results/reference/demo-quick"
each_notebook = pytest.mark.parametrize("script", NOTEBOOKS, ids=lambda script: script.stem)


@each_notebook
def test_it_holds_on_stored_results_where_jupyter_starts(script, monkeypatch):
    monkeypatch.chdir(script.parent)
    monkeypatch.delenv("LDCT_RUN", raising=False)
    runpy.run_path(str(script))
    matplotlib.pyplot.close("all")


# Pixels of the look-alike are too large for the squares of the first.
@pytest.mark.parametrize("script", NOTEBOOKS[1:], ids=lambda script: script.stem)
def test_it_holds_on_a_run(script, finished_run, monkeypatch):
    monkeypatch.chdir(finished_run)
    monkeypatch.setenv("LDCT_RUN", "results/tiny")
    runpy.run_path(str(script))
    matplotlib.pyplot.close("all")


@each_notebook
def test_it_is_short_and_imports_from_the_face_alone(script):
    text = script.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 120
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            names = [node.module] if isinstance(node, ast.ImportFrom) else names
            assert not [name for name in names if name.startswith("ldct.")]


def test_code_is_followed_through_the_face():
    found = code_behind("notebooks", *NOTEBOOKS)
    assert any(file.endswith("ldct/texture/noise_power.py") for file in found)


def test_nothing_but_its_target_asks_for_them(pretended_run):
    assert not [file for file, *_ in rows_of_summary(pretended_run) if "/notebooks/" in file]
    outcome = snakemake(pretended_run, "-n", "--cores", "1", "notebooks")
    assert outcome.returncode == 0 and "Carrying out the notebooks" in outcome.stdout


def test_pages_need_no_network_name_no_place_and_are_the_same_each_time(tmp_path, monkeypatch):
    pytest.importorskip("jupytext")
    monkeypatch.chdir(REPOSITORY)
    script = next(path for path in NOTEBOOKS if "table1" in path.name)
    made = []
    for folder in (tmp_path / "first", tmp_path / "second"):
        arguments = ["--run", str(STORED.relative_to(REPOSITORY)), "--output", str(folder)]
        assert main(["notebooks", str(script), *arguments]) == 0
        made.append(
            [(folder / script.stem).with_suffix(end).read_text() for end in (".ipynb", ".html")]
        )
    assert made[0] == made[1]
    notebook, page = made[0]
    cells = json.loads(notebook)["cells"]
    assert all(each["output_type"] != "error" for cell in cells for each in cell.get("outputs", []))
    assert page.count('<img alt="') == 3 and "<table" in page
    for place in (str(REPOSITORY), str(tmp_path), sys.prefix, "http", "<script", " at 0x"):
        assert place not in notebook and place not in page


def test_a_cell_that_fails_ends_in_one_line(tmp_path):
    pytest.importorskip("jupytext")
    (tmp_path / "script.py").write_text("# %%\n1 / 0\n")
    with pytest.raises(InputError, match=r"script.py: ZeroDivisionError: .*; to see where, run: "):
        carry_out(tmp_path / "script.py", STORED)


def test_without_jupyter_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "jupytext", None)
    with pytest.raises(InputError, match=r"pip install -e '.\[notebooks\]'"):
        carry_out(NOTEBOOKS[0], STORED)
