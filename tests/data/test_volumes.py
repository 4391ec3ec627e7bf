"""Volumes: written once from the index, read by memory map, restricted to test slices."""

import json

import numpy as np
import pydicom
import pytest
from lookalike import lookalike_description, write_lookalike_tree

from ldct.common.errors import InputError
from ldct.data.dicom.inventory import index_dataset
from ldct.data.volumes import load_volume, read_index, select_slices, write_volume


@pytest.fixture
def tree(tmp_path):
    return write_lookalike_tree(tmp_path / "tree", size=32, patients=["L067"])


@pytest.fixture
def index(tree, tmp_path):
    description = lookalike_description(tree)
    index_dataset(tree.root, description, tmp_path / "index.parquet", tmp_path / "inventory.md")
    return read_index(tmp_path / "index.parquet")


@pytest.fixture
def folder(tree, index, tmp_path):
    write_volume(index, tree.root, "L067", "lookalike", tmp_path / "volumes" / "L067")
    return tmp_path / "volumes" / "L067"


def test_volume_has_the_contract_of_its_files(tree, folder):
    assert sorted(path.name for path in folder.iterdir()) == [
        "full.npy",
        "quarter.npy",
        "volume.json",
    ]
    assert json.loads((folder / "volume.json").read_text()) == {
        "patient": "L067",
        "dataset": "lookalike",
        "slice_index": [0, 1, 2, 3, 4, 5],
        "z_mm": list(tree.z_mm),
        "instance": [6, 5, 4, 3, 2, 1],
        "origin_mm": pytest.approx(tree.origin_mm),
        "pixel_mm": pytest.approx(tree.pixel_mm),
        "thickness_mm": 1.0,
        "kernel": "B30f",
    }
    for dose in ("full", "quarter"):
        array = np.load(folder / f"{dose}.npy")
        assert array.dtype == np.int16
        np.testing.assert_array_equal(array, tree.hu["L067"][dose])


@pytest.mark.parametrize("change", ["pixels", "truncated", "deleted"])
def test_file_that_changed_since_indexing_is_named(tree, index, tmp_path, change):
    path = tree.files["L067"]["quarter"][2]
    if change == "pixels":
        dataset = pydicom.dcmread(path)
        dataset.PixelData = bytes([dataset.PixelData[0] ^ 1]) + dataset.PixelData[1:]
        dataset.save_as(path)
    elif change == "truncated":
        path.write_bytes(path.read_bytes()[:-10])
    else:
        path.unlink()
    with pytest.raises(InputError, match="index") as caught:
        write_volume(index, tree.root, "L067", "lookalike", tmp_path / "volumes" / "L067")
    assert path.name in str(caught.value)
    assert list((tmp_path / "volumes").iterdir()) == []


def test_unknown_patient_is_told_with_the_known_ones(tree, index, tmp_path):
    with pytest.raises(InputError, match=r"L999; it has L067"):
        write_volume(index, tree.root, "L999", "lookalike", tmp_path / "v")


def test_selection_keeps_slices_and_their_geometry(tree, folder, tmp_path):
    select_slices(folder, [4, 1, 1], tmp_path / "test" / "L067", further=[4, 3])
    volume = load_volume(tmp_path / "test" / "L067")
    np.testing.assert_array_equal(volume.full, tree.hu["L067"]["full"][[1, 3, 4]])
    np.testing.assert_array_equal(volume.quarter, tree.hu["L067"]["quarter"][[1, 3, 4]])
    assert volume.info["slice_index"] == [1, 3, 4]
    assert volume.info["regular"] == [True, False, True]
    assert volume.info["z_mm"] == [tree.z_mm[row] for row in (1, 3, 4)]
    assert volume.info["instance"] == [5, 3, 2]
    assert volume.info["pixel_mm"] == load_volume(folder).info["pixel_mm"]


@pytest.mark.parametrize("rows", [[], [6], [-1, 2]])
def test_rows_outside_the_volume_are_refused(folder, tmp_path, rows):
    with pytest.raises(InputError, match="rows 0 to 5"):
        select_slices(folder, rows, tmp_path / "test")


def test_incomplete_or_inconsistent_volume_is_refused(folder):
    np.save(folder / "quarter.npy", np.zeros((2, 32, 32), np.int16))
    with pytest.raises(InputError, match="must agree"):
        load_volume(folder)
    (folder / "quarter.npy").unlink()
    with pytest.raises(InputError, match=r"quarter\.npy: not found"):
        load_volume(folder)
