"""Odd values wherever a user may write one: a line of ours, or a sound result, never a traceback.

LDCT_MUTANTS=2000 python -m pytest tests/hardship/test_fuzz.py tries two thousand of each kind.
"""

import copy
import csv
import datetime
import io
import os
import random
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lookalike import write_lookalike_tree
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from ldct.cli import main
from ldct.common.errors import LONGEST, InputError
from ldct.common.files import REPOSITORY
from ldct.configuration.resolve import resolve_run
from ldct.data.dicom.header import HEADER_TAGS
from ldct.data.dicom.inventory import index_dataset
from ldct.data.lesions import NEUTRAL_COLUMNS, NUMBER_COLUMNS, convert_neutral_csv
from ldct.data.volumes import read_index, write_volume

MUTANTS = int(os.environ.get("LDCT_MUTANTS", "60"))
HUNDREDS = settings(
    max_examples=MUTANTS,
    deadline=None,
    database=None,
    derandomize="LDCT_MUTANTS" not in os.environ,  # the suite has the same ones each time
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
RUN = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text()) | {"methods": ["low_dose"]}
OVERLAYS = ("smoke", "full", "crossval", "holdout", "reference_weights")
TEXTS = [
    "",
    " ",
    "x",
    "../..",
    "/etc/passwd",
    "a\0b",
    "{x}",
    "~nobody/x",
    "$NOPE",
    "a\nb",
    "\ud800",
]
TEXTS += ["x.yaml", "a" * 5000, "calibrated", "paper", "demo", "drl", "-1", "nan", "\x1b[2J"]
NUMBERS = [0, -1, 1, 2, 10**30, 1.5, -0.0, 1e308, -1e308, float("nan"), float("inf")]
OTHERS = [
    None,
    True,
    False,
    b"x",
    datetime.date(2020, 1, 1),
    [],
    [None],
    [[]],
    {},
    {"a": 1},
    {1: 2},
]
VALUES = st.sampled_from([*TEXTS, *NUMBERS, *OTHERS]) | st.text(max_size=20) | st.floats()


def places(content: Any, place: tuple = ()) -> Iterator[tuple]:
    """Of every value inside nested mappings and lists."""
    inside = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in inside:
        yield (*place, key)
        if isinstance(value, dict | list):
            yield from places(value, (*place, key))


@st.composite
def changed(draw: Any, contents: list[dict]) -> dict:
    """One of the mappings with one to three values, or one key, changed."""
    content = copy.deepcopy(draw(st.sampled_from(contents)))
    for _ in range(draw(st.integers(1, 3))):
        *above, last = draw(st.sampled_from(list(places(content))))
        holder = content
        for key in above:
            holder = holder[key]
        if isinstance(holder, dict) and draw(st.integers(0, 5)) == 0:
            holder[draw(VALUES.filter(lambda each: getattr(each, "__hash__", None)))] = holder.pop(
                last
            )
        else:
            holder[last] = copy.deepcopy(draw(VALUES))
        if not content:
            break
    return content


def resolved(config: dict) -> dict[str, Any] | None:
    """The resolved run; None where it ends in a line. The Snakefile tells of an OSError, too."""
    try:
        return resolve_run(config, REPOSITORY)
    except InputError as error:
        assert str(error).isprintable() and len(str(error)) <= LONGEST
    except OSError as error:
        assert error.filename is not None
    return None


def read(*names: str) -> list[dict]:
    return [yaml.safe_load((REPOSITORY / name).read_text(encoding="utf-8")) for name in names]


@HUNDREDS
@given(changed([RUN | own for own in read(*(f"config/{name}.yaml" for name in OVERLAYS))]))
def test_configurations(config):
    resolved(config)


DESCRIBED = ("datasets/aapm", "datasets/demo", "datasets/open", "datasets/tcia")
DESCRIBED += ("protocols/abdomen", "protocols/drl_author", "calibration/default")


@HUNDREDS
@given(st.data())
def test_descriptions(tmp_path, data):
    name = data.draw(st.sampled_from(DESCRIBED))
    content = data.draw(changed(read(f"config/{name}.yaml")))
    file = tmp_path / "own.yaml"
    file.write_text(yaml.dump(content), encoding="utf-8", errors="surrogatepass")
    key = {"datasets": "dataset", "protocols": "protocol", "calibration": "calibration_grid"}
    resolved(RUN | {key[name.split("/")[0]]: str(file), "lesions_csv": None})


CARDS = ("bm3d", "drl", "lsgan", "proposed", "low_dose", "control_shift_20", "fc_aide")


@HUNDREDS
@given(st.data())
def test_cards(tmp_path, data):
    """A broken card costs its own row, and is told in one line."""
    name = data.draw(st.sampled_from(CARDS))
    folder = tmp_path / "mine" / "mutant"
    if not folder.is_dir():
        shutil.copytree(REPOSITORY / "methods/drl", folder)
        shutil.copy(REPOSITORY / "methods/bm3d/denoise.py", folder)
    card = data.draw(changed(read(f"methods/{name}/method.yaml")))
    (folder / "method.yaml").write_text(yaml.dump(card), "utf-8", "surrogatepass")
    both = {"methods": ["low_dose", "mutant"], "method_paths": [str(folder.parent)]}
    found = resolved(RUN | both)
    assert found is not None and ("mutant" in found["cards"]) != ("mutant" in found["broken"])
    assert found["broken"].get("mutant", "").isprintable()


INFO = {
    "patient": "P1",
    "shape": (64, 64),
    "pixel_mm": [0.7, 0.7],
    "origin_mm": [-20.0, -20.0],
    "orientation": [1.0, 0, 0, 0, 1.0, 0],
    "thickness_mm": 3.0,
    "z_mm": [0.0, 3.0, 6.0],
    "slice_index": [0, 1, 2],
    "instance": [3, 2, 1],
}
SOUND = ["P1", "a", "2", "2", "3", "mm", "z_mm", "5", "cyst"]


@HUNDREDS
@given(st.data())
def test_lesion_lists(tmp_path, data):
    rows = [list(NEUTRAL_COLUMNS), *(list(SOUND) for _ in range(2))]
    for _ in range(data.draw(st.integers(1, 3))):
        row, column = data.draw(st.integers(0, 2)), data.draw(st.integers(0, len(SOUND) - 1))
        rows[row][column] = str(data.draw(VALUES))
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    file = tmp_path / "lesions.csv"
    file.write_text(text.getvalue(), encoding="utf-8", errors="surrogatepass")
    try:
        found = convert_neutral_csv(file, {"P1": INFO})
    except InputError as error:
        assert str(error).isprintable()
        return
    assert np.isfinite(found[list(NUMBER_COLUMNS)].to_numpy(dtype=float)).all()
    assert not any(set(name) & set("/\\\0") or name.startswith(".") for name in found["lesion"])


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tree") / "dicom"
    return write_lookalike_tree(folder, "A", ["L067"], slices=4, size=32)


TAGS = [*HEADER_TAGS, "PatientID", "SOPInstanceUID", "PixelPaddingValue", "StudyDate", "PixelData"]
ODD = [
    b"",
    b" ",
    b"0",
    b"-1",
    b"1e999",
    b"nan",
    b"NaN\\nan",
    b"-inf",
    b"9" * 16,
    b"1\\2\\3",
    b"\xff" * 4,
]
ODD += [b"\0" * 2, b"\xff\xff", b"\x01\x00\x02\x00", b"x" * 300, b"../../x", b"1e-300\\1e-300"]
ODD += [b"1e300\\1e300", b"\xfe\xff\x00\xe0" * 2, b"1_0", b"2000", b"65535", b"\0\0\0\x80"]
VRS = ("DS", "IS", "US", "SS", "UL", "FD", "OB", "SQ", "LO", "UI", "UN", "CS")


def put_odd_values(path: Path, draw: random.Random) -> None:
    """One or two tags of a file get a value that may not be of their kind, or go."""
    dataset = pydicom.dcmread(path)
    for _ in range(draw.randint(1, 2)):
        keyword = draw.choice(TAGS)
        tag = Tag(tag_for_keyword(keyword))
        value = draw.choice(ODD)
        value += b" " * (len(value) % 2)
        vr = draw.choice([dictionary_VR(tag)[:2], *VRS])
        if draw.randrange(8) == 0:
            dataset._dict.pop(tag, None)
        else:
            dataset._dict[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.save_as(path)


def mutants(tree, count: int) -> Iterator[int]:
    """The tree with odd values in one file, or in all."""
    files = tree.files["L067"]["full"] + tree.files["L067"]["quarter"]
    contents = [path.read_bytes() for path in files]
    for number in range(count):
        draw = random.Random(number)
        chosen = files if number % 2 else [draw.choice(files)]
        seed = draw.random()
        for path in chosen:
            try:
                put_odd_values(path, random.Random(seed))
            except Exception:  # pydicom does not write everything that it reads
                continue
        yield number
        for path, content in zip(files, contents, strict=True):
            path.write_bytes(content)


def test_headers_through_index_and_volume(tree, tmp_path):
    from lookalike import lookalike_description

    description, ends = lookalike_description(tree, test=["L067"]), {"read": 0, "refused": 0}
    index = tmp_path / "index.parquet"
    for number in mutants(tree, MUTANTS):
        try:
            index_dataset(tree.root, description, index, tmp_path / "inventory.md")
            write_volume(read_index(index), tree.root, "L067", "x", tmp_path / "v")
            ends["read"] += 1
        except InputError as error:
            assert str(error).isprintable(), number
            ends["refused"] += 1
    print(ends)
    assert min(ends.values()) > MUTANTS / 20


def test_headers_through_denoise(tree, tmp_path, capsys):
    ends = {0: 0, 1: 0}
    for number in mutants(tree, MUTANTS):
        status = main(["denoise", str(tree.root), str(tmp_path / "out"), "--method", "low_dose"])
        told = capsys.readouterr().err
        assert "Traceback" not in told, number
        assert status == 0 or told.splitlines()[-1].startswith("error: "), number
        assert status == 0 or not (tmp_path / "out").exists(), number
        ends[status] += 1
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
    print(ends)
    assert min(ends.values()) > MUTANTS / 20
