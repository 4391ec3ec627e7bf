"""The listing of a DICOM folder: what tells that files came, went or changed."""

import os
import shlex

import pytest
from workflow_runs import REPOSITORY, snakemake

from ldct.cli import main
from ldct.data.dicom.listing import EVERYTHING, digests

PATIENTS = ["L067", "R01-001"]
BOTH = {EVERYTHING, *PATIENTS}
FILES = ("a/L067/full_1mm/1.IMA", "r01-001/1.dcm", "loose.dcm", "metadata.csv", ".DS_Store")


@pytest.fixture
def root(tmp_path):
    for name in FILES:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path


@pytest.mark.parametrize(
    ("new", "changed"),
    [
        ("a/L067/full_1mm/2.IMA", {EVERYTHING, "L067"}),
        ("other/l067/quarter_1mm/1", {EVERYTHING, "L067"}),
        ("R01-001/notes.txt", {EVERYTHING, "R01-001"}),
        ("L067/R01-001/1.dcm", BOTH),
        ("L0671/1.dcm", BOTH),
        ("2.dcm", BOTH),
        ("new/metadata.csv", BOTH),
        ("README.txt", {EVERYTHING}),
        ("reports/list.xlsx", {EVERYTHING}),
        ("a/L067/.hidden", set()),
        ("L067/DICOM-CT-PD/1.dcm", set()),
        ("index.parquet.provenance.json", set()),
    ],
)
def test_new_file_concerns_its_patient_or_all_of_them(root, new, changed):
    before = digests(root, PATIENTS)
    (root / new).parent.mkdir(parents=True, exist_ok=True)
    (root / new).touch()
    after = digests(root, PATIENTS)
    assert {name for name in before if before[name] != after[name]} == changed


@pytest.mark.parametrize("change", ["longer", "later", "renamed", "removed"])
def test_changed_file_concerns_its_patient(root, change):
    before, path = digests(root, PATIENTS), root / FILES[0]
    if change == "longer":
        path.write_text("longer than before")
    elif change == "later":
        os.utime(path, (0, 0))
    elif change == "renamed":
        path.rename(path.with_name("3.IMA"))
    else:
        path.unlink()
    after = digests(root, PATIENTS)
    assert {name for name in before if before[name] != after[name]} == {EVERYTHING, "L067"}


def test_command_of_the_demo_is_understood(tmp_path, monkeypatch, capsys):
    """The workflow writes its files: an empty listing would leave the option without a value."""
    wanted = ("-n", "-p", "data/demo/volumes/L901/full.npy")
    snakefile = ("--snakefile", str(REPOSITORY / "Snakefile"))
    said = snakemake(tmp_path, *wanted, *snakefile, configfiles=()).stdout
    (command,) = [line for line in said.splitlines() if " volume --index" in line]
    monkeypatch.chdir(tmp_path)
    assert main(shlex.split(command.partition("-m ldct")[2])) == 1
    assert "index.parquet: no such file" in capsys.readouterr().err
