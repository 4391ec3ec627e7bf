"""Write CT slices as DICOM in the conventions of the AAPM/Mayo 2016 data (docs/data.md)."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from ldct.data.dicom.hounsfield import LOWEST_HU, clip_hu

Dose = Literal["full", "quarter"]
DOSE_CODES = {"full": "FD", "quarter": "QD"}
SERIES_NUMBERS = {"full": 1, "quarter": 2}
# Fixed, so that the bytes depend neither on the day nor on the installed DICOM library.
DATE, TIME = "20000101", "000000"
IMPLEMENTATION_UID = "1.2.826.0.1.3680043.8.498.1"


@dataclass(frozen=True)
class Scan:
    """One CT scan.

    hu : HU, `[slice, row, column]`; slices by ascending z, rows towards posterior, columns towards
        the patient's left (DICOM axial identity orientation).
    z_mm : slice positions, ascending. origin_mm : (x, y) of the centre of column 0 and row 0.
    pixel_mm : (row, column) spacing. thickness_mm : slice thickness; kernel : as the scanner
        named it, `UNKNOWN` where the source does not say. description : one line for reports.
    """

    hu: np.ndarray
    z_mm: Sequence[float]
    origin_mm: tuple[float, float]
    pixel_mm: tuple[float, float]
    thickness_mm: float
    kernel: str
    description: str = ""


def write_series(scan: Scan, patient: str, dose: Dose, folder: Path) -> list[Path]:
    """Write one series as `.IMA` files; their paths, in the order of the slices.

    The same arguments give the same bytes. No identifying tag is written: the patient code stands
    in PatientName, `Anonymous` in PatientID, as in the AAPM files. HU are rounded and clipped to
    the 12-bit range [-1024, 3071].

    folder : of the patient; the series gets a folder in it, `full_1mm` or `quarter_1mm`.
    """
    whole_mm = max(1, int(scan.thickness_mm + 0.5))  # what names say of 2.5 mm: 3
    folder = folder / f"{dose}_{whole_mm}mm"
    folder.mkdir(parents=True)
    code = f"{patient}_{DOSE_CODES[dose]}_{whole_mm}"
    common = _common_tags(scan, code, dose)
    paths = []
    for index, slice_hu in enumerate(scan.hu):
        instance = len(scan.hu) - index  # rises as z falls
        paths.append(folder / _file_name(code, dose, instance))
        position = (*scan.origin_mm, scan.z_mm[index])
        dataset = _slice_dataset(common, slice_hu, position, instance, code)
        dataset.save_as(paths[-1], enforce_file_format=True)
    return paths


def _file_name(code: str, dose: Dose, instance: int) -> str:
    """`L506_FD_1_1.CT.0001.0087.<date and time>.<two numbers>.IMA`."""
    digest = hashlib.sha256(f"{code} {instance}".encode()).digest()
    first = int.from_bytes(digest[:4], "big") % 10**6
    second = int.from_bytes(digest[4:8], "big") % 10**9
    date = f"{DATE[:4]}.{DATE[4:6]}.{DATE[6:]}.{TIME[:2]}.{TIME[2:4]}.{TIME[4:]}"
    series = SERIES_NUMBERS[dose]
    return f"{code}_1.CT.{series:04d}.{instance:04d}.{date}.{first:06d}.{second:09d}.IMA"


def _common_tags(scan: Scan, code: str, dose: Dose) -> Dataset:
    """Tags that all slices of one series share."""
    common = Dataset()
    common.SOPClassUID = CTImageStorage
    common.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    common.StudyDate = common.SeriesDate = common.AcquisitionDate = common.ContentDate = DATE
    common.StudyTime = common.SeriesTime = common.AcquisitionTime = common.ContentTime = TIME
    common.Modality = "CT"
    common.Manufacturer = ""
    common.PatientName = code
    common.PatientID = "Anonymous"
    common.PatientIdentityRemoved = "YES"
    common.PatientPosition = "FFS"
    common.SliceThickness = _decimal(scan.thickness_mm)
    common.ConvolutionKernel = scan.kernel
    common.StudyInstanceUID = generate_uid(entropy_srcs=["study", code])
    common.SeriesInstanceUID = generate_uid(entropy_srcs=["series", code])
    common.FrameOfReferenceUID = generate_uid(entropy_srcs=["frame", code])
    common.SeriesNumber = SERIES_NUMBERS[dose]
    common.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    common.SamplesPerPixel = 1
    common.PhotometricInterpretation = "MONOCHROME2"
    common.PixelSpacing = [_decimal(value) for value in scan.pixel_mm]
    common.BitsAllocated, common.BitsStored, common.HighBit = 16, 12, 11
    common.PixelRepresentation = 0
    common.RescaleIntercept, common.RescaleSlope = str(LOWEST_HU), "1"
    common.RescaleType = "HU"
    common.WindowCenter, common.WindowWidth = ["40", "-600"], ["400", "1500"]
    return common


def _slice_dataset(
    common: Dataset,
    slice_hu: np.ndarray,
    position: tuple[float, float, float],
    instance: int,
    code: str,
) -> Dataset:
    dataset = Dataset()
    dataset.update(common)
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=["slice", code, str(instance)])
    dataset.InstanceNumber = instance
    dataset.ImagePositionPatient = [_decimal(value) for value in position]
    dataset.SliceLocation = _decimal(-position[2])
    dataset.Rows, dataset.Columns = slice_hu.shape
    stored = clip_hu(slice_hu) - LOWEST_HU
    dataset.PixelData = stored.astype("<u2").tobytes()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.ImplementationClassUID = IMPLEMENTATION_UID
    dataset.file_meta.ImplementationVersionName = "LDCT-CASCADE"
    return dataset


def _decimal(value: float) -> str:
    """A DICOM decimal string: at most 16 characters, the same for both doses."""
    return f"{float(value):.10g}"
