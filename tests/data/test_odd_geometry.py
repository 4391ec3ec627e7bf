"""Slices that lie or are named in unusual ways: used right, or refused in one true line."""

import shutil

import numpy as np
import pytest
from lookalike import edit_file, lookalike_description, write_lookalike_tree
from odd_trees import edit, files, index, refused, shift

from ldct.data.lesions import convert_neutral_csv, nearest_slice
from ldct.data.volumes import load_volume, write_volume
from ldct.lesions.places import lesion_centre


@pytest.fixture
def tree(tmp_path):
    return write_lookalike_tree(tmp_path / "tree", size=64, patients=["L067", "L506"])


COS, SIN = np.cos(np.deg2rad(20)), np.sin(np.deg2rad(20))
TURNED = {
    "prone": [-1, 0, 0, 0, -1, 0],
    "mirrored": [-1, 0, 0, 0, 1, 0],
    "tilted": [1, 0, 0, 0, COS, -SIN],
    "tilted back": [1, 0, 0, 0, COS, SIN],
    "turned": [COS, SIN, 0, -SIN, COS, 0],
    "on the side": [0, 1, 0, -1, 0, 0],
}


# Only the corner of a tilted slice moves.
PLACED = [(name, False) for name in TURNED] + [(name, True) for name in TURNED if "tilted" in name]


@pytest.mark.parametrize(("name", "moving"), PLACED)
def test_axial_slices_may_be_tilted_or_turned(tree, tmp_path, name, moving):
    for dose in ("full", "quarter"):
        for row, path in enumerate(files(tree, dose)):
            along = np.cross(TURNED[name][:3], TURNED[name][3:]) * row if moving else (0, 0, 0)
            shift([path], *along, turn=[f"{value:.8g}" for value in TURNED[name]])
    found, _ = index(tree)
    write_volume(found, tree.root, "L067", "x", tmp_path / "v")
    volume = load_volume(tmp_path / "v")
    np.testing.assert_array_equal(volume.full, tree.hu["L067"]["full"])
    np.testing.assert_allclose(volume.info["orientation"], TURNED[name], atol=1e-6)
    assert ("corner_mm" in volume.info) == moving
    write_volume(found, tree.root, "L506", "x", tmp_path / "w")
    assert "orientation" not in load_volume(tmp_path / "w").info


@pytest.mark.parametrize("name", TURNED)
@pytest.mark.parametrize("unit", ["mm", "px"])
def test_lesions_follow_the_orientation(tmp_path, name, unit):
    tree = write_lookalike_tree(tmp_path / "tree", size=128, patients=["L067"])
    for dose in ("full", "quarter"):
        for row, path in enumerate(files(tree, dose)):
            along = np.cross(TURNED[name][:3], TURNED[name][3:]) * row * ("tilted" in name)
            shift([path], *along, turn=[f"{value:.8g}" for value in TURNED[name]])
    found, _ = index(tree, patients={"L067": {"split": "test"}})
    write_volume(found, tree.root, "L067", "x", tmp_path / "L067")
    info = load_volume(tmp_path / "L067").info
    chosen, (column, line) = found.iloc[2], (40, 60)
    rows, columns = np.reshape(TURNED[name], (2, 3))
    corner = chosen[["origin_x_mm", "origin_y_mm", "z_mm"]].to_numpy(float)
    x, y, z = corner + column * tree.pixel_mm[1] * rows + line * tree.pixel_mm[0] * columns
    place = f"{x},{y},{z},mm" if unit == "mm" else f"{column},{line},{corner[2]},px"
    text = "patient_id,lesion_id,x,y,z,unit,slice_ref,diameter_mm,label"
    (tmp_path / "l.csv").write_text(f"{text}\nL067,1,{place},z_mm,10,x", encoding="utf-8")
    table = convert_neutral_csv(tmp_path / "l.csv", {"L067": info})
    lesion = table.to_dict("records")[0]
    assert nearest_slice(info, lesion["z_mm"]) == 2
    assert lesion_centre(lesion, info) == pytest.approx((line, column), abs=0.01)


@pytest.mark.parametrize(
    ("orientation", "kind"),
    [([1, 0, 0, 0, 0, -1], "coronal"), ([0, 1, 0, 0, 0, -1], "sagittal"), ([0] * 6, "no")],
)
def test_other_planes_are_refused_in_one_line(tree, orientation, kind):
    edit(files(tree), ImageOrientationPatient=orientation)
    line = refused(tree)
    assert f"{kind} plane" in line
    assert "export the axial reconstruction" in line
    assert line.count("plane (") == 2  # one a dose


def test_reformatted_planes_beside_the_scan_are_left_out_and_listed(tree):
    for path in files(tree, "full"):
        copy = path.with_name(f"cor_{path.name}")
        shutil.copy(path, copy)
        edit_file(copy, ImageOrientationPatient=[1, 0, 0, 0, 0, -1])
    found, inventory = index(tree)
    assert len(found) == 12
    assert "L067: 1 mm B30f full dose, coronal (6 slices)" in inventory


@pytest.mark.parametrize("count", [1, 6])
def test_doses_that_lie_differently_are_refused(tree, count):
    edit(files(tree, "quarter")[:count], ImageOrientationPatient=TURNED["prone"])
    line = refused(tree)
    assert "all slices of a patient must lie alike" in line
    assert f"({count} quarter-dose files)" in line


def instances(tree, z, numbers):
    """L067 with slices at `z`, counted by `numbers`, in both doses."""
    for dose in ("full", "quarter"):
        for path, position, number in zip(files(tree, dose), z, numbers, strict=False):
            place = [f"{value:g}" for value in (*tree.origin_mm, position)]
            edit_file(path, ImagePositionPatient=place, InstanceNumber=number)
        for path in files(tree, dose)[len(z) :]:
            path.unlink()


@pytest.mark.parametrize(
    ("z", "numbers", "told"),
    [
        (
            [-300, -262, -224, -130],
            [151, 132, 113, 66],
            "sparse: 4 slices of a grid of 2 mm with 86",
        ),
        ([-300, -290, -280, -270], [40, 30, 20, 10], "sparse: 4 slices of a grid of 1 mm with 31"),
        ([-300, -262, -224, -130], [4, 3, 2, 1], "sparse: slices of 1 mm every 38 mm: steps of 38"),
        ([0, 10, 20, 30], [4, 3, 2, 1], "sparse: slices of 1 mm every 10 mm"),
        ([0, 0.8, 1.6, 3.2, 4], [6, 5, 4, 2, 1], "1 missing in both doses, z in mm: 2.4"),
        ([0, 0.8, 1.6, 3.2, 4], [5, 4, 3, 2, 1], "1 missing in both doses, z in mm: 2.4"),
        ([0, 0.8, 1.6, 3.2, 4], [0] * 5, "1 missing in both doses, z in mm: 2.4"),
        ([0, 0.8, 1.6, 3.2, 4], [9, 7, 5, 1, -1], "1 missing in both doses, z in mm: 2.4"),
        ([0, 1, 2.5, 3.1, 4], [9, 1, 5, 3, 7], "uneven: steps of 0.6 to 1.5 mm"),
        ([0, 0.8, 1.6, 2.4, 3.2], [9, 7, 5, 3, 1], None),
        ([0, 0.8, 1.6, 2.4, 3.2], [3, 1, 4, 2, 5], None),
    ],
)
def test_gaps_are_told_by_number_and_spacing_together(tree, z, numbers, told):
    instances(tree, z, numbers)
    inventory = index(tree)[1].split("\n## L067")[-1]
    if told is None:
        assert "missing" not in inventory
        assert "sparse" not in inventory
    else:
        assert told in inventory
        assert ("missing in both" in inventory) == ("missing in both" in told)


def test_one_patient_alone_is_indexed(tree):
    description = lookalike_description(tree)
    only = {"L067": description["patients"]["L067"]}
    assert len(index(tree, patients=only)[0]) == 6
    line = refused_afresh(tree, patients={"L109": {"split": "train"}})
    assert "take the patients out" not in line


def refused_afresh(tree, **changes):
    (tree.root.parent / "index.parquet").unlink(missing_ok=True)
    return refused(tree, **changes)


def test_folder_that_differs_from_header_and_file_name_is_called_wrong(tmp_path):
    tree = write_lookalike_tree(tmp_path / "tree", "C", ["L067", "L506"], 5, 32, thickness_mm=3.0)
    for dose in ("full", "quarter"):
        folder = tree.files["L067"][dose][0].parent
        folder.rename(folder.with_name(f"{dose}_3mm"))
    line = refused(tree)
    assert line.startswith("L067: ")
    assert (
        "ConvolutionKernel D45f, but soft kernel by folder: the folder is wrong, rename it" in line
    )
    assert "(5 full-dose files); L067" in line
    assert "more" not in line
