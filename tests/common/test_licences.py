"""docs/licences.md: every package and every source of data, as scripts/licences.py finds them."""

import importlib.util
import re
from importlib.metadata import PackageNotFoundError, version

import pytest
from repository_files import REPOSITORY

from ldct.common.files import read_yaml

PAGE = (REPOSITORY / "docs/licences.md").read_text(encoding="utf-8")
LINES = [line for line in PAGE.splitlines() if line.startswith("| ")]
LOCK = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def script():
    file = REPOSITORY / "scripts/licences.py"
    specification = importlib.util.spec_from_file_location("licences", file)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def test_every_entry_of_the_lock_has_its_line():
    listed = {tuple(line.split(" | ")[:2]) for line in LINES}
    locked = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", LOCK, re.MULTILINE)
    assert len(locked) > 100
    assert {(f"| {name}", number) for name, number in locked} <= listed
    assert "| torch | " in PAGE and "not known here" not in PAGE


def test_licences_are_those_of_the_installed_packages(script):
    """Those of another version, platform or build may differ."""
    same = {name for name, number in script.pinned() if installed(name) == number}
    found = [line for line in script.packages() if line.split(" | ")[0].strip("| ") in same]
    assert len(found) > 50
    assert set(found) <= set(LINES)
    assert all(line in PAGE for line in script.data())


def test_every_archive_and_data_set_is_a_source():
    code = [*(REPOSITORY / "ldct/data/demo").glob("*.py"), *REPOSITORY.glob("ldct/pretrained/*.py")]
    archives = re.findall(
        r'Archive\(\s*"([\w-]+)",\s*"[\w-]+?-(\d[\d.]*\d)', "".join(map(read, code))
    )
    assert len(archives) == 5
    assert all(f"| {name} {number} |" in PAGE for name, number in archives)
    for name in ("demo", "open"):
        patients = read_yaml(REPOSITORY / f"config/datasets/{name}.yaml")["patients"]
        assert all(f"| {patient}" in PAGE for patient in patients)
    assert {path.stem for path in (REPOSITORY / "config/datasets").glob("*.yaml")} == {
        *("aapm", "demo", "open", "tcia")  # another one needs a line in scripts/licences.py
    }


def read(path):
    return path.read_text(encoding="utf-8")
