"""Written DICOM files look like those of the AAPM data (docs/data.md)."""

import re

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ldct.data.dicom.aapm_writer import Scan, write_series
from ldct.data.dicom.inventory import index_dataset
from ldct.data.volumes import load_volume, read_index, write_volume

FILE_NAME = re.compile(r"(L\d{3})_(FD|QD)_([13])(_SHARP)?_1\.CT\.(\d{4})\.(\d{4})\.")
# Direct identifiers of the DICOM confidentiality profile that CT headers often hold.
IDENTIFYING = (
    *("PatientBirthDate", "PatientAddress", "PatientTelephoneNumbers", "OtherPatientIDs"),
    *("PatientAge", "PatientSex", "PatientWeight", "PatientSize", "AccessionNumber"),
    *("ReferringPhysicianName", "RequestingPhysician", "PerformingPhysicianName"),
    *("OperatorsName", "InstitutionName", "InstitutionAddress", "StationName"),
    *("DeviceSerialNumber", "StudyDescription", "SeriesDescription"),
)


def write(folder, hu, dose="full"):
    z_mm = [-300.0 + 0.8 * index for index in range(len(hu))]
    scan = Scan(hu, z_mm, (-190.0, -180.5), (0.742, 0.75), thickness_mm=1.0, kernel="B30f")
    return write_series(scan, "L506", dose, folder)


@pytest.fixture
def hu():
    return np.random.default_rng(0).integers(-1024, 3072, (3, 6, 5)).astype(np.int16)


def test_files_have_the_conventions_of_the_aapm_data(tmp_path, hu):
    paths = write(tmp_path, hu, "quarter")
    for index, path in enumerate(paths):
        name = FILE_NAME.match(path.name)
        assert name.groups()[:4] == ("L506", "QD", "1", None)
        assert (path.parent, path.suffix) == (tmp_path / "quarter_1mm", ".IMA")
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


@settings(max_examples=20, deadline=None)
@given(arrays(np.int16, (2, 3, 4), elements=st.integers(-1024, 3071)))
def test_pixels_survive_the_round_trip(tmp_path_factory, hu):
    paths = write(tmp_path_factory.mktemp("round"), hu)
    for expected, path in zip(hu, paths, strict=True):
        dataset = pydicom.dcmread(path)
        stored = dataset.pixel_array.astype(int)
        np.testing.assert_array_equal(
            stored * dataset.RescaleSlope + dataset.RescaleIntercept, expected
        )


def test_values_outside_twelve_bits_are_clipped_and_fractions_rounded(tmp_path):
    hu = np.array([[[-3024.0, 5000.0, 40.6]]])
    dataset = pydicom.dcmread(write(tmp_path, hu)[0])
    np.testing.assert_array_equal(dataset.pixel_array, [[0, 4095, 1065]])


def test_written_patient_is_read_back_by_the_reader_of_real_data(tmp_path, hu):
    doses = {"full": hu, "quarter": hu[:, ::-1]}
    for dose, image in doses.items():
        write(tmp_path / "dicom/L506", image, dose)
    series = {"thickness_mm": 1.0, "kernel": "B30"}
    description = {"title": "", "series": series, "patients": {"L506": {}}}
    index_dataset(tmp_path / "dicom", description, tmp_path / "i.parquet", tmp_path / "i.md")
    index = read_index(tmp_path / "i.parquet")
    write_volume(index, tmp_path / "dicom", "L506", "aapm", tmp_path / "volume")
    volume = load_volume(tmp_path / "volume")
    np.testing.assert_array_equal(volume.full, doses["full"])
    np.testing.assert_array_equal(volume.quarter, doses["quarter"])
    assert volume.info["z_mm"] == pytest.approx([-300.0, -299.2, -298.4])
    assert volume.info["origin_mm"] == [-190.0, -180.5]
    assert volume.info["pixel_mm"] == [0.742, 0.75]
