"""Damaged DICOM files through index and volume: a true line, or the arrays as they were.

LDCT_MUTANTS=10000 python -m pytest tests/data/test_byte_flips.py tries ten thousand.
"""

import json
import logging
import os
import random
import shutil
import time
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from lookalike import Lookalike, lookalike_description, write_lookalike_tree

from ldct.common.errors import InputError
from ldct.data.dicom.inventory import index_dataset
from ldct.data.volumes import read_index, write_volume

MUTANTS = int(os.environ.get("LDCT_MUTANTS", "300"))
SLOWEST_S, LARGEST_BYTES = 5.0, 2**30
PATIENT = "L067"


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Lookalike:
    return write_lookalike_tree(
        tmp_path_factory.mktemp("tree") / "dicom", "A", [PATIENT], slices=4, size=32
    )


def volumes(tree: Lookalike, folder: Path) -> dict[str, np.ndarray]:
    description = lookalike_description(tree, test=[PATIENT])
    index_dataset(tree.root, description, folder / "index.parquet", folder / "inventory.md")
    info = write_volume(read_index(folder / "index.parquet"), tree.root, PATIENT, "x", folder / "v")
    arrays = {dose: np.load(folder / f"v/{dose}.npy") for dose in ("full", "quarter")}
    return arrays | {"info": np.array(json.dumps(info, sort_keys=True))}


def flipped(content: bytes, header: int, draw: random.Random) -> bytes:
    """One to four bytes of the header changed, some removed or put in, or the file cut."""
    damaged = bytearray(content)
    kind = draw.randrange(10)
    if kind == 0:
        return bytes(damaged[: draw.randrange(len(damaged))])
    place = draw.randrange(header)
    if kind == 1:
        del damaged[place : place + draw.randint(1, 8)]
    elif kind == 2:
        damaged[place:place] = draw.randbytes(draw.randint(1, 8))
    else:
        for _ in range(draw.randint(1, 4)):
            damaged[draw.randrange(header)] = draw.choice([0, 0xFF, draw.randrange(256)])
    return bytes(damaged)


def test_damaged_file_is_told_or_read_as_it_was(tree, tmp_path, caplog):
    """Bytes of pixels are not flipped: no header tells of them."""
    caplog.set_level(logging.WARNING)
    expected = volumes(tree, tmp_path / "whole")
    victim = tree.files[PATIENT]["quarter"][1]
    content = victim.read_bytes()
    header = content.rindex(pydicom.dcmread(victim).PixelData)
    outcomes = {"refused": 0, "told": 0, "same": 0}
    tracemalloc.start()
    for number in range(MUTANTS):
        victim.write_bytes(flipped(content, header, random.Random(number)))
        caplog.clear()
        tracemalloc.reset_peak()
        start = time.monotonic()
        try:
            with warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always")
                found = volumes(tree, tmp_path / "run")
        except InputError as error:
            assert "\n" not in str(error), number
            outcomes["refused"] += 1
        else:
            same = all(np.array_equal(found[key], expected[key]) for key in expected)
            told = bool(caplog.records or warned) or told_in_inventory(tmp_path)
            assert same or told, f"mutant {number}: another volume without a word"
            outcomes["same" if same else "told"] += 1
        assert time.monotonic() - start < SLOWEST_S, f"mutant {number} took long"
        assert tracemalloc.get_traced_memory()[1] < LARGEST_BYTES, f"mutant {number}"
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
    tracemalloc.stop()
    victim.write_bytes(content)
    print(outcomes)
    assert min(outcomes["refused"], outcomes["same"]) > MUTANTS / 20


def told_in_inventory(folder: Path) -> bool:
    """Whether the inventory of the damaged tree says more than that of the whole one."""
    return (folder / "run/inventory.md").read_text() != (folder / "whole/inventory.md").read_text()
