"""Write CT slices as DICOM in the conventions of the AAPM/Mayo 2016 data (docs/data.md)."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from ldct.common.errors import InputError
from ldct.common.files import atomic_folder
from ldct.data.dicom.hounsfield import AIR_HU, UPPER_HU

Dose = Literal["full", "quarter"]
DOSE_CODES = {"full": "FD", "quarter": "QD"}
SERIES_NUMBERS = {"full": 1, "quarter": 2}
# Exposure says nothing about the dose in the AAPM data: both doses carry the same values.
ACQUISITION_TAGS = ("KVP", "XRayTubeCurrent", "Exposure", "CTDIvol")
# Fixed, so that the bytes depend neither on the day nor on the installed DICOM library.
DATE, TIME = "20000101", "000000"
IMPLEMENTATION_UID = "1.2.826.0.1.3680043.8.498.1"


def series_folder(root: str | Path, patient: str, dose: Dose, thickness_code: int) -> Path:
    """Folder of a series in layout A: `<root>/<patient>/<dose>_<thickness>mm`."""
    return Path(root) / patient / f"{dose}_{thickness_code}mm"


def thickness_code(thickness_mm: float) -> int:
    """Whole millimetres that stand for a slice thickness in file and folder names (2.5 -> 3)."""
    return max(1, int(thickness_mm + 0.5))


def write_series(
    scan_hu: np.ndarray,
    *,
    z_mm: Sequence[float],
    origin_mm: Sequence[float],
    pixel_mm: Sequence[float],
    thickness_mm: float,
    kernel: str,
    patient: str,
    dose: Dose,
    thickness_code: int,
    folder: str | Path,
    sharp: bool = False,
    acquisition: Mapping[str, float] | None = None,
    derivation: str | None = None,
) -> list[Path]:
    """Write one series as `.IMA` files into `folder`; the paths, in the order of `scan_hu`.

    The folder appears whole or not at all, and replaces one that is there. The same arguments
    give the same bytes. No identifying tag is written: the patient code stands in PatientName,
    `Anonymous` in PatientID, as in the AAPM files.

    scan_hu : HU, `[slice, row, column]`, slices by ascending z; rounded and clipped to the
        12-bit range [-1024, 3071].
    z_mm, origin_mm, pixel_mm, thickness_mm, kernel : geometry as in `volume.json`.
    thickness_code, sharp : parts of the names (`L506_FD_1_SHARP`).
    acquisition : values of KVP, XRayTubeCurrent, Exposure, CTDIvol; the same for both doses.
    derivation : how the pixels were made, when they are not the scanner's (simulated dose).

    Raises InputError when the positions do not match the slices or do not ascend.
    """
    if scan_hu.ndim != 3 or len(z_mm) != len(scan_hu) or np.any(np.diff(z_mm) <= 0):
        raise InputError(
            f"{patient} {dose}: {len(z_mm)} positions for an array of shape {scan_hu.shape}; "
            f"expected one ascending z per slice"
        )
    folder = Path(folder)
    code = f"{patient}_{DOSE_CODES[dose]}_{thickness_code}" + ("_SHARP" if sharp else "")
    common = _common_tags(code, dose, pixel_mm, thickness_mm, kernel, acquisition, derivation)
    count = len(scan_hu)
    names = []
    with atomic_folder(folder) as temporary:
        for index, slice_hu in enumerate(scan_hu):
            instance = count - index  # rises as z falls
            name = _file_name(code, dose, instance)
            position = (origin_mm[0], origin_mm[1], z_mm[index])
            dataset = _slice_dataset(common, slice_hu, position, instance, code)
            dataset.save_as(temporary / name, enforce_file_format=True)
            names.append(name)
    return [folder / name for name in names]


def _file_name(code: str, dose: Dose, instance: int) -> str:
    """`L506_FD_1_1.CT.0001.0087.<date and time>.<two numbers>.IMA`."""
    digest = hashlib.sha256(f"{code} {instance}".encode()).digest()
    first = int.from_bytes(digest[:4], "big") % 10**6
    second = int.from_bytes(digest[4:8], "big") % 10**9
    date = f"{DATE[:4]}.{DATE[4:6]}.{DATE[6:]}.{TIME[:2]}.{TIME[2:4]}.{TIME[4:]}"
    series = SERIES_NUMBERS[dose]
    return f"{code}_1.CT.{series:04d}.{instance:04d}.{date}.{first:06d}.{second:09d}.IMA"


def _common_tags(
    code: str,
    dose: Dose,
    pixel_mm: Sequence[float],
    thickness_mm: float,
    kernel: str,
    acquisition: Mapping[str, float] | None,
    derivation: str | None,
) -> Dataset:
    """Tags that all slices of one series share."""
    common = Dataset()
    common.SOPClassUID = CTImageStorage
    common.ImageType = ["DERIVED" if derivation else "ORIGINAL", "PRIMARY", "AXIAL"]
    if derivation:
        common.DerivationDescription = derivation
    common.StudyDate = common.SeriesDate = common.AcquisitionDate = common.ContentDate = DATE
    common.StudyTime = common.SeriesTime = common.AcquisitionTime = common.ContentTime = TIME
    common.Modality = "CT"
    common.Manufacturer = ""
    common.PatientName = code
    common.PatientID = "Anonymous"
    common.PatientIdentityRemoved = "YES"
    common.PatientPosition = "FFS"
    common.SliceThickness = _decimal(thickness_mm)
    common.ConvolutionKernel = kernel
    for tag in ACQUISITION_TAGS:
        if acquisition and tag in acquisition:
            setattr(common, tag, acquisition[tag])
    common.StudyInstanceUID = generate_uid(entropy_srcs=["study", code])
    common.SeriesInstanceUID = generate_uid(entropy_srcs=["series", code])
    common.FrameOfReferenceUID = generate_uid(entropy_srcs=["frame", code])
    common.SeriesNumber = SERIES_NUMBERS[dose]
    common.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    common.SamplesPerPixel = 1
    common.PhotometricInterpretation = "MONOCHROME2"
    common.PixelSpacing = [_decimal(value) for value in pixel_mm]
    common.BitsAllocated, common.BitsStored, common.HighBit = 16, 12, 11
    common.PixelRepresentation = 0
    common.RescaleIntercept, common.RescaleSlope = str(AIR_HU), "1"
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
    stored = np.clip(np.rint(slice_hu), AIR_HU, UPPER_HU) - AIR_HU
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
