"""The house: rooms in order, imports that point down, small folders and files."""

import ast
import importlib
import importlib.util
import re
from pathlib import Path

import pytest
from repository_files import REPOSITORY

PACKAGE = REPOSITORY / "ldct"
PAGE = (REPOSITORY / "docs/architecture.md").read_text(encoding="utf-8")
# From the ground up, as docs/architecture.md draws them.
DRAWN = re.search(r"(?:\n {4}\w[\w ]*)+", PAGE.split("## Rooms")[1])[0]
ROOMS = DRAWN.split()
TASKS = ("run", "add_a_method", "your_data", "results")
ABOUT_THE_WHOLE = (
    "architecture",
    "cluster",
    "commands",
    "denoise",
    "development",
    "findings",
    "faq",
    "install",
    "licences",
    "methods",
    "reproducibility",
)
# Code of methods, which is copied, not imported.
FILES = [file for file in PACKAGE.rglob("*.py") if "template" not in file.parts]


def room_of(file: Path) -> str:
    return file.relative_to(PACKAGE).with_suffix("").parts[0]


def imported_rooms(file: Path) -> set[str]:
    """Rooms that a file imports from, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ldct":
            names = [alias.name for alias in node.names] if node.module == "ldct" else []
            found |= {node.module.split(".")[1]} if not names else set(names)
    return found & set(ROOMS)


def test_every_room_is_drawn_and_every_drawing_is_a_room():
    homes = {room_of(file) for file in FILES if not file.name.startswith("__")}
    assert homes == set(ROOMS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_point_down(file):
    own = room_of(file)
    if own in ROOMS:
        above = set(ROOMS[ROOMS.index(own) + 1 :])
        assert imported_rooms(file) & above == set()


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_what_is_imported_from_the_package_is_there(file):
    """Verbs import when they run: a name that has moved would fail only then."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ldct."):
            module = importlib.import_module(node.module)
            for name in (alias.name for alias in node.names):
                inside = hasattr(module, name)
                assert inside or importlib.util.find_spec(f"{node.module}.{name}"), name


def test_folders_and_files_are_small():
    for top, most in ((PACKAGE, 12), (REPOSITORY / "tests", 20)):
        for folder in {file.parent for file in top.rglob("*.py")}:
            assert len(list(folder.glob("*.py"))) <= most, folder
    for file in [*FILES, *(REPOSITORY / "tests").rglob("*.py")]:
        assert len(file.read_text(encoding="utf-8").splitlines()) <= 300, file


def test_rules_pages_and_tests_bear_the_names_of_rooms():
    known = {*ROOMS, "cluster", "hardship", "helpers", "workflow", "stages", "results"}
    for file in (REPOSITORY / "workflow/rules").glob("*.smk"):
        assert file.stem in known, file
    for page in (REPOSITORY / "docs").glob("*.md"):
        assert page.stem in {*ROOMS, *TASKS, *ABOUT_THE_WHOLE}
    for folder in (REPOSITORY / "tests").iterdir():
        assert not folder.is_dir() or folder.name in known or folder.name.startswith("__"), folder
