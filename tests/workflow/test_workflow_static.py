"""What can be said of the workflow without running it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from repository_files import REPOSITORY, repository_files, text_of
from rule_files import rules
from workflow_runs import job_environment

DIRECTIVES = ("output:", "log:", "benchmark:", "conda:", "shell:")
# Notes of the authors that are not part of the repository.
PRIVATE_NOTES = [
    f"{name}.md" for name in ("METHODS", "DATA", "STACK", "PEERS", "WEIGHTS", "DESIGN")
]
MACHINE_PATH = re.compile(r"(?<![\w.$}])/(?:home|root|Users|work)/\w")


def run(*command: str, cwd: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=cwd,
        env=job_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )


def test_snakemake_lint_finds_nothing(tmp_path):
    outcome = run(
        *("-m", "snakemake", "--lint", "--snakefile", str(REPOSITORY / "Snakefile")), cwd=tmp_path
    )
    assert outcome.returncode == 0, outcome.stdout[-3000:]


def test_snakefiles_are_formatted():
    snakefmt = Path(sys.executable).with_name("snakefmt")
    assert snakefmt.exists() or shutil.which("snakefmt")
    outcome = run(str(snakefmt), "--check", "Snakefile", "workflow")
    assert outcome.returncode == 0, outcome.stdout[-3000:]


@pytest.mark.parametrize("arguments", [["check"], ["format", "--check"]], ids=" ".join)
def test_ruff_finds_nothing(arguments):
    outcome = run("-m", "ruff", *arguments, "--no-cache", ".")
    assert outcome.returncode == 0, outcome.stdout[-3000:]


def test_rules_are_found():
    assert {"train", "score", "table1", "index_dataset"} <= set(rules())


@pytest.mark.parametrize("name", rules())
def test_every_rule_states_log_benchmark_and_environment(name):
    missing = [directive for directive in DIRECTIVES if directive not in rules()[name]]
    assert not missing


HEAVY = {"torch", "matplotlib", "numba", "scipy", "skimage", "bm3d", "pydicom"}
TABLES = {"numpy", "pandas", "jsonschema", "tqdm"}


@pytest.mark.parametrize(
    ("command", "heavy"),
    [
        (["-m", "ldct", "--help"], HEAVY | TABLES),
        (["-m", "ldct", "table", "reference/demo-quick"], HEAVY | TABLES),
        (["-m", "ldct", "methods"], HEAVY | {"numpy", "pandas"}),
        (["-m", "snakemake", "-n", "--cores", "1"], HEAVY),
    ],
    ids=["help", "table", "methods", "dry run"],
)
def test_starting_does_not_import_heavy_packages(command, heavy, tmp_path):
    if "snakemake" in command:
        command = [*command, "--snakefile", str(REPOSITORY / "Snakefile")]
    outcome = run("-X", "importtime", *command, cwd=REPOSITORY if "ldct" in command else tmp_path)
    assert outcome.returncode == 0, outcome.stdout[-2000:]
    imported = set(re.findall(r"^import time:[^|]*\|[^|]*\| +(\w+)$", outcome.stdout, re.MULTILINE))
    assert "ldct" in imported
    assert not imported & heavy


def test_no_file_names_a_path_of_one_machine():
    offenders = [
        f"{path.relative_to(REPOSITORY)}: {match.group()}"
        for path in repository_files()
        for match in MACHINE_PATH.finditer(text_of(path))
    ]
    assert offenders == []


def test_no_file_refers_to_notes_outside_the_repository():
    offenders = [
        f"{path.relative_to(REPOSITORY)}: {name}"
        for path in repository_files()
        for name in PRIVATE_NOTES
        if re.search(rf"\b{re.escape(name)}", text_of(path))
    ]
    assert offenders == []


def test_library_names_no_method():
    """Methods are found, never imported: `ldct` must not know any folder of methods/."""
    for path in (REPOSITORY / "ldct").rglob("*.py"):
        assert not re.search(r"^\s*(from|import) methods\b", text_of(path), re.MULTILINE), path
