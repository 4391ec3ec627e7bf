"""A method whose package is missing is a marked row, and all others go on."""

import sys
import tomllib

import pytest
from repository_files import REPOSITORY
from workflow_runs import job_environment, snakemake

from ldct.cli import main
from ldct.common.files import read_yaml
from ldct.configuration.resolve import resolve_run

DEFAULT = read_yaml(REPOSITORY / "config/config.yaml")
REASON = "package bm3d is not installed: pip install bm3d=="
# Python imports it by itself; None in the place of a module is a failed import.
STUB = "import sys\n\nsys.modules['bm3d'] = None\n"


@pytest.fixture
def without_bm3d(monkeypatch):
    monkeypatch.setitem(sys.modules, "bm3d", None)


def test_packages_of_cards_are_pinned_as_in_pyproject():
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    extras = tomllib.loads(text)["project"]["optional-dependencies"].values()
    pinned = {pin for group in extras for pin in group}
    cards = {card.parent.name: read_yaml(card) for card in REPOSITORY.glob("methods/*/method.yaml")}
    asking = {name: set(card["packages"]) for name, card in cards.items() if "packages" in card}
    assert set(asking) == {"bm3d", "bm3d_psd"}
    assert set.union(*asking.values()) <= pinned


def test_methods_whose_package_is_missing_are_left_out_with_the_reason(without_bm3d):
    settings = resolve_run(DEFAULT | {"methods": ["low_dose", "bm3d", "drl"]}, REPOSITORY)
    assert list(settings["cards"]) == ["low_dose", "drl"]
    assert settings["broken"]["bm3d"].startswith(REASON)


def test_packages_of_conda_environments_are_not_looked_for_here(without_bm3d):
    settings = resolve_run(
        DEFAULT | {"methods": ["low_dose", "bm3d"]}, REPOSITORY, jobs_run_here=False
    )
    assert list(settings["cards"]) == ["low_dose", "bm3d"] and not settings["broken"]


def test_verbs_about_methods_say_so_in_one_line(without_bm3d, tmp_path, monkeypatch, capsys):
    assert main(["methods"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("bm3d ")]
    assert REASON in line
    monkeypatch.chdir(tmp_path)
    main(["doctor"])
    assert f"note  bm3d is left out: {REASON}" in capsys.readouterr().out


def test_the_run_goes_on_and_table1_marks_the_row(copy_of_run, tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(STUB)
    environment = job_environment() | {"PYTHONPATH": str(site)}
    planned = snakemake(copy_of_run, "-n", environment=environment)
    assert planned.returncode == 0, planned.stdout[-2000:]
    warnings = [line for line in planned.stdout.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == 1 and f"bm3d is left out: {REASON}" in warnings[0]
    assert "denoise/bm3d" not in planned.stdout
    table = "results/tiny/tables/table1.md"
    made = snakemake(copy_of_run, "--cores", "1", table, environment=environment)
    assert made.returncode == 0, made.stdout[-2000:]
    text = (copy_of_run / table).read_text(encoding="utf-8")
    assert "not run: package bm3d is not installed" in text.replace("\\", "")
    assert "| Proposed" in text
