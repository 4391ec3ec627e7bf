"""new-method: each template passes check-method as it is."""

import re
from pathlib import Path
from shutil import copytree

import pytest

from ldct.cli import main
from ldct.configuration.registry import read_card
from ldct.method_check.verbs import KINDS

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize("kind", KINDS)
def test_template_is_a_method_that_passes(tmp_path, capsys, kind):
    assert main(["new-method", "fresh_idea", "--kind", kind, "--path", str(tmp_path)]) == 0
    assert read_card(tmp_path / "fresh_idea")["title"] == "fresh_idea"
    assert "check-method fresh_idea" in capsys.readouterr().out
    for file in (tmp_path / "fresh_idea").iterdir():
        assert "NAME" not in file.read_text(encoding="utf-8")
    assert main(["check-method", "fresh_idea", "--path", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "fresh_idea: ok" in told and "note: source is still the template's" in told


@pytest.mark.parametrize("name", ["../evil", "Name", "a-b", "1st", ""])
def test_names_that_are_no_folder_names_are_refused(tmp_path, capsys, name):
    assert main(["new-method", name, "--path", str(tmp_path)]) == 1
    assert "expected lower-case letters" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_left_alone(tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("keep")
    assert main(["new-method", "mine", "--path", str(tmp_path)]) == 1
    assert "exists already" in capsys.readouterr().err
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_a_name_that_is_taken_in_the_repository_is_told(tmp_path, capsys):
    assert main(["new-method", "drl", "--kind", "yaml", "--path", str(tmp_path)]) == 1
    assert "'drl' is taken by" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    copytree(REPOSITORY / "methods/drl", tmp_path / "drl")
    assert main(["check-method", "drl", "--path", str(tmp_path)]) == 1
    assert "also stands in" in capsys.readouterr().err


def test_templates_and_examples_state_the_same_contract():
    """The external template is the example with its own names."""
    example = (REPOSITORY / "examples/methods/external_median/rules.smk").read_text()
    template = (REPOSITORY / "ldct/method_check/template/external/rules.smk").read_text()
    assert (
        example.replace("external_median", "NAME")
        .replace("median.py", "program.py")
        .replace("{output} 3", "{output}")
        == template
    )


@pytest.mark.parametrize("folder", ["methods", "examples", "ldct/method_check/template"])
def test_method_files_import_from_the_package_alone(folder):
    for file in (REPOSITORY / folder).rglob("*.py"):
        assert not re.search(r"(from|import) ldct\.", file.read_text(encoding="utf-8")), file
