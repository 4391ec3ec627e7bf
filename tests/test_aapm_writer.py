"""Written DICOM files look like those of the AAPM data (docs/data.md)."""

import re

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ldct.data.aapm_writer import series_folder, thickness_code, write_series
from ldct.data.inventory import index_dataset
from ldct.data.volumes import load_volume, read_index, write_volume
from ldct.errors import InputError

FILE_NAME = re.compile(r"(L\d{3})_(FD|QD)_([13])(_SHARP)?_1\.CT\.(\d{4})\.(\d{4})\.")
# Direct identifiers of the DICOM confidentiality profile that CT headers often hold.
IDENTIFYING = (
    *("PatientBirthDate", "PatientAddress", "PatientTelephoneNumbers", "OtherPatientIDs"),
    *("PatientAge", "PatientSex", "PatientWeight", "PatientSize", "AccessionNumber"),
    *("ReferringPhysicianName", "RequestingPhysician", "PerformingPhysicianName"),
    *("OperatorsName", "InstitutionName", "InstitutionAddress", "StationName"),
    *("DeviceSerialNumber", "StudyDescription", "SeriesDescription"),
)


def write(folder, hu, dose="full", **changes):
    geometry = {
        "z_mm": [-300.0 + 0.8 * index for index in range(len(hu))],
        "origin_mm": (-190.0, -180.5),
        "pixel_mm": (0.742, 0.75),
        "thickness_mm": 1.0,
        "kernel": "B30f",
        "patient": "L506",
        "thickness_code": 1,
    }
    return write_series(hu, dose=dose, folder=folder, **(geometry | changes))


@pytest.fixture
def hu():
    return np.random.default_rng(0).integers(-1024, 3072, (3, 6, 5)).astype(np.int16)


def test_files_have_the_conventions_of_the_aapm_data(tmp_path, hu):
    folder = series_folder(tmp_path, "L506", "quarter", 1)
    assert folder == tmp_path / "L506" / "quarter_1mm"
    paths = write(folder, hu, "quarter")
    for index, path in enumerate(paths):
        name = FILE_NAME.match(path.name)
        assert name.groups()[:4] == ("L506", "QD", "1", None)
        assert path.suffix == ".IMA"
        dataset = pydicom.dcmread(path)
        assert int(name[6]) == dataset.InstanceNumber == len(hu) - index
        assert dataset.PatientName == "L506_QD_1"
        assert dataset.PatientID == "Anonymous"
        assert dataset.PatientPosition == "FFS"
        assert dataset.ImagePositionPatient == [-190.0, -180.5, -300.0 + 0.8 * index]
        assert dataset.SliceLocation == -dataset.ImagePositionPatient[2]
        assert dataset.PixelSpacing == [0.742, 0.75]
        assert (dataset.SliceThickness, dataset.ConvolutionKernel) == (1.0, "B30f")
        assert (dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit) == (16, 12, 11)
        assert dataset.PixelRepresentation == 0
        assert (dataset.RescaleSlope, dataset.RescaleIntercept) == (1, -1024)
        assert "PixelPaddingValue" not in dataset
        assert not dataset.file_meta.TransferSyntaxUID.is_compressed


def test_no_identifying_tag_is_written(tmp_path, hu):
    for path in write(tmp_path / "series", hu):
        dataset = pydicom.dcmread(path)
        assert [keyword for keyword in IDENTIFYING if keyword in dataset] == []
        assert dataset.PatientIdentityRemoved == "YES"


def test_doses_differ_in_uids_and_name_only(tmp_path, hu):
    acquisition = {"KVP": 120, "XRayTubeCurrent": 300, "Exposure": 200, "CTDIvol": 9.5}
    full = write(tmp_path / "full", hu, "full", acquisition=acquisition)[0]
    quarter = write(tmp_path / "quarter", hu, "quarter", acquisition=acquisition)[0]
    one, other = pydicom.dcmread(full), pydicom.dcmread(quarter)
    different = {element.keyword for element in one if other.get(element.tag) != element}
    assert {"StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"} <= different
    assert different <= {
        *("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID"),
        *("PatientName", "SeriesNumber"),
    }


@settings(max_examples=20, deadline=None)
@given(arrays(np.int16, (2, 3, 4), elements=st.integers(-1024, 3071)))
def test_pixels_survive_the_round_trip(tmp_path_factory, hu):
    paths = write(tmp_path_factory.mktemp("round") / "series", hu)
    for expected, path in zip(hu, paths, strict=True):
        dataset = pydicom.dcmread(path)
        stored = dataset.pixel_array.astype(int)
        np.testing.assert_array_equal(
            stored * dataset.RescaleSlope + dataset.RescaleIntercept, expected
        )


def test_values_outside_twelve_bits_are_clipped_and_fractions_rounded(tmp_path):
    hu = np.array([[[-3024.0, 5000.0, 40.6]]])
    dataset = pydicom.dcmread(write(tmp_path / "series", hu)[0])
    np.testing.assert_array_equal(dataset.pixel_array, [[0, 4095, 1065]])


def test_same_input_gives_same_bytes(tmp_path, hu):
    first = write(tmp_path / "first", hu)
    second = write(tmp_path / "second", hu)
    assert [path.name for path in first] == [path.name for path in second]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_sharp_series_and_derivation_are_named(tmp_path, hu):
    path = write(tmp_path / "s", hu, sharp=True, kernel="D45f", derivation="simulated")[0]
    assert FILE_NAME.match(path.name)[4] == "_SHARP"
    dataset = pydicom.dcmread(path)
    assert dataset.PatientName == "L506_FD_1_SHARP"
    assert dataset.ImageType[0] == "DERIVED"
    assert dataset.DerivationDescription == "simulated"


def test_rewriting_replaces_the_folder_and_failure_keeps_it(tmp_path, hu):
    folder = tmp_path / "series"
    write(folder, hu)
    assert len(list(write(folder, hu[:2])[0].parent.iterdir())) == 2
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(TypeError):
        write(folder, hu, pixel_mm=(None, None))
    assert sorted(path.name for path in folder.iterdir()) == before
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("z_mm", [[0.0, 1.0], [0.0, 2.0, 1.0], [0.0, 0.0, 1.0]])
def test_positions_must_ascend_one_per_slice(tmp_path, hu, z_mm):
    with pytest.raises(InputError, match="ascending z"):
        write(tmp_path / "series", hu, z_mm=z_mm)


@pytest.mark.parametrize(
    ("thickness_mm", "code"), [(1.0, 1), (3.0, 3), (2.5, 3), (5.0, 5), (0.4, 1)]
)
def test_thickness_code(thickness_mm, code):
    assert thickness_code(thickness_mm) == code


def test_written_patient_is_read_back_by_the_reader_of_real_data(tmp_path, hu):
    doses = {"full": hu, "quarter": hu[:, ::-1]}
    for dose, image in doses.items():
        write(series_folder(tmp_path / "dicom", "L506", dose, 1), image, dose)
    description = {"series": {"thickness_mm": 1.0, "kernel": "B30"}, "patients": {"L506": {}}}
    index_dataset(tmp_path / "dicom", description, tmp_path / "i.parquet", tmp_path / "i.md")
    index = read_index(tmp_path / "i.parquet")
    write_volume(index, tmp_path / "dicom", "L506", "aapm", tmp_path / "volume")
    volume = load_volume(tmp_path / "volume")
    np.testing.assert_array_equal(volume.full, doses["full"])
    np.testing.assert_array_equal(volume.quarter, doses["quarter"])
    assert volume.info["z_mm"] == pytest.approx([-300.0, -299.2, -298.4])
    assert volume.info["origin_mm"] == [-190.0, -180.5]
    assert volume.info["pixel_mm"] == [0.742, 0.75]
