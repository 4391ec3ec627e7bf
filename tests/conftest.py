"""Shared by all tests: one thread per process, and runs of the workflow."""

import os

# Before NumPy or PyTorch is imported: several tests, and several jobs, share the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from planted.marks import SITE
from workflow_runs import (
    MORE,
    copy_checkout,
    edit_yaml,
    job_environment,
    pretend_run,
    snakemake,
    write_inputs,
)

from ldct.common.held_files import alone_in


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if {"finished_run", "pretended_run"}.intersection(item.fixturenames):
            item.add_marker(pytest.mark.end_to_end)


@pytest.fixture(scope="session")
def made_once(
    tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Callable[[str, Callable[[Path], str]], Path]:
    """Make a folder once for all test processes; `make` returns why it failed, if it did."""
    base = tmp_path_factory.getbasetemp()
    base = base if worker_id == "master" else base.parent

    def make_once(name: str, make: Callable[[Path], str]) -> Path:
        folder = base / name
        problem = folder / "problem.txt"
        with alone_in(folder):
            if not problem.is_file():
                write_inputs(copy_checkout(folder))
                problem.write_text(make(folder), encoding="utf-8")
        if text := problem.read_text(encoding="utf-8"):
            pytest.fail(f"the workflow failed:\n{text}", pytrace=False)
        return folder

    return make_once


@pytest.fixture(scope="session")
def finished_run(made_once) -> Path:
    """Folder of a checkout with a complete run, results/tiny. Read it; change only copies of it.

    `first_output.txt` holds what snakemake printed.
    """

    def make(folder: Path) -> str:
        # LDCT_TIME_AHEAD: as run.sh has it.
        environment = job_environment() | {"LDCT_TIME_AHEAD": "1", "PYTHONPATH": str(SITE)}
        outcome = snakemake(folder, "--cores", "2", environment=environment)
        (folder / "first_output.txt").write_text(outcome.stdout, encoding="utf-8")
        return outcome.stdout[-3000:] if outcome.returncode else ""

    return made_once("finished_run", make)


@pytest.fixture(scope="session")
def pretended_run(made_once) -> Path:
    """Folder of a checkout whose run is finished in name alone: its outputs are empty."""

    def make(folder: Path) -> str:
        edit_yaml(folder / "small.yaml", **MORE)
        return pretend_run(folder)

    return made_once("pretended_run", make)


def copy_to(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "checkout", symlinks=True))


@pytest.fixture
def copy_of_run(finished_run: Path, tmp_path: Path) -> Path:
    """A copy of the finished run that a test may change."""
    return copy_to(finished_run, tmp_path)


@pytest.fixture
def copy_of_pretended(pretended_run: Path, tmp_path: Path) -> Path:
    """A copy of the pretended run that a test may change."""
    return copy_to(pretended_run, tmp_path)
