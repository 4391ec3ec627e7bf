"""What users hold is read right, or refused in one true line that names a file."""

import gzip
import shutil

import numpy as np
import pydicom
import pytest
from lookalike import edit_file, lookalike_description, write_lookalike_tree
from odd_files import compress, cut_preamble, merge_frames, put_text
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEGExtended12Bit,
)

from ldct.common.errors import InputError
from ldct.data.dicom.inventory import index_dataset
from ldct.data.dicom.reading import LOCALIZER, survey_folder
from ldct.data.volumes import load_volume, read_index, write_volume

PATIENT = "L901"
ANY_THICKNESS = {"thickness_mm": None, "kernel": "B30"}
COMPRESSED = (
    "JPEGLosslessProcess14_1",
    "JPEGLosslessProcess14",
    "JPEGLSLossless",
    "JPEG2000Lossless",
    "RLELossless",
)


@pytest.fixture(params=["SIEMENS"])
def tree(tmp_path, request):
    return write_lookalike_tree(tmp_path / "tree", "A", [PATIENT], 4, 32, vendor=request.param)


def files(tree, doses=("full", "quarter")):
    return [path for dose in doses for path in tree.files[PATIENT][dose]]


def make_volume(tree, **changes):
    """Index the tree and write its volume."""
    folder = tree.root.parent
    description = lookalike_description(tree, **changes)
    index_dataset(tree.root, description, folder / "index.parquet", folder / "inventory.md")
    index = read_index(folder / "index.parquet")
    write_volume(index, tree.root, PATIENT, "lookalike", folder / PATIENT)
    return load_volume(folder / PATIENT)


def assert_read_right(tree, **changes):
    volume = make_volume(tree, **changes)
    for dose in ("full", "quarter"):
        np.testing.assert_array_equal(getattr(volume, dose), tree.hu[PATIENT][dose])
    return volume


def refusal(tree, **changes):
    """The one line in which the index refuses the tree."""
    with pytest.raises(InputError) as caught:
        make_volume(tree, **changes)
    assert not (tree.root.parent / "index.parquet").exists()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("doses", [("full",), ("quarter",), ("full", "quarter")])
@pytest.mark.parametrize("tag", ["RescaleIntercept", "RescaleSlope"])
@pytest.mark.parametrize(("value", "word"), [(None, "missing"), ("", "empty")])
def test_missing_rescale_is_an_error_that_names_a_file(tree, doses, tag, value, word):
    for path in files(tree, doses):
        edit_file(path, **{tag: value})
    line = refusal(tree)
    assert f"{len(files(tree, doses))} files refused: {tag} is {word}, expected a number" in line
    assert any(path.name in line for path in files(tree, doses))


@pytest.mark.parametrize("tree", ["SIEMENS", "GE"], indirect=True)
@pytest.mark.parametrize("syntax", COMPRESSED)
def test_compressed_pixels_are_decoded(tree, syntax):
    for path in files(tree):
        compress(path, syntax)
    assert_read_right(tree)


@pytest.mark.parametrize("syntax", COMPRESSED)
def test_broken_compressed_pixels_are_told_by_the_index(tree, syntax):
    path = files(tree)[1]
    compress(path, syntax)
    dataset = pydicom.dcmread(path)
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    dataset.PixelData = encapsulate([frame[: len(frame) // 4 * 2]])
    dataset.save_as(path)
    assert len(make_volume(tree).full) == 3
    inventory = (tree.root.parent / "inventory.md").read_text()
    assert "1 with damaged pixels, left out" in inventory
    assert path.name in inventory


@pytest.mark.parametrize(
    ("syntax", "expected"),
    [
        (HTJ2KLossless, "install pylibjpeg>=2.0 and pylibjpeg-openjpeg>=2.0"),
        (JPEGExtended12Bit, "install pylibjpeg>=2.0 and pylibjpeg-libjpeg>=2.1"),
        ("1.2.840.113619.5.2", "1.2.840.113619.5.2, which is not read"),
        ("1.2.840.10008.1.2.4.100", "MPEG2 Main Profile / Main Level, which is not read"),
    ],
)
def test_pixels_that_nothing_decodes_are_told_with_what_to_install(tree, syntax, expected):
    for path in files(tree):
        dataset = pydicom.dcmread(path)
        dataset.PixelData = encapsulate([b"abcd"])
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = syntax
        pydicom.dcmwrite(path, dataset, implicit_vr=False, little_endian=True)
    line = refusal(tree)
    assert "8 files refused" in line
    assert expected in line


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, None])
def test_other_syntaxes_of_plain_pixels_are_read(tree, syntax):
    for path in files(tree):
        dataset = pydicom.dcmread(path)
        dataset.file_meta.TransferSyntaxUID = syntax
        if syntax is None:
            del dataset.file_meta.TransferSyntaxUID
        implicit = syntax == ImplicitVRLittleEndian
        pydicom.dcmwrite(path, dataset, implicit_vr=implicit, little_endian=True)
    assert_read_right(tree)


@pytest.mark.parametrize(
    ("tag", "text", "expected"),
    [
        ("ImagePositionPatient", "1\\2\\nan", "is '1\\2\\nan', expected 3 numbers"),
        ("ImagePositionPatient", "1\\2", "is '1\\2', expected 3 numbers"),
        ("ImagePositionPatient", "", "is empty, expected 3 numbers"),
        ("ImageOrientationPatient", "1\\0\\0\\0\\1", "expected 6 numbers"),
        ("PixelSpacing", "0,7\\0,7", "is '0,7\\0,7', expected 2 numbers above 0"),
        ("PixelSpacing", "0\\0.7", "is '0\\0.7', expected 2 numbers above 0"),
        ("PixelSpacing", "0.7 mm\\0.7 mm", "expected 2 numbers above 0"),
        ("SliceThickness", "", "is empty, expected a number above 0"),
        ("SliceThickness", "1_0", "is '1_0', expected a number above 0"),
        ("RescaleSlope", "inf", "is 'inf', expected a number"),
        ("RescaleSlope", "0", "is 0, expected a number other than 0"),
        ("InstanceNumber", "12a", "is '12a', expected a whole number"),
        ("AcquisitionNumber", "1.5", "is '1.5', expected a whole number"),
    ],
)
def test_value_that_is_no_number_is_told_once_for_all_files(tree, tag, text, expected):
    for path in files(tree):
        put_text(path, tag, text)
    line = refusal(tree)
    assert line.count("refused") == 1
    assert f"8 files refused: {tag} is" in line
    assert expected in line


def test_odd_value_in_one_file_of_many_is_told(tree):
    put_text(files(tree)[2], "ImagePositionPatient", "1\\2\\1e999")
    line = refusal(tree)
    assert "1 file refused: ImagePositionPatient" in line
    assert files(tree)[2].name in line


@pytest.mark.parametrize("values", [("",), ("0",), ("", "1", "1", "1")])
def test_thickness_that_nobody_asks_for_may_be_missing(tree, values):
    for dose in ("full", "quarter"):
        for number, path in enumerate(files(tree, (dose,))):
            put_text(path, "SliceThickness", values[number % len(values)])
    volume = assert_read_right(tree, series=ANY_THICKNESS)
    assert volume.info["thickness_mm"] == (0.8 if len(values) == 1 else 1.0)


@pytest.mark.parametrize("syntax", [None, *COMPRESSED[::2]])
def test_enhanced_ct_is_read_frame_by_frame(tree, syntax):
    for dose, paths in tree.files[PATIENT].items():
        for path in paths if syntax else []:
            compress(path, syntax)
        merge_frames(paths[::-1], paths[0].with_name(f"{dose}.dcm"))
    volume = assert_read_right(tree)
    assert volume.info["z_mm"] == list(tree.z_mm)
    assert volume.info["instance"] == [4, 3, 2, 1]


FRAMES = "PerFrameFunctionalGroupsSequence"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda it: it[FRAMES].value[2].clear(), "1 frame refused: SliceThickness is missing"),
        (lambda it: it[FRAMES].value.pop(), f"NumberOfFrames is 4, {FRAMES} describes 3"),
        (lambda it: it.pop(FRAMES), f"{FRAMES} is missing"),
        (lambda it: setattr(it, "PixelData", bytes(64)), "of all 4 full-dose slices are damaged"),
    ],
)
def test_enhanced_ct_with_a_fault_is_refused(tree, change, expected):
    path = files(tree)[0].with_name("enhanced.dcm")
    merge_frames(files(tree, ("full",)), path)
    dataset = pydicom.dcmread(path)
    change(dataset)
    dataset.save_as(path)
    line = refusal(tree)
    assert expected in line
    assert "enhanced.dcm" in line


def test_plain_ct_file_with_frames_is_refused(tree):
    merge_frames(files(tree, ("full",)), files(tree)[0].with_name("all.dcm"), enhanced=False)
    assert "1 file refused: NumberOfFrames is 4, expected 1 in a plain CT file" in refusal(tree)


@pytest.mark.parametrize("with_meta", [False, True])
@pytest.mark.parametrize("syntax", [None, "JPEGLosslessProcess14_1"])
def test_files_without_preamble_are_read(tree, with_meta, syntax):
    for path in files(tree):
        if syntax:
            compress(path, syntax)
        cut_preamble(path, with_meta)
    if syntax and not with_meta:
        assert "compressed pixels, but TransferSyntaxUID is missing" in refusal(tree)
    else:
        assert_read_right(tree)


@pytest.mark.parametrize(
    "content", [b"hello", b"", b"\x08\x00", b"\x08\x00junk" * 50, b"PK\x03\x04"]
)
def test_what_merely_looks_like_a_file_without_preamble_is_no_dicom(tree, content):
    for path in files(tree):
        path.write_bytes(content)
    assert f"{PATIENT}: no CT slices; 8 files refused" in refusal(tree)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"Modality": "MR"}, "Modality is MR, expected CT"),
        ({"ImagePositionPatient": None}, "ImagePositionPatient is missing"),
        ({"SamplesPerPixel": 3}, "SamplesPerPixel is 3, expected 1"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "that of a localizer"),
    ],
)
def test_why_files_were_refused_is_told_where_a_patient_has_no_other(tree, tags, expected):
    for path in files(tree):
        edit_file(path, **tags)
    line = refusal(tree)
    assert f"{PATIENT}: no CT slices; 8 files refused" in line
    assert expected in line
    assert "(first: L901/full_1mm/" in line


def test_packed_files_are_hinted_at(tree):
    for path in files(tree):
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert "8 .gz files there: unpack them" in refusal(tree)


@pytest.mark.parametrize(
    ("name", "hint"), [("all.tar", ".tar"), ("L901.tar.gz", ".gz"), ("x.ZIP", ".zip")]
)
def test_packed_folders_are_hinted_at(tree, name, hint):
    shutil.rmtree(tree.root / PATIENT)
    (tree.root / name).write_bytes(b"packed")
    assert f"1 {hint} file there: unpack them" in refusal(tree)


@pytest.mark.parametrize("place", ["L901", "L901/full_1mm"])
def test_links_to_folders_are_followed(tree, place):
    (tree.root / place).rename(tree.root.parent / "elsewhere")
    (tree.root / place).symlink_to(tree.root.parent / "elsewhere")
    assert_read_right(tree)


@pytest.mark.parametrize("target", [".", "..", "../..", "../quarter_1mm"])
def test_links_are_not_followed_in_circles(tree, target):
    (tree.root / PATIENT / "full_1mm" / "again").symlink_to(target)
    (tree.root / PATIENT / "quarter_1mm" / "again").symlink_to("../full_1mm")
    survey = survey_folder(tree.root)
    assert {header.path.split("/")[-1] for header in survey.headers} == {
        path.name for path in files(tree)
    }


def test_localizers_are_left_out_and_listed(tree):
    scout = files(tree)[0].with_name("scout.IMA")
    shutil.copy(files(tree)[0], scout)
    edit_file(scout, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], PixelSpacing=["1", "1"])
    assert_read_right(tree)
    assert survey_folder(tree.root).skipped[LOCALIZER] == ["L901/full_1mm/scout.IMA"]
    assert "1 localizers, in L901/full_1mm (1)" in (tree.root.parent / "inventory.md").read_text()
