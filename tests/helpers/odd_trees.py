"""Trees of lookalike.py, changed in the ways that users' own trees differ."""

import shutil

import numpy as np
import pydicom
import pytest
from lookalike import Lookalike, edit_file, lookalike_description

from ldct.common.errors import InputError
from ldct.data.dicom.inventory import index_dataset
from ldct.data.volumes import read_index


def files(tree: Lookalike, dose=None):
    """Files of L067 by ascending z, of one dose or of both."""
    doses = tree.files["L067"]
    return doses[dose] if dose else [path for paths in doses.values() for path in paths]


def edit(paths, **tags):
    for path in paths:
        edit_file(path, **tags)


def shift(paths, *offset, turn=None, move=None):
    """Move slices by (x, y, z) mm; `turn` is their new orientation."""
    for path in paths:
        position = [float(value) for value in pydicom.dcmread(path).ImagePositionPatient]
        moved = [f"{value + change:.6g}" for value, change in zip(position, offset, strict=True)]
        tags = {"ImagePositionPatient": moved}
        edit_file(path, **tags | ({"ImageOrientationPatient": turn} if turn else {}))


def pixels(path, change):
    dataset = pydicom.dcmread(path)
    stored = change(dataset.pixel_array.astype(np.int32))
    dataset.PixelData = np.clip(stored, 0, 4095).astype("<u2").tobytes()
    dataset.save_as(path)


def copy_pixels(source, target):
    dataset = pydicom.dcmread(target)
    dataset.PixelData = pydicom.dcmread(source).PixelData
    dataset.save_as(target)


def exchange(tree, count=None):
    for full, quarter in list(zip(files(tree, "full"), files(tree, "quarter"), strict=True))[
        :count
    ]:
        kept = pydicom.dcmread(full).PixelData
        copy_pixels(quarter, full)
        dataset = pydicom.dcmread(quarter)
        dataset.PixelData = kept
        dataset.save_as(quarter)


def second_scan(paths, offset=0.4, brighter=20, **tags):
    """A second pass over the same slices, `offset` mm further."""
    for path in paths:
        copy = path.with_name(f"second_{path.name}")
        shutil.copy(path, copy)
        shift([copy], 0, 0, offset)
        pixels(copy, lambda stored: stored + brighter)
        edit_file(copy, **tags)


def first_and_second(paths, offset=0.4, uid=False):
    edit(paths, AcquisitionNumber=1, SeriesInstanceUID="1.2.840.7111.0.0.0")
    tags = {"SeriesInstanceUID": "1.2.840.7222.0.0.0"} if uid else {"AcquisitionNumber": 2}
    second_scan(paths, offset, **tags)


def index(tree, **changes):
    """The index and the inventory; changes of the description, `L067` those of the patient."""
    description = lookalike_description(tree, **{k: v for k, v in changes.items() if k != "L067"})
    if "L067" in changes:
        description["patients"]["L067"] |= changes["L067"]
    folder = tree.root.parent
    index_dataset(tree.root, description, folder / "index.parquet", folder / "inventory.md")
    return read_index(folder / "index.parquet"), (folder / "inventory.md").read_text()


def refused(tree, **changes):
    """The error, one line, with nothing indexed."""
    with pytest.raises(InputError) as caught:
        index(tree, **changes)
    line = str(caught.value)
    assert "\n" not in line
    assert not (tree.root.parent / "index.parquet").exists()
    inventory = (tree.root.parent / "inventory.md").read_text()
    assert "pairs indexed" not in inventory
    return line
