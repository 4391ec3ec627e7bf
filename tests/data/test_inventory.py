"""The data doctor: index and inventory of good and bad data."""

import logging
import shutil

import numpy as np
import pandas as pd
import pydicom
import pytest
from lookalike import LAYOUTS, lookalike_description, write_lookalike_tree

from ldct.common.errors import InputError
from ldct.data.dicom import reading
from ldct.data.dicom.inventory import index_dataset
from ldct.data.volumes import load_volume, read_index, write_volume


@pytest.fixture
def tree(tmp_path):
    return write_lookalike_tree(tmp_path / "tree", size=32, patients=["L067", "L506"])


def run(tree, description=None, workers=1):
    folder = tree.root.parent
    description = description or lookalike_description(tree)
    index, inventory = folder / "index.parquet", folder / "inventory.md"
    index_dataset(tree.root, description, index, inventory, workers)
    return read_index(index), inventory.read_text()


@pytest.mark.parametrize(
    ("layout", "vendor"), [("A", "GE"), *((layout, "SIEMENS") for layout in LAYOUTS)]
)
def test_volumes_hold_the_written_hu_of_every_layout(tmp_path, layout, vendor):
    root = tmp_path / "tree/some/where/deep"
    tree = write_lookalike_tree(root, layout, ["L067", "L506"], 4, 32, vendor=vendor)
    index, _ = run(tree)
    assert len(index) == 8
    for patient, doses in tree.hu.items():
        write_volume(index, tree.root, patient, "lookalike", tmp_path / patient)
        volume = load_volume(tmp_path / patient)
        np.testing.assert_array_equal(volume.full, doses["full"])
        np.testing.assert_array_equal(volume.quarter, doses["quarter"])


def test_index_describes_every_pair(tree):
    index, _ = run(tree)
    own = index[index["patient"] == "L506"]
    assert own["slice"].tolist() == list(range(6))
    assert own["z_mm"].tolist() == list(tree.z_mm)
    assert own["instance"].tolist() == [6, 5, 4, 3, 2, 1]
    assert own["full_path"].tolist() == [
        path.relative_to(tree.root).as_posix() for path in tree.files["L506"]["full"]
    ]
    assert set(own["thickness_mm"]) == {1.0}
    assert set(own["kernel"]) == {"B30f"}
    assert own["full_sha256"].str.fullmatch("[0-9a-f]{64}").all()
    assert (own["full_sha256"] != own["quarter_sha256"]).all()


def test_inventory_tells_counts_and_never_a_name(tree):
    _, text = run(tree)
    assert "| L067 | train | 6 | 6 | 6 | 6 | 1 | B30f | 0.8 |" in text
    assert "Slice pairs indexed: 12, expected 12, 2 of 2 patients" in text
    for word in ("Somebody", "Real", "Anonymous"):
        assert word not in text
    assert "left out" not in text
    assert "Problems" not in text


def test_missing_and_unpaired_slices_warn_and_are_listed(tree, caplog):
    for dose in ("full", "quarter"):
        tree.files["L067"][dose][2].unlink()
    tree.files["L067"]["full"][4].unlink()
    with caplog.at_level(logging.WARNING):
        index, text = run(tree)
    assert index.groupby("patient").size().to_dict() == {"L067": 4, "L506": 6}
    assert index[index["patient"] == "L067"]["slice"].tolist() == [0, 1, 2, 3]
    for message in (
        "4 slice pairs, 6 expected",
        f"1 missing in both doses, z in mm: {tree.z_mm[2]:g}",
        f"1 quarter-dose slices without a full-dose partner, left out, z in mm: {tree.z_mm[4]:g}",
    ):
        assert message in text
        assert f"L067: {message}" in caplog.text


def test_truncated_slice_is_left_out_as_damaged(tree):
    path = tree.files["L067"]["full"][1]
    path.write_bytes(path.read_bytes()[:-100])
    index, text = run(tree)
    assert len(index) == 11
    assert "1 with damaged pixels, left out" in text
    assert path.name in text


def test_two_different_slices_at_one_position_are_an_error(tree):
    source = tree.files["L067"]["full"][0]
    copy = source.with_name("copy_of_" + source.name)
    dataset = pydicom.dcmread(source)
    dataset.PixelData = bytes(len(dataset.PixelData))
    dataset.save_as(copy)
    with pytest.raises(InputError, match="1 full-dose slices have other pixels than") as caught:
        run(tree)
    assert copy.name in str(caught.value)
    assert source.name in str(caught.value)


def test_absent_patients_are_named_with_the_folder_searched(tree):
    description = lookalike_description(tree)
    description["patients"] |= {"L109": {"split": "test", "slices": 318}}
    with pytest.raises(InputError) as caught:
        run(tree, description)
    assert str(tree.root) in str(caught.value)
    assert "no CT slices of L109" in str(caught.value)
    text = (tree.root.parent / "inventory.md").read_text()
    assert "| L109 | test | 318 | 0 | 0 | 0 |" in text
    assert not (tree.root.parent / "index.parquet").exists()


def test_patient_with_one_dose_only_is_an_error(tree):
    shutil.rmtree(tree.root / "L067" / "full_1mm")
    with pytest.raises(InputError, match="none of full dose"):
        run(tree)


def test_index_does_not_depend_on_the_number_of_workers(tree, monkeypatch):
    monkeypatch.setattr(reading, "POOL_FROM", 2)
    pd.testing.assert_frame_equal(run(tree, workers=1)[0], run(tree, workers=2)[0])
