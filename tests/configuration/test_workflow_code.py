"""Rules name the code that makes their output: Snakemake sees no import by itself."""

import importlib
import json
import os
import re
import sys
from pathlib import Path

import pytest
from repository_files import REPOSITORY
from rule_files import rules
from training_inputs import stage_of, train_arguments, write_cards, write_training_data

import ldct
from ldct import cli
from ldct.common.inputs import import_file
from ldct.configuration import code_behind as module
from ldct.configuration.code_behind import LEFT_OUT, code_behind
from ldct.data.demo import scans as demo
from ldct.denoising import block_matching, network
from ldct.detectability import detection as disc_detection
from ldct.lesions import measures as lesion_measures
from ldct.metrics import pixelwise as metrics
from ldct.texture import noise_power
from ldct.training import checkpoint, feeding, history, loop, losses, validation

VERB = re.compile(r"--log \{log\} ([\w-]+)")
NAMED = re.compile(r'code_(?:behind|of_networks)\(\s*"([\w-]+)"')
# The first two write what no code of ours computes: downloads checked by sha256, the configuration.
# `train` asks by a function of its own; test_workflow_triggers.py changes its code.
ASIDE = {"fetch_demo", "save_configuration", "train"}
BM3D = REPOSITORY / "methods/bm3d"


def files(*arguments, **options) -> set[Path]:
    return {Path(file).resolve() for file in code_behind(*arguments, **options)}


def file_of(module) -> Path:
    return Path(module.__file__).resolve()


@pytest.mark.parametrize("name", sorted(rules().keys() - ASIDE))
def test_rules_name_the_code_of_their_verb(name):
    assert NAMED.findall(rules()[name]) == VERB.findall(rules()[name])


@pytest.mark.parametrize(
    ("verb", "modules"),
    [
        ("train", [loop, losses, feeding, checkpoint, validation, metrics]),
        ("denoise-identity", [network]),
        ("denoise-finetuned", [network]),
        ("score", [metrics]),
        ("texture", [noise_power]),
        ("draw-detectability", [disc_detection]),
        ("micro-benchmark", [loop, losses]),
    ],
)
def test_code_is_followed_through_calls_and_tables_of_functions(verb, modules):
    assert {file_of(module) for module in modules} <= files(verb)


@pytest.mark.parametrize(
    ("verb", "without", "module"),
    [
        ("micro-benchmark", (), history),
        (
            "draw-detectability",
            (),
            lesion_measures,
        ),  # imported by disc_detection for something else
        ("train", ("_validation",), metrics),
        ("lesions", ("_demo_lesions",), demo),
    ],
)
def test_code_that_is_not_called_is_not_named(verb, without, module):
    assert file_of(module) not in files(verb, without=without)


def test_a_method_brings_its_files_and_what_they_import():
    own = {BM3D / "denoise.py", file_of(block_matching)}
    assert own <= files("denoise-classical", BM3D)
    assert not own & files("denoise-classical")


def test_unknown_verbs_and_cuts_are_refused():
    with pytest.raises(KeyError, match="no-verb"):
        code_behind("no-verb")
    with pytest.raises(KeyError, match="no_function"):
        code_behind("train", without=("no_function",))


def test_modules_left_out_are_there_and_imports_are_of_the_form_that_is_followed():
    assert all(importlib.util.find_spec(name) for name in LEFT_OUT)
    for file in Path(ldct.__file__).parent.rglob("*.py"):
        assert not re.search(r"^\s*(import ldct|from \.)", file.read_text("utf-8"), re.MULTILINE)


def test_what_was_read_is_kept_and_only_a_changed_file_is_read_again(tmp_path, monkeypatch):
    (tmp_path / ".snakemake").mkdir()
    monkeypatch.chdir(tmp_path)
    read = []
    names = module._names
    monkeypatch.setattr(module, "_names", lambda *given: read.append(given[0]) or names(*given))
    first = module._suite.__wrapped__()
    assert "ldct.cli" in read
    read.clear()
    kept = json.loads(module.KEPT.read_text())
    kept["ldct.common.scaling"]["stamp"] = [0, 0]
    module.KEPT.write_text(json.dumps(kept))
    assert module._suite.__wrapped__() == first
    assert read == ["ldct.common.scaling"]


def executed(arguments: list[str]) -> set[Path]:
    """Files of the suite with a function that runs when the verb does, imports aside."""
    options = cli.make_parser().parse_args(arguments)
    package = str(file_of(ldct).parent) + os.sep
    ran, importing = set(), set()

    def note(frame, event, _):
        above, code = frame.f_back, frame.f_code
        if event != "call" or code in ran or not code.co_filename.startswith(package):
            return
        if code.co_name == "<module>" or above.f_code in importing:
            importing.add(code)
        else:
            ran.add(code)

    sys.setprofile(note)
    try:
        options.run(options)
    finally:
        sys.setprofile(None)
    return {Path(code.co_filename) for code in ran}


def test_functions_that_run_stand_in_files_that_are_named(tmp_path):
    """Against the interpreter's own account, for the verb with most behind it."""
    volumes, tiles = write_training_data(tmp_path)
    stage = stage_of("small_lsgan", write_cards(tmp_path / "cards"), 2)
    ran = executed(train_arguments(stage, volumes, tiles, tmp_path / "model"))
    assert file_of(losses) in ran
    left_out = {file_of(importlib.import_module(name)) for name in LEFT_OUT}
    assert ran - left_out - files("train", without=("_validation",)) == set()


def test_files_beside_a_network_count_as_its_code(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder / "parts").mkdir(parents=True)
        beside = "from . import blocks\nfrom .parts.last import x\n"
        (tmp_path / folder / "network.py").write_text(beside)
        (tmp_path / folder / "blocks.py").write_text(f"from .more import name\nhome = '{folder}'\n")
        (tmp_path / folder / "more.py").write_text("name = 1\n")
        (tmp_path / folder / "unused.py").write_text("")
        (tmp_path / folder / "parts/last.py").write_text("x = 1\n")
    used = {"network.py", "blocks.py", "more.py", "parts/last.py"}
    found = files("train", tmp_path / "one/network.py")
    assert {file for file in found if tmp_path in file.parents} == {
        tmp_path / "one" / name for name in used
    }
    loaded = [import_file(tmp_path / folder / "network.py") for folder in ("one", "two")]
    assert [module.blocks.home for module in loaded] == ["one", "two"]
