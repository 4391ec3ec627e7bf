"""Shared by all tests: one thread per process, and one finished run of the workflow."""

import os

# Before NumPy or PyTorch is imported: several tests, and several jobs, share the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from workflow_runs import copy_checkout, snakemake, write_inputs

from ldct.common.held_files import alone_in


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Folder of a checkout with a complete run, results/tiny. Read it; change only copies of it.

    Made once for all test processes. `first_output.txt` holds what snakemake printed.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "finished_run"
    printed, status = folder / "first_output.txt", folder / "status.txt"
    with alone_in(folder):
        if not status.is_file():
            copy_checkout(folder)
            write_inputs(folder)
            outcome = snakemake(folder, "--cores", "2")
            printed.write_text(outcome.stdout, encoding="utf-8")
            status.write_text(str(outcome.returncode), encoding="utf-8")
    if status.read_text(encoding="utf-8") != "0":
        pytest.fail(f"the workflow failed:\n{printed.read_text()[-3000:]}", pytrace=False)
    return folder


@pytest.fixture
def copy_of_run(finished_run: Path, tmp_path: Path) -> Callable[[], Path]:
    """Make a copy of the finished run that a test may change."""

    def copy() -> Path:
        return Path(shutil.copytree(finished_run, tmp_path / "checkout", symlinks=True))

    return copy
