"""The header of one CT slice: what is read of it, and why it may not be used."""

import math
from dataclasses import dataclass
from pathlib import PurePosixPath

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.pixels import get_decoder
from pydicom.uid import (
    UID,
    CTImageStorage,
    EnhancedCTImageStorage,
    JPEGExtended12Bit,
    LegacyConvertedEnhancedCTImageStorage,
)

from ldct.data.dicom import naming
from ldct.data.dicom.hounsfield import padding_value
from ldct.data.dicom.listing import METADATA_NAME
from ldct.data.dicom.values import HeaderError, is_empty, number, numbers, whole, words
from ldct.data.orientation import along_normal

LOCATION_PARTS = 3  # patient / study / series: what TCIA paths have in common on every disk
FRAME = "#"  # between the path of a file with several slices and the number of one, from 1
NOT_DICOM, NOT_A_SLICE, UNREADABLE = "not DICOM", "DICOM, not a CT slice", "refused"
LOCALIZER = "localizers"
ENHANCED = {EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage}
CT_CLASSES = {CTImageStorage, *ENHANCED}
LOCALIZER_WORDS = {"LOCALIZER", "SCOUT", "TOPOGRAM", "SCANOGRAM", "SCANOSCOPE", "SURVIEW"}
PER_FRAME, SHARED = "PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"
EIGHT_BIT_PLUGINS = {"gdcm", "pillow"}  # what they read of JPEG Extended
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
    "NumberOfFrames",
    "Rows",
    "Columns",
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
    series : SeriesInstanceUID, of which no more than the end is ever shown.
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
    """

    path: str
    kind: str
    field: str
    why: str
    patient: str | None = None


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
        frames = _check_pixels(dataset)
        if not frames:
            return [_slice_header(dataset, path, named, any_thickness)]
    except HeaderError as error:
        return [Refusal(path, UNREADABLE, error.field, str(error), patient_of(named))]
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
    if (modality := dataset.get("Modality")) != "CT":
        return NOT_A_SLICE, "Modality", f"Modality is {modality or 'missing'}, expected CT"
    if LOCALIZER_WORDS & {word.upper() for word in words(dataset, "ImageType")}:
        return LOCALIZER, "ImageType", "ImageType is that of a localizer"
    sop_class = str(dataset.get("SOPClassUID") or "")
    if "ImagePositionPatient" in dataset or PER_FRAME in dataset or sop_class in CT_CLASSES:
        return None
    found = UID(sop_class).name or "no SOPClassUID"
    return NOT_A_SLICE, "SOPClassUID", f"{found} without ImagePositionPatient, expected a CT image"


def _check_pixels(dataset: Dataset) -> int:
    """How many frames the file describes, 0 for a plain one.

    Raises HeaderError where no pixels of single slices can be had of it.
    """
    frames = whole(dataset, "NumberOfFrames", default=1)
    described = len(dataset[PER_FRAME].value) if PER_FRAME in dataset else 0
    if not described and dataset.get("SOPClassUID") in ENHANCED:
        raise HeaderError(PER_FRAME, f"{PER_FRAME} is missing from an Enhanced CT file")
    if described and frames != described:
        raise HeaderError(
            "NumberOfFrames", f"NumberOfFrames is {frames}, {PER_FRAME} describes {described}"
        )
    if not described and frames > 1:
        raise HeaderError(
            "NumberOfFrames",
            f"NumberOfFrames is {frames}, expected 1 in a plain CT file: export one file a slice, "
            f"or Enhanced CT",
        )
    if (samples := whole(dataset, "SamplesPerPixel", default=1)) != 1:
        raise HeaderError("SamplesPerPixel", f"SamplesPerPixel is {samples}, expected 1 (grey)")
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if missing := _missing_decoder(syntax, whole(dataset, "BitsStored", default=16)):
        raise HeaderError("TransferSyntaxUID", missing)
    return described


def _missing_decoder(syntax: UID | None, bits: int) -> str | None:
    """What to install for the pixels of a transfer syntax; None where nothing is missing."""
    if not syntax or (syntax.is_transfer_syntax and not syntax.is_compressed):
        return None
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        return f"TransferSyntaxUID is {syntax.name}, which is not read; export as Explicit VR"
    usable = set(decoder.available_plugins)
    if syntax == JPEGExtended12Bit and bits > 8:
        usable -= EIGHT_BIT_PLUGINS
    if usable:
        return None
    install = [line.partition("requires ")[2] for line in decoder.missing_dependencies]
    return (
        f"pixels are compressed as {syntax.name}, which no installed package reads: install "
        f"{' or '.join(install)}, or export as Explicit VR Little Endian"
    )


def _frame(
    dataset: Dataset, frame: int, path: str, named: Named, any_thickness: bool
) -> SliceHeader | Refusal:
    flat, place = frame_dataset(dataset, frame), f"{path}{FRAME}{frame}"
    if refused := _why_no_slice(flat):
        return Refusal(place, *refused, patient_of(named))
    try:
        return _slice_header(flat, place, named, any_thickness)
    except HeaderError as error:
        return Refusal(place, UNREADABLE, error.field, str(error), patient_of(named))


def _slice_header(dataset: Dataset, path: str, named: Named, any_thickness: bool) -> SliceHeader:
    unsaid = any_thickness and (
        is_empty(dataset, "SliceThickness") or number(dataset, "SliceThickness") == 0
    )
    thickness_mm = math.nan if unsaid else number(dataset, "SliceThickness", positive=True)
    # Siemens writes iterative kernels with two values, as in `I30f` and `3`.
    kernel = "/".join(words(dataset, "ConvolutionKernel"))
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
        rows=int(number(dataset, "Rows", positive=True)),
        columns=int(number(dataset, "Columns", positive=True)),
        instance=whole(dataset, "InstanceNumber", default=0),
        slope=slope,
        intercept=intercept,
        padding=padding_value(dataset),
        acquisition=whole(dataset, "AcquisitionNumber"),
        series=str(dataset.get("SeriesInstanceUID") or ""),
        conflicts=conflicts,
    )
