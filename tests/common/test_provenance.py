"""Provenance records: what a stranger needs to know about a file."""

import hashlib

import numpy as np
import pytest

from ldct.common import provenance
from ldct.common.files import read_json


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(tmp_path, **changes):
    source = tmp_path / "input.txt"
    source.write_text("content")
    output = tmp_path / "output.npy"
    output.write_bytes(b"made")
    arguments = {"inputs": [source], "settings": {"window": [-160, 240]}} | changes
    with provenance.recorded([output], **arguments):
        pass
    return read_json(tmp_path / "output.npy.provenance.json"), source


def test_record_names_inputs_settings_code_and_machine(tmp_path):
    record, source = write(tmp_path)
    digest = hashlib.sha256(b"content").hexdigest()
    assert record["output"] == "output.npy"
    assert record["content"] == {"sha256": hashlib.sha256(b"made").hexdigest()}
    assert record["inputs"] == {source.name: {"sha256": digest}}
    assert record["settings"] == {"window": [-160, 240]}
    assert record["packages"]["numpy"] == np.__version__
    assert {"version", "git"} <= set(record["code"])
    assert {"system", "python", "cpus"} == set(record["host"])
    assert 0 <= record["seconds"] < 60
    assert record["peak_memory_mb"] > 1
    assert record["finished"].endswith("+00:00")


def test_large_inputs_are_named_by_size_and_folders_as_such(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "HASH_LIMIT_BYTES", 3)
    folder = tmp_path / "folder"
    folder.mkdir()
    record, source = write(tmp_path, inputs=[tmp_path / "input.txt", folder])
    assert record["inputs"] == {source.name: {"bytes": 7}, folder.name: {"folder": True}}


def test_record_stands_beside_a_folder_too(tmp_path):
    (tmp_path / "L901").mkdir()
    assert provenance.record_path(tmp_path / "L901") == tmp_path / "L901.provenance.json"
