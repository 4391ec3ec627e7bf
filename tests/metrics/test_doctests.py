"""Examples in the docstrings of measures say what the code does."""

import doctest
import importlib

import pytest
from repository_files import REPOSITORY

MODULES = [
    ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
    for path in sorted((REPOSITORY / "ldct").rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_hold(name, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert tried and not failed
