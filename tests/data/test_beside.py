"""What lies beside the slices asked for, and faults that only show in a second look."""

import json
import os
import shutil

import pytest
from lookalike import edit_file, lookalike_description, write_lookalike_tree
from odd_files import compress, cut_preamble
from odd_trees import edit, files, index, refused, second_scan, shift
from pydicom.uid import CTImageStorage

from ldct import cli
from ldct.common.errors import InputError
from ldct.data.volumes import write_volume

SIMULATE = {"dose_fraction": 0.25, "noise_ratio": 2.0, "seed": 1}
LOST = {"RescaleSlope": None}


@pytest.fixture
def tree(tmp_path):
    return write_lookalike_tree(tmp_path / "tree", size=64, patients=["L067"])


def beside(tree, **tags):
    """A changed copy of the first slice, beside it."""
    copy = files(tree)[0].with_name("beside.dcm")
    shutil.copy(files(tree)[0], copy)
    edit_file(copy, **tags)


@pytest.mark.parametrize("asked", [{}, {"series": {"thickness_mm": None, "kernel": None}}])
@pytest.mark.parametrize(
    "tags",
    [
        {"SliceThickness": "3", "NumberOfFrames": 40},
        {"ConvolutionKernel": "H20f", "RescaleIntercept": ""},
        {"ConvolutionKernel": "D45f", "SliceThickness": ""},
        {"SeriesDescription": "perfusion", **LOST},
        {"SeriesInstanceUID": "1.2.3", "ImagePositionPatient": None},
    ],
)
def test_refused_file_of_another_series_is_told_and_left_out(tree, caplog, tags, asked):
    if asked and tags.get("SliceThickness") == "":
        del tags["SliceThickness"]
        tags = {**tags, **LOST}
    beside(tree, **tags)
    found, inventory = index(tree, **asked)
    assert len(found) == 6
    assert "beside.dcm), of another series, left out" in inventory
    assert "1 file refused" in caplog.text


@pytest.mark.parametrize(
    "tags",
    [LOST, {"SliceThickness": "0", "SeriesDescription": ""}, {"Modality": None}],
)
def test_refused_file_that_may_be_of_the_series_stops_the_index(tree, tags):
    edit_file(files(tree)[1], SOPClassUID=CTImageStorage, **tags)
    assert "1 file refused" in refused(tree)


def test_refused_files_stop_the_index_where_each_file_has_a_series_of_its_own(tree):
    for number, path in enumerate(files(tree)):
        edit_file(path, SeriesInstanceUID=f"1.2.{number}")
    edit_file(files(tree)[2], **LOST)
    assert "1 file refused" in refused(tree)


@pytest.mark.parametrize("dose", ["full", "quarter"])
def test_refused_files_of_another_series_are_told_where_a_dose_is_missing(tree, dose):
    edit(files(tree, dose), SeriesDescription="other", **LOST)
    assert f"RescaleSlope is missing, expected a number (first: L067/{dose}_1mm" in refused(tree)


def test_colour_picture_is_no_slice(tree):
    beside(tree, SamplesPerPixel=3, PhotometricInterpretation="RGB")
    assert "1 DICOM, not a CT slice, in L067/full_1mm (1)" in index(tree)[1]


@pytest.mark.parametrize("content", [b"", b"<html>"])
def test_file_that_is_no_dicom_among_slices_is_told(tree, caplog, content):
    files(tree)[0].write_bytes(content)
    assert len(index(tree)[0]) == 5
    assert "1 file refused" in caplog.text
    assert files(tree)[0].name in caplog.text


def test_file_that_was_cut_in_its_header_stops_the_index(tree):
    files(tree)[0].write_bytes(files(tree)[0].read_bytes()[:300])
    assert "Modality is missing, expected CT" in refused(tree)


@pytest.mark.parametrize(
    ("tag", "value", "told"),
    [
        ("PixelRepresentation", None, "is missing"),
        ("PixelRepresentation", 2, "is 2, expected 0 or 1"),
        ("BitsAllocated", None, "is missing"),
        ("BitsStored", 17, "is 17, expected 1 to 16"),
        ("SamplesPerPixel", None, "is missing"),
        ("PhotometricInterpretation", None, "is missing, expected MONOCHROME2"),
        ("PhotometricInterpretation", "PALETTE COLOR", "is PALETTE COLOR, expected MONO"),
    ],
)
def test_tags_that_pixels_are_decoded_by_are_looked_at(tree, tag, value, told):
    edit(files(tree), **{tag: value})
    assert f"12 files refused: {tag} {told}" in refused(tree)


def test_compressed_file_without_any_meta_information_is_told(tree):
    for path in files(tree):
        compress(path, "JPEGLosslessProcess14_1")
        cut_preamble(path)
    assert "compressed pixels, but TransferSyntaxUID is missing" in refused(tree)


@pytest.mark.parametrize("tags", [{"RescaleIntercept": "0"}, {"RescaleSlope": "0.1"}])
@pytest.mark.parametrize("changes", [{}, {"simulate": SIMULATE}])
def test_level_that_is_wrong_in_both_doses_is_told_loudly(tree, caplog, tags, changes):
    edit(files(tree), **tags)
    index(tree, **changes)
    assert "HU MAY BE WRONG" in caplog.text


def test_scans_that_nothing_but_numbers_tells_apart_are_told_loudly(tree, caplog):
    second_scan(files(tree))
    index(tree)
    assert "6 InstanceNumbers stand at several positions" in caplog.text


@pytest.mark.parametrize("offset", [8, 100])
def test_no_slice_is_missing_between_two_scans(tree, offset):
    edit(files(tree), AcquisitionNumber=1)
    second_scan(files(tree), offset, AcquisitionNumber=2)
    found, inventory = index(tree)
    assert len(found) == 12
    assert "missing in both doses" not in inventory
    assert "none is counted as missing from z = -296 to" in inventory


def test_keys_that_contradict_each_other_show_the_series(tree):
    edit(files(tree), AcquisitionNumber=1, SeriesInstanceUID="1.2.1111")
    second_scan(files(tree), AcquisitionNumber=2, SeriesInstanceUID="1.2.2222")
    line = refused(tree, L067={"acquisition": 2, "series_uid": "1111"})
    assert "acquisition 2, series ...2222" in line


def test_some_slices_that_lie_apart_name_distance_and_key(tree):
    shift(files(tree, "quarter")[:2], 0, 0, 0.05)
    found, inventory = index(tree)
    assert len(found) == 4
    assert "2 slices of the doses are 0.05 mm apart" in inventory
    assert len(index(tree, z_tolerance_mm=0.055)[0]) == 6


def test_corner_may_differ_by_a_twentieth_of_a_pixel(tree):
    shift(files(tree, "quarter"), 0.2, 0, 0)
    assert len(index(tree)[0]) == 6
    shift(files(tree, "quarter"), 0.2, 0, 0)
    (tree.root.parent / "index.parquet").unlink()
    assert "0.4 mm away from" in refused(tree)


@pytest.mark.parametrize("tags", [{"Rows": 32, "Columns": 128}, {"PixelSpacing": ["9", "9"]}])
def test_the_one_slice_that_differs_is_named_and_not_the_others(tree, tags):
    first = files(tree, "full")[0]
    edit_file(first, **tags)
    line = refused(tree)
    assert line.startswith(f"L067: L067/full_1mm/{first.name}: ")
    assert "(1 full-dose files)" in line


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"files": {"full": "{patient}/full_1mm"}}, "the description has no `files.quarter`"),
        ({"files": {"full": "*/full_1mm", "quarter": "x/{patient}"}}, "'x' does not match L067/"),
    ],
)
def test_pattern_of_one_dose_is_told_in_one_line(tree, change, told):
    assert told in refused(tree, **change)


def test_pattern_without_patient_is_told_for_several(tree):
    changes = {"files": {"full": "*/full_1mm", "quarter": "*/quarter_1mm"}}
    both = {code: {"split": "test"} for code in ("L067", "L506")}
    assert "names no patient: put {patient} into it" in refused(tree, patients=both, **changes)


def test_quarter_dose_alone_is_not_simulated_from(tree):
    shutil.rmtree(files(tree, "full")[0].parent)
    assert "all are of quarter dose by their names" in refused(tree, simulate=SIMULATE)


def test_dose_that_lies_packed_beside_the_other_is_hinted_at(tree):
    folder = files(tree, "full")[0].parent
    shutil.make_archive(str(folder), "zip", folder)
    shutil.rmtree(folder)
    assert "none of full dose; a pair needs both (1 .zip file there: unpack them)" in refused(tree)


@pytest.mark.parametrize("doses", [["full"], ["quarter"], ["full", "quarter"]])
def test_slices_that_one_name_gives_to_another_patient_are_told(tree, doses):
    for dose in doses:
        code = {"full": "FD", "quarter": "QD"}[dose]
        edit(files(tree, dose), PatientName=f"L777_{code}_1")
    line = refused(tree)
    assert f"{6 * len(doses)} files name two patients" in line
    assert "patient L067 by file name, folder, but patient L777 by PatientName" in line


@pytest.mark.parametrize(("place", "stops"), [("L067/full_1mm", True), ("lost+found", False)])
def test_folder_that_cannot_be_opened_is_told(tree, monkeypatch, place, stops):
    (tree.root / place).mkdir(exist_ok=True)
    scandir = os.scandir

    def closed(folder):
        if str(folder).endswith(place):
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", closed)
    if stops:
        told = "1 file refused: the folder cannot be opened (Permission denied) (L067/full_1mm/)"
        assert told in refused(tree)
    else:
        assert len(index(tree)[0]) == 6


@pytest.mark.parametrize("dose", ["full", "quarter"])
def test_dose_in_another_plane_is_not_called_missing(tree, dose):
    shift(files(tree, dose), 0, 0, 0, turn=["1", "0", "0", "0", "0", "-1"])
    line = refused(tree)
    assert f"expected axial slices; export the axial reconstruction of the scan (6 {dose}" in line
    assert "none of" not in line


def test_pipe_is_not_waited_for(tree):
    os.mkfifo(files(tree)[0].with_name("pipe.IMA"))
    assert "1 file refused: a pipe, no file" in refused(tree)


def test_index_without_quarter_dose_makes_no_pairs(tree, tmp_path):
    found, _ = index(tree, simulate=SIMULATE)
    with pytest.raises(InputError, match="made with `simulate`; index again"):
        write_volume(found, tree.root, "L067", "x", tmp_path / "v")
    assert not (tmp_path / "v").exists()


def test_report_that_lies_beside_the_log_is_no_second_fault(tree, tmp_path, capsys):
    edit(files(tree), **LOST)
    description = json.dumps(lookalike_description(tree))
    places = [f"--{name}={tmp_path / name}.md" for name in ("index", "inventory")]
    log = f"--log={tmp_path / 'log'}"
    assert cli.main([log, "index", "--dataset", description, *places]) == 1
    assert "RescaleSlope is missing" in capsys.readouterr().err.splitlines()[-1]
