"""Rules name the code that makes their output: Snakemake sees no import by itself."""

import argparse
import re
from pathlib import Path

import pytest
from code_reach import modules_behind
from repository_files import REPOSITORY
from test_workflow_static import RULE_FILES, rules

from ldct import cli

PATTERN = re.compile(r'"(ldct/[^"{}]+\.py)"')
# Lists of code with a name, which rules share: everything up to the next line that is not indented.
SHARED = re.compile(r"^(\w+_CODE) = (.+(?:\n(?: .*|\)))*)", re.MULTILINE)
VERB = re.compile(r"--log \{log\} ([\w-]+)")


def code_lists() -> dict[str, set[Path]]:
    """Rule name to the files that its `code` input names."""
    workflow = "\n".join(file.read_text(encoding="utf-8") for file in RULE_FILES)
    shared = dict(SHARED.findall(workflow))
    found = {}
    for name, text in rules().items():
        inputs = text.partition("output:")[0]
        inputs += "".join(text for list_name, text in shared.items() if list_name in inputs)
        found[name] = {
            path for pattern in PATTERN.findall(inputs) for path in REPOSITORY.glob(pattern)
        }
    return found


def verbs() -> dict[str, Path]:
    """Verb of the command line to the function behind it."""
    parser = argparse.ArgumentParser()
    groups = parser.add_subparsers()
    for group in cli.VERB_GROUPS:
        group.register(groups)
    return {name: verb.get_default("run") for name, verb in groups.choices.items()}


def code_behind(verb: str, *packages: str) -> set[Path]:
    function = verbs()[verb]
    reached = modules_behind(Path(function.__code__.co_filename), function.__name__)
    return {path for path in reached if path.parent.name in packages}


RULES = {name: match[1] for name, text in rules().items() if (match := VERB.search(text))}


def test_modules_are_found_through_verbs_functions_and_names():
    found = {path.stem for path in code_behind("controls-table", "evaluation")}
    assert {"control_expectations", "disc_detection", "observers", "intervals"} <= found
    # Imported by disc_detection for something else.
    assert "lesion_measures" not in found
    assert len(RULES) > 20


@pytest.mark.parametrize("name", RULES)
def test_rules_name_the_measures_behind_their_output(name):
    """A change of a measure must make anew what was measured with it."""
    missing = code_behind(RULES[name], "evaluation") - code_lists()[name]
    assert sorted(str(path.relative_to(REPOSITORY)) for path in missing) == []


def test_timings_name_the_code_that_is_timed():
    """No weights stand between training and these timings: nothing else would measure anew."""
    assert code_behind("micro-benchmark", "training") <= code_lists()["micro_benchmark"]
