"""Shared by all tests: one thread per process, and one finished run of the workflow."""

import os

# Before NumPy or PyTorch is imported: several tests, and several jobs, share the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from workflow_runs import copy_checkout, snakemake, write_inputs


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a checkout with a complete run, results/tiny. Read it; change only copies of it.

    `first_output.txt` holds what snakemake printed.
    """
    folder = copy_checkout(tmp_path_factory.mktemp("finished") / "checkout")
    write_inputs(folder)
    outcome = snakemake(folder, "--cores", "2")
    (folder / "first_output.txt").write_text(outcome.stdout, encoding="utf-8")
    if outcome.returncode != 0:
        pytest.fail(f"the workflow failed:\n{outcome.stdout[-3000:]}", pytrace=False)
    return folder


@pytest.fixture
def copy_of_run(finished_run: Path, tmp_path: Path) -> Callable[[], Path]:
    """Make a copy of the finished run that a test may change."""

    def copy() -> Path:
        return Path(shutil.copytree(finished_run, tmp_path / "checkout", symlinks=True))

    return copy
