"""Files and arguments that verbs are given: a mistake ends in one line that names it."""

import json
from argparse import ArgumentTypeError
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from made_up_volumes import write_doses
from repository_files import REPOSITORY

from ldct.cli import main
from ldct.common.arguments import (
    json_list,
    json_mapping,
    natural_number,
    positive_integer,
    seed_argument,
)
from ldct.common.errors import InputError
from ldct.common.inputs import (
    import_file,
    open_array,
    read_frame,
    read_frames,
    read_mapping,
    read_volume_info,
)
from ldct.configuration.published import read_published
from ldct.metrics.scores import KEYS, METRICS

CONFIG = REPOSITORY / "config"
PUBLISHED = yaml.safe_load((CONFIG / "published.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("content", [b"", b"no array", b"\x93NUMPY\x01\x00"])
def test_what_is_no_array_is_refused(tmp_path, content):
    path = tmp_path / "a.npy"
    with pytest.raises(InputError, match=r"a\.npy: not found"):
        open_array(path)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.npy: not a readable \.npy array"):
        open_array(path)


def test_an_array_is_opened_without_running_code(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(InputError, match="not a readable"):
        open_array(tmp_path / "a.npy")
    np.save(tmp_path / "b.npy", np.arange(3))
    array = open_array(tmp_path / "b.npy")
    assert array.tolist() == [0, 1, 2]
    assert not array.flags.writeable


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1]", "found no JSON mapping"),
        ("{}", "found no patient, slice_index, z_mm"),
        ('{"patient": "a", "z_mm": []}', "found no slice_index, expected patient, slice_index"),
        ("{", "not valid JSON"),
    ],
)
def test_a_volume_description_has_its_keys(tmp_path, content, message):
    path = tmp_path / "volume.json"
    with pytest.raises(InputError, match=r"volume\.json: not found"):
        read_volume_info(tmp_path)
    path.write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        read_volume_info(tmp_path)
    assert str(path) in str(caught.value)
    path.write_text('{"a": 1}')
    assert read_mapping(path, "a") == {"a": 1}


def test_tables_are_read_with_their_columns(tmp_path):
    path, other = tmp_path / "a.parquet", tmp_path / "b.parquet"
    for missing in (path, tmp_path):
        with pytest.raises(InputError, match=f"{missing}: no such file"):
            read_frame(missing)
    path.write_text("no table")
    with pytest.raises(InputError, match=r"a\.parquet: not a parquet table"):
        read_frame(path)
    pd.DataFrame({"seed": [1]}).to_parquet(path)
    pd.DataFrame({"seed": [2]}).to_parquet(other)
    assert read_frames([path, other], ["seed"])["seed"].tolist() == [1, 2]
    with pytest.raises(InputError, match=r"a\.parquet: found no column psnr, expected .*seed"):
        read_frames([path, other], ["seed", "psnr"])


def test_the_shipped_published_table_passes():
    assert read_published(CONFIG / "published.yaml", "source", "place", "counts") == PUBLISHED


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"rows": []}, ["key 'rows'", "mapping of method ids"]),
        ({"rows": {"drl": {"psnr": 1, "ssim": 0.5}}}, ["rows.drl", "missing title"]),
        ({"rows": {"drl": {"title": "a", "psnr": "x", "ssim": 0}}}, ["rows.drl.psnr", "'x'", "dB"]),
        ({"rows": {"drl": {"title": "a", "psnr": 1, "ssim": 88}}}, ["ssim", "88", "-1 to 1"]),
        ({"counts": {"training_tiles": 1}}, ["counts", "missing test_slices"]),
        ({"counts": {"training_tiles": 1, "test_slices": -1}}, ["test_slices", "-1"]),
    ],
)
def test_a_mistake_in_the_published_table_is_named(tmp_path, change, parts):
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(PUBLISHED | change))
    with pytest.raises(InputError) as caught:
        read_published(path)
    for part in [str(path), *parts]:
        assert part in str(caught.value)


def test_the_published_table_of_claims_needs_no_counts(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump({"rows": PUBLISHED["rows"]}))
    assert read_published(path)["rows"] == PUBLISHED["rows"]
    with pytest.raises(InputError, match=r"own\.yaml: missing source, counts"):
        read_published(path, "source", "counts")
    with pytest.raises(InputError, match=r"none\.yaml: not found"):
        read_published(tmp_path / "none.yaml")


def test_seeds_are_numbers_or_fixed():
    assert [seed_argument(text) for text in ("0", "7", "fixed")] == [0, 7, 0]
    for text in ("abc", "-1", "1.5", "", "nan"):
        with pytest.raises(ArgumentTypeError, match=f"found '{text}'.* or 'fixed'"):
            seed_argument(text)


def test_counts_are_whole_numbers():
    assert (positive_integer("1"), natural_number("0")) == (1, 0)
    for text in ("0", "-1", "2.0", "many"):
        with pytest.raises(ArgumentTypeError, match=f"found '{text}', expected a whole number"):
            positive_integer(text)


def test_json_arguments_have_their_kind_and_keys():
    assert json_mapping("a")('{"a": 1, "b": 2}') == {"a": 1, "b": 2}
    assert json_list("[1]") == [1]
    for text, message in (("{", "no JSON"), ("[]", "a JSON mapping"), ("{}", "found no a,")):
        with pytest.raises(ArgumentTypeError, match=message):
            json_mapping("a")(text)
    with pytest.raises(ArgumentTypeError, match="a JSON list"):
        json_list("5")


# Verbs.


@pytest.fixture
def place(tmp_path) -> Path:
    """A test set, a prediction, a score file, and files that are none of these."""
    images = np.zeros((2, 16, 16), np.int16)
    write_doses(tmp_path / "test", images, images)
    np.save(tmp_path / "prediction.npy", images.astype(np.float32))
    np.save(tmp_path / "tiles.npy", np.zeros((3, 4), np.int32))
    (tmp_path / "empty.npy").touch()
    (tmp_path / "empty.csv").touch()
    (tmp_path / "empty.json").touch()
    (tmp_path / "empty.safetensors").touch()
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "other.parquet")
    pd.DataFrame(columns=[*KEYS, *METRICS]).to_parquet(tmp_path / "scores.parquet")
    pd.DataFrame(columns=["method", "seed", "patient"]).to_parquet(tmp_path / "discs.parquet")
    (tmp_path / "list.yaml").write_text("[1, 2]")
    (tmp_path / "run").mkdir()
    return tmp_path


ABDOMEN = str(CONFIG / "protocols/abdomen.yaml")
SCORE = [
    *("score", "--test-folder", "{test}", "--prediction", "{prediction.npy}", "--seed", "0"),
    *("--protocols", ABDOMEN, "--method", "m", "--output", "{out}"),
]
TABLE = [
    *("table1", "--scores", "{other.parquet}", "--tiles", "{tiles.npy}", "--protocols", ABDOMEN),
    *("--published", str(CONFIG / "published.yaml"), "--margins", str(CONFIG / "margins.yaml")),
    *("--output", "{out}"),
    *("--run-folder", "{run}"),
    *("--settings", '{"run": "r", "dataset": 1, "methods": [], "chains": {}, "method_seeds": {}}'),
]
CLASSICAL = [
    *("denoise-classical", "--method", str(REPOSITORY / "methods/bm3d"), "--output", "{out}"),
    *("--test-folder", "{test}", "--parameters", "{empty.json}"),
]
NETWORK = [
    *("denoise-network", "--test-folder", "{test}", "--output", "{out}", "--gpus", "0"),
    *("--window", "-160", "240", "--weights", "{empty.safetensors}"),
]
LEVEL = {
    "model": "drl",
    "network": {"name": "drl", "file": str(REPOSITORY / "methods/drl/network.py")},
}
LEVELS = json.dumps([LEVEL | {"target": "image"}])
FIGURE = [
    *("draw-texture", "--test-folders", "{test}", "--protocol", ABDOMEN, "--note", "n"),
    *("--titles", "[]", "--output", "{out}"),
]
DISCS = [
    *("draw-detectability", "--titles", "[]", "--note", "n", "--tables", "{out}"),
    *("--figure", "{out}", "--discs", "{empty.json}"),
]
TIMED = json.dumps({"models": {}, "batch": 1, "side": 32, "rounds": 2})
MICRO = ["micro-benchmark", "--settings", TIMED, "--gpus", "0", "--output", "{out}"]
CURVES = ["draw-loss-curves", "--histories", "{empty.csv}", "--output", "{out}"]


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([*SCORE, "--prediction", "{empty.npy}"], ["empty.npy", "not a readable .npy array"]),
        ([*SCORE, "--protocols", ABDOMEN, ABDOMEN], ["abdomen.yaml", "'abdomen'", "already"]),
        (TABLE, ["other.parquet", "found no column method"]),
        ([*TABLE, "--scores", "{scores.parquet}", "--tiles", "{prediction.npy}"], ["tile table"]),
        (
            [*TABLE, "--scores", "{scores.parquet}", "--published", ABDOMEN],
            ["abdomen.yaml", "missing rows"],
        ),
        (CLASSICAL, ["empty.json", "not valid JSON"]),
        ([*NETWORK, "--levels", LEVELS], ["empty.safetensors", "not a safetensors file"]),
        ([*NETWORK, "--levels", LEVELS, "--weights", "none"], ["none", "not found"]),
        ([*NETWORK, "--levels", "[]"], ["0 with 1 weights files"]),
        (
            [*NETWORK, "--levels", LEVELS, "--window", "240", "-160"],
            ["240 -160", "lower one first"],
        ),
        ([*CURVES, "--titles", '["a"]'], ["empty.csv", "not a CSV table"]),
        ([*CURVES, "--titles", "[]"], ["0 titles for 1 histories"]),
        ([*FIGURE, "--predictions", "none/0/L1.npy"], ["none/0/L1.npy", "not found"]),
        ([*DISCS, "--measured", "{empty.npy}"], ["empty.npy", "not a parquet table"]),
        ([*DISCS, "--measured", "{other.parquet}"], ["found no column method, seed, patient"]),
        ([*DISCS, "--measured", "{discs.parquet}"], ["empty.json", "not valid JSON"]),
        (["claims", str(CONFIG)], ["config.yaml", "found no key 'cards'"]),
        (["plan", "--configfile", "{list.yaml}"], ["list.yaml", "found no mapping"]),
        ([*MICRO, "--plan", "{list.yaml}"], ["list.yaml", "found no variants and pairs"]),
    ],
)
def test_a_mistake_in_a_file_ends_in_one_line(place, capsys, arguments, parts):
    assert main(filled(arguments, place)) == 1
    message = capsys.readouterr().err.strip()
    assert "Traceback" not in message
    last = message.splitlines()[-1]
    for part in ["error: ", *parts]:
        assert part in last
    assert not (place / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([*SCORE, "--seed", "abc"], ["--seed", "'abc'", "or 'fixed'"]),
        ([*SCORE, "--workers", "0"], ["--workers", "'0'", "from 1"]),
        ([*TABLE, "--settings", "{{}}"], ["--settings", "no run, dataset"]),
        ([*TABLE, "--settings", "{{"], ["--settings", "no JSON"]),
        ([*CURVES, "--titles", "5"], ["--titles", "a JSON list"]),
        (["volume", "--dataset", "{{}}"], ["--dataset", "no name, root"]),
        (["volume", "--dataset", "nowhere.yaml"], ["--dataset", "no file nowhere.yaml"]),
        (["volume", "--dataset", ABDOMEN], ["abdomen.yaml", "unknown key"]),
        (["select-test", "--every", "-1"], ["--every", "'-1'", "from 1"]),
        (["tiles", "--stride", "0"], ["--stride", "'0'", "from 1"]),
    ],
)
def test_a_mistake_in_an_argument_is_said_by_the_parser(place, capsys, arguments, parts):
    with pytest.raises(SystemExit) as caught:
        main(filled(arguments, place))
    assert caught.value.code == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    for part in ["error: argument", *parts]:
        assert part in message


def filled(arguments: list[str], folder: Path) -> list[str]:
    """Arguments with `{name}` replaced by the path of that name; `{{` stands for a brace."""
    names = [path.name for path in folder.iterdir()] + ["out"]
    for name in names:
        arguments = [text.replace(f"{{{name}}}", str(folder / name)) for text in arguments]
    return [{"{{}}": "{}", "{{": "{"}.get(text, text) for text in arguments]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import blocks\n", r"line 1\); a file beside it is imported by `from . import blocks`"),
        ("x = 1\nfrom blocks import y\n", r"line 2\); a file beside it"),
        ("import no_such_package.part\n", "install the package no_such_package"),
        ("def build(:\n", "SyntaxError"),
        ("import sys\nsys.exit('no GPU')\n", r"SystemExit: no GPU \(network.py, line 2\)"),
        ("x = 1 / 0\n", r"ZeroDivisionError: division by zero \(network.py, line 1\)"),
    ],
)
def test_a_file_that_cannot_be_imported_says_why(tmp_path, text, message):
    (tmp_path / "blocks.py").write_text("y = 1\n")
    (tmp_path / "network.py").write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        import_file(tmp_path / "network.py")
    assert "\n" not in str(caught.value)
