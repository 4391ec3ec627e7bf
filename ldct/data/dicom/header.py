"""The header of one CT slice: what is read of it, and why it may not be used."""

import math
from dataclasses import dataclass
from pathlib import PurePosixPath

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import UID, CTImageStorage

from ldct.data.dicom import naming
from ldct.data.dicom.hounsfield import padding_value
from ldct.data.dicom.listing import METADATA_NAME
from ldct.data.dicom.pixel_tags import ENHANCED, PER_FRAME, SHARED, check_pixels
from ldct.data.dicom.values import HeaderError, is_empty, number, numbers, whole, words
from ldct.data.orientation import along_normal

LOCATION_PARTS = 3  # patient / study / series: what TCIA paths have in common on every disk
FRAME = "#"  # between the path of a file with several slices and the number of one, from 1
NOT_DICOM, NOT_A_SLICE, UNREADABLE = "not DICOM", "DICOM, not a CT slice", "refused"
LOCALIZER = "localizers"
LARGEST_SIDE = 8192  # pixels
CT_CLASSES = {CTImageStorage, *ENHANCED}
LOCALIZER_WORDS = {"LOCALIZER", "SCOUT", "TOPOGRAM", "SCANOGRAM", "SCANOSCOPE", "SURVIEW"}
HEADER_TAGS = (
    "SOPClassUID",
    "ImageType",
    "Modality",
    "PatientName",
    "PatientID",
    "SeriesDescription",
    "SliceThickness",
    "ConvolutionKernel",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "InstanceNumber",
    "AcquisitionNumber",
    "SeriesInstanceUID",
    "RescaleSlope",
    "RescaleIntercept",
    "PixelPaddingValue",
    "PixelRepresentation",
    SHARED,
    PER_FRAME,
)


@dataclass(frozen=True)
class SliceHeader:
    """What the header, the name and the place of one CT slice say; no identifying tag.

    path : relative to the searched folder, with `/`; `#3` at its end is frame 3 of that file.
    patient, dose : None where nothing tells. thickness_mm : NaN where the file does not say.
    position_mm : centre of the first pixel (x, y, z). orientation : row and column cosines.
    pixel_mm : (row, column) spacing. acquisition : AcquisitionNumber, None where empty.
    series : SeriesInstanceUID, of which no more than the end is ever shown. described :
    SeriesDescription, never shown.
    conflicts : sources that contradict each other.
    """

    path: str
    patient: str | None
    dose: str | None
    thickness_mm: float
    kernel: str
    position_mm: tuple[float, float, float]
    orientation: tuple[float, ...]
    pixel_mm: tuple[float, float]
    rows: int
    columns: int
    instance: int
    slope: float
    intercept: float
    padding: int | None
    acquisition: int | None = None
    series: str = ""
    described: str = ""
    conflicts: tuple[str, ...] = ()

    @property
    def z_mm(self) -> float:
        """Slice position along the patient axis, in mm."""
        return self.position_mm[2]

    @property
    def along_mm(self) -> float:
        """Slice position across its plane, in mm: z, but with a tilted gantry."""
        return along_normal(self.position_mm, self.orientation)


@dataclass(frozen=True)
class Refusal:
    """Why one file, or frame, gives no slice.

    kind : NOT_DICOM, NOT_A_SLICE, LOCALIZER or UNREADABLE. field : what equal reasons share;
    why : found and expected, in words. patient : by the names, None where nothing tells.
    thickness_mm, kernel, series, described : of its series, as far as the header tells them.
    """

    path: str
    kind: str
    field: str
    why: str
    patient: str | None = None
    thickness_mm: float | None = None
    kernel: str = ""
    series: str = ""
    described: str = ""


Named = dict[str, naming.Names]  # what file, folder, header and description say, by source


def slices_of(
    dataset: Dataset, path: str, described: naming.Described, any_thickness: bool
) -> list[SliceHeader | Refusal]:
    """The slices of one file, or why they are none.

    any_thickness : SliceThickness may be empty.
    """
    named = file_names(dataset, path, described)
    try:
        if refused := _why_no_slice(dataset):
            return [Refusal(path, *refused, patient_of(named))]
        frames = check_pixels(dataset)
        if not frames:
            return [_slice_header(dataset, path, named, any_thickness)]
    except HeaderError as error:
        return [_refusal(dataset, error, path, named)]
    return [_frame(dataset, frame, path, named, any_thickness) for frame in range(1, frames + 1)]


def frame_dataset(dataset: Dataset, frame: int) -> Dataset:
    """The header of one frame (from 1) of an Enhanced CT file as that of a file of its own."""
    flat = Dataset()
    for keyword in HEADER_TAGS:
        if keyword in dataset:
            flat[keyword] = dataset[keyword]
    for groups in (*(dataset.get(SHARED) or [])[:1], dataset[PER_FRAME].value[frame - 1]):
        for group in groups:
            if group.VR == "SQ" and group.value:
                flat.update(group.value[0])
    told = {
        "NumberOfFrames": 1,
        "AcquisitionNumber": flat.get("FrameAcquisitionNumber"),
        "ImageType": flat.get("FrameType"),
        "InstanceNumber": frame if len(dataset[PER_FRAME].value) > 1 else None,
    }
    for keyword, value in told.items():
        if value is not None:
            flat[keyword] = DataElement(keyword, dictionary_VR(keyword), value)
    return flat


def file_names(dataset: Dataset, path: str, described: naming.Described) -> Named:
    """Patient and dose as description, header, path and metadata tell them, most trusted first."""
    folders = PurePosixPath(path).parent.parts
    patient_id, series = (str(dataset.get(tag) or "") for tag in ("PatientID", "SeriesDescription"))
    told = {
        "PatientName": naming.from_code(str(dataset.get("PatientName") or "")),
        "file name": naming.from_code(PurePosixPath(path).name),
        "series": naming.from_tcia(patient_id, series),
        "folder": naming.from_folders(folders),
        METADATA_NAME: described.metadata.get(folders[-LOCATION_PARTS:], naming.Names()),
    }
    return naming.sources(path, told, patient_id, described)


def patient_of(named: Named) -> str | None:
    """The patient whom the most trusted source names."""
    return naming.merge(named)[0].patient


def _why_no_slice(dataset: Dataset) -> tuple[str, str, str] | None:
    """Kind, field and words for what is no CT slice and has no business to be one."""
    sop_class = str(dataset.get("SOPClassUID") or "")
    if (modality := dataset.get("Modality")) != "CT":
        stored = sop_class or dataset.file_meta.get("MediaStorageSOPClassUID")  # of a cut file
        kind = UNREADABLE if not modality and stored in CT_CLASSES else NOT_A_SLICE
        return kind, "Modality", f"Modality is {modality or 'missing'}, expected CT"
    if LOCALIZER_WORDS & {word.upper() for word in words(dataset, "ImageType")}:
        return LOCALIZER, "ImageType", "ImageType is that of a localizer"
    if (samples := dataset.get("SamplesPerPixel", 1)) != 1:  # a picture beside the slices
        return NOT_A_SLICE, "SamplesPerPixel", f"SamplesPerPixel is {samples}, expected 1 (grey)"
    if "ImagePositionPatient" in dataset or PER_FRAME in dataset or sop_class in CT_CLASSES:
        return None
    found = f"{UID(sop_class).name} without" if sop_class else "no SOPClassUID and no"
    return NOT_A_SLICE, "SOPClassUID", f"{found} ImagePositionPatient, expected a CT image"


def _frame(
    dataset: Dataset, frame: int, path: str, named: Named, any_thickness: bool
) -> SliceHeader | Refusal:
    flat, place = frame_dataset(dataset, frame), f"{path}{FRAME}{frame}"
    if refused := _why_no_slice(flat):
        return Refusal(place, *refused, patient_of(named))
    try:
        return _slice_header(flat, place, named, any_thickness)
    except HeaderError as error:
        return _refusal(flat, error, place, named)


def _refusal(dataset: Dataset, error: HeaderError, path: str, named: Named) -> Refusal:
    try:
        thickness_mm = number(dataset, "SliceThickness", positive=True)
    except HeaderError:
        thickness_mm = None
    return Refusal(
        path=path,
        kind=UNREADABLE,
        field=error.field,
        why=str(error),
        patient=patient_of(named),
        thickness_mm=thickness_mm,
        kernel=_kernel(dataset),
        **_of_series(dataset),
    )


def _of_series(dataset: Dataset) -> dict[str, str]:
    return {
        "series": str(dataset.get("SeriesInstanceUID") or ""),
        "described": str(dataset.get("SeriesDescription") or ""),
    }


def _kernel(dataset: Dataset) -> str:
    # Siemens writes iterative kernels with two values, as in `I30f` and `3`.
    return "/".join(words(dataset, "ConvolutionKernel"))


def _side(dataset: Dataset, keyword: str) -> int:
    side = number(dataset, keyword, positive=True)
    if side > LARGEST_SIDE:  # a decoder would take memory for what is claimed
        raise HeaderError(keyword, f"{keyword} is {side:g}, expected {LARGEST_SIDE} at most")
    return int(side)


def _slice_header(dataset: Dataset, path: str, named: Named, any_thickness: bool) -> SliceHeader:
    unsaid = any_thickness and (
        is_empty(dataset, "SliceThickness") or number(dataset, "SliceThickness") == 0
    )
    thickness_mm = math.nan if unsaid else number(dataset, "SliceThickness", positive=True)
    kernel = _kernel(dataset)
    tags = naming.of_tags(named, None if unsaid else thickness_mm, kernel)
    names, conflicts = naming.merge(named | tags)
    slope, intercept = number(dataset, "RescaleSlope"), number(dataset, "RescaleIntercept")
    if slope == 0:
        raise HeaderError("RescaleSlope", "RescaleSlope is 0, expected a number other than 0")
    return SliceHeader(
        path=path,
        patient=names.patient,
        dose=names.dose,
        thickness_mm=thickness_mm,
        kernel=kernel,
        position_mm=numbers(dataset, "ImagePositionPatient", 3),
        orientation=numbers(dataset, "ImageOrientationPatient", 6),
        pixel_mm=numbers(dataset, "PixelSpacing", 2, positive=True),
        rows=_side(dataset, "Rows"),
        columns=_side(dataset, "Columns"),
        instance=whole(dataset, "InstanceNumber", default=0),
        slope=slope,
        intercept=intercept,
        padding=padding_value(dataset),
        acquisition=whole(dataset, "AcquisitionNumber"),
        conflicts=conflicts,
        **_of_series(dataset),
    )
