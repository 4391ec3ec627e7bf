"""`ldct denoise`: a derived DICOM series that says what it is, and changes nothing else."""

import shutil
import subprocess
from pathlib import Path

import gdcm
import numpy as np
import pydicom
import pytest
from odd_files import compress, merge_frames
from own_scans import PRONE, SECRET, SECRET_DATE, TILTED, WINDOW, write_method, write_scan
from planted.marks import marks_in, plant
from pydicom.sr.codedict import codes


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def pairs(tmp_path: Path, output: str = "out") -> list[tuple[pydicom.Dataset, pydicom.Dataset]]:
    """Each derived slice behind its source, found by the reference that it holds."""
    sources = {each.SOPInstanceUID: each for each in map(pydicom.dcmread, files(tmp_path / "in"))}
    derived = [pydicom.dcmread(path) for path in files(tmp_path / output)]
    return [
        (sources[each.SourceImageSequence[0].ReferencedSOPInstanceUID], each) for each in derived
    ]


def hu(dataset: pydicom.Dataset) -> np.ndarray:
    return dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)


STORED = {
    "plain": {},
    "half HU steps": {"RescaleSlope": "0.5"},
    "signed with padding": {"PixelRepresentation": 1, "BitsStored": 16, "HighBit": 15},
}


@pytest.mark.parametrize("tags", STORED.values(), ids=STORED)
def test_what_no_method_changed_has_the_bits_of_the_source(tmp_path, denoise, tags):
    if "HighBit" in tags:
        tags = tags | {"PixelPaddingValue": 24}  # of the scan's air
    write_scan(tmp_path / "in", **tags)
    assert denoise() == 0
    found = pairs(tmp_path)
    assert len(found) == 3
    assert all(source.PixelData == derived.PixelData for source, derived in found)


@pytest.mark.parametrize("syntax", ["JPEGLosslessProcess14_1", "JPEGLSLossless", "RLELossless"])
def test_compressed_series_come_out_plain_with_the_same_values(tmp_path, denoise, syntax):
    for path in write_scan(tmp_path / "in"):
        compress(path, syntax)
    assert denoise() == 0
    for source, derived in pairs(tmp_path):
        assert not derived.file_meta.TransferSyntaxUID.is_compressed
        np.testing.assert_array_equal(source.pixel_array, derived.pixel_array)


def test_frames_of_an_enhanced_file_become_slices(tmp_path, denoise):
    paths = write_scan(tmp_path / "in")
    wanted = {
        each.ImagePositionPatient[2]: each.pixel_array for each in map(pydicom.dcmread, paths)
    }
    merge_frames(paths, tmp_path / "in/all.dcm")
    assert denoise() == 0
    derived = [pydicom.dcmread(path) for path in files(tmp_path / "out")]
    assert len({each.SOPInstanceUID for each in derived}) == len(wanted) == 3
    for each in derived:
        assert each.SOPClassUID == pydicom.uid.CTImageStorage
        assert "PerFrameFunctionalGroupsSequence" not in each
        np.testing.assert_array_equal(each.pixel_array, wanted[each.ImagePositionPatient[2]])
        assert (each.SliceThickness, each.ConvolutionKernel) == (3, "B30f")


@pytest.mark.parametrize("method", ["mine", "tv"])
def test_a_method_changes_what_it_takes_in_and_nothing_else(tmp_path, denoise, method):
    write_scan(tmp_path / "in", PixelPaddingValue=1050)  # the stored twin of 26 HU
    assert denoise(method) == 0
    for source, derived in pairs(tmp_path):
        before, after = hu(source), hu(derived)
        kept = source.pixel_array == 1050
        if method == "mine":
            kept |= (before < WINDOW[0]) | (before > WINDOW[1])
        np.testing.assert_array_equal(after[kept], before[kept])
        assert np.mean(after[~kept] != before[~kept]) > 0.5
        assert not np.any(derived.pixel_array[~kept] == 1050)


def test_values_beyond_the_stored_range_are_clipped_and_told(tmp_path, denoise, capsys):
    code = "def denoise(slice_hu, parameters):\n    return slice_hu + 200.0\n"
    own = write_method(tmp_path / "own", "brighter", code, kind="classical")
    write_scan(tmp_path / "in")
    assert denoise("brighter", "in", "out", "--path", str(own)) == 0
    assert "15 pixels clipped" in capsys.readouterr().err
    for source, derived in pairs(tmp_path):
        wanted = np.minimum(hu(source) + 200, 3071)
        np.testing.assert_array_equal(hu(derived), wanted)


def test_a_derived_slice_says_what_it_is(tmp_path, denoise):
    write_scan(tmp_path / "in")
    assert denoise("mine") == 0
    for source, derived in pairs(tmp_path):
        assert derived.ImageType == ["DERIVED", "SECONDARY", "AXIAL"]
        assert derived.file_meta.MediaStorageSOPInstanceUID == derived.SOPInstanceUID
        for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "SeriesNumber"):
            assert derived[keyword].value != source[keyword].value
        for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "InstanceNumber"):
            assert derived[keyword].value == source[keyword].value
        (reference,) = derived.SourceImageSequence
        (equipment,) = derived.ContributingEquipmentSequence
        assert reference.ReferencedSOPClassUID == source.SOPClassUID
        for item, code in (
            (reference.PurposeOfReferenceCodeSequence[0], ("7202", "121322")),
            (derived.DerivationCodeSequence[0], ("7203", "113087")),
            (equipment.PurposeOfReferenceCodeSequence[0], ("7005", "109102")),
        ):
            standard = {
                each.value: each.meaning
                for each in getattr(codes, f"cid{code[0]}").concepts.values()
            }
            assert (item.CodeValue, item.CodingSchemeDesignator) == (code[1], "DCM")
            assert item.CodeMeaning == standard[code[1]]
        assert equipment.Manufacturer == "LDCT-Cascade" != derived.Manufacturer
        assert "not for diagnosis" in derived.DerivationDescription
        assert derived.BurnedInAnnotation == "NO"


def test_no_private_group_and_no_text_or_date_of_the_source_is_left(tmp_path, denoise):
    write_scan(tmp_path / "in")
    assert denoise() == 0
    written = files(tmp_path / "out")
    assert len(written) == 3
    for path in written:
        content = path.read_bytes()
        assert SECRET.encode() not in content and SECRET_DATE.encode() not in content
        dataset = pydicom.dcmread(path)
        assert not any(element.tag.is_private for element in dataset.iterall())


# Of the confidentiality profile, what a series shares with its study, or is the acquisition's.
SHARED = {"PatientName", "PatientID", "PatientBirthDate", "StudyInstanceUID", "StudyDate"}
SHARED |= {"StudyTime", "StudyID", "AccessionNumber", "FrameOfReferenceUID", "ContrastBolusAgent"}


def test_of_the_confidentiality_profile_only_the_study_s_attributes_are_handed_on(
    tmp_path, denoise
):
    for path in write_scan(tmp_path / "in"):
        plant(path)
    assert denoise() == 0
    for path in files(tmp_path / "out"):
        marked = {
            element.keyword
            for element in pydicom.dcmread(path).iterall()
            if marks_in(f" {element.value}".encode())
        }
        assert marked == SHARED | {"ReferencedSOPInstanceUID", "SourceImageSequence"}
        meta = pydicom.dcmread(path).file_meta
        assert not any(marks_in(f" {element.value}".encode()) for element in meta)


def test_uids_are_the_same_again_and_others_for_another_method(tmp_path, denoise):
    write_scan(tmp_path / "in")
    for method, output in (("mine", "one"), ("mine", "two"), ("low_dose", "three")):
        assert denoise(method, "in", output) == 0
    one, two, three = (files(tmp_path / name) for name in ("one", "two", "three"))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]
    uids = [pydicom.dcmread(path).SOPInstanceUID for path in one + three]
    assert len(set(uids)) == 6 and all(uid.is_valid for uid in uids)
    assert len({pydicom.dcmread(path).SeriesInstanceUID for path in one + three}) == 2


@pytest.mark.parametrize(
    "tags",
    [
        {"ImageOrientationPatient": PRONE, "PatientPosition": "FFP"},
        {"ImageOrientationPatient": TILTED, "GantryDetectorTilt": "15"},
    ],
    ids=["prone, feet first", "tilted"],
)
def test_geometry_is_the_source_s_for_another_dicom_library(tmp_path, denoise, tags):
    """GDCM shares no code with pydicom, which wrote the files."""
    write_scan(tmp_path / "in", **tags)
    assert denoise() == 0
    for source, derived in pairs(tmp_path):
        one, other = (geometry(Path(each.filename)) for each in (source, derived))
        assert one == other
        assert derived.PatientPosition == source.PatientPosition


def geometry(path: Path) -> tuple:
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    image = reader.GetImage()
    rescale = image.GetSlope(), image.GetIntercept()
    grid = image.GetOrigin(), image.GetDirectionCosines(), image.GetSpacing()
    return *map(tuple, grid), rescale, image.GetDimensions(), image.GetBuffer()


def test_every_series_of_a_folder_keeps_its_place(tmp_path, denoise, capsys):
    write_scan(tmp_path / "in/a", "P1")
    write_scan(tmp_path / "in/b", "P22", slices=2)
    mixed = tmp_path / "in/mixed"
    mixed.mkdir()
    for patient in ("P333", "P4444"):
        for path in write_scan(tmp_path / "more", patient):
            shutil.move(path, mixed / path.name)
        shutil.rmtree(tmp_path / "more")
    sources = [path.relative_to(tmp_path / "in") for path in files(tmp_path / "in")]
    scout = pydicom.dcmread(tmp_path / "in" / sources[0])
    scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    scout.save_as(tmp_path / "in/scout.dcm")
    (tmp_path / "in/report.pdf").write_bytes(b"%PDF")
    assert denoise() == 0
    shown = capsys.readouterr().err
    assert "series 4 of 4" in shown
    assert "localizer" in shown and "report.pdf" in shown
    assert shown.lower().count("not for diagnosis") == 1
    assert [path.relative_to(tmp_path / "out") for path in files(tmp_path / "out")] == sources
    derived = [pydicom.dcmread(path) for path in files(tmp_path / "out")]
    assert len({each.SeriesInstanceUID for each in derived}) == 4


def test_nothing_is_overwritten_and_nothing_half_written(tmp_path, denoise, capsys):
    write_scan(tmp_path / "in/a")
    damaged = write_scan(tmp_path / "in/b", "P22")[0]
    kept = tmp_path / "out/kept.txt"
    kept.parent.mkdir()
    kept.write_text("mine")
    assert denoise() == 1
    assert "is there already" in capsys.readouterr().err
    assert files(tmp_path / "out") == [kept]
    assert denoise("low_dose", "in", "in/out") == 1
    assert "lies in the input" in capsys.readouterr().err
    dataset = pydicom.dcmread(damaged)
    dataset.PixelData = dataset.PixelData[:100]
    dataset.save_as(damaged)
    assert denoise("low_dose", "in", "new") == 1
    assert damaged.name in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"in", "out"}


@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="dicom3tools not found")
def test_a_validator_finds_nothing_that_the_source_lacks(tmp_path, denoise):
    write_scan(tmp_path / "in")
    assert denoise("mine") == 0
    for source, derived in pairs(tmp_path):
        before, after = (complaints(each.filename) for each in (source, derived))
        assert not [line for line in after if line.startswith("Error")]
        assert after <= before


def complaints(path: str) -> set[str]:
    told = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False)
    return {line for line in told.stderr.splitlines() if line.startswith(("Error", "Warning"))}
