"""A derived CT slice as DICOM: what it keeps of its source, what is new, what it says of itself."""

from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import PYDICOM_ROOT_UID, CTImageStorage, ExplicitVRLittleEndian, generate_uid

from ldct import __version__
from ldct.data.dicom.aapm_writer import IMPLEMENTATION_UID
from ldct.data.dicom.header import frame_dataset

SUITE = "LDCT-Cascade"
NOT_FOR_DIAGNOSIS = "research output, not for diagnosis"
# Kept as the source has it. All else is dropped: private groups, other dates, free text.
KEPT = (
    *("SpecificCharacterSet", "Modality", "BodyPartExamined", "PatientPosition", "Laterality"),
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "PatientIdentityRemoved"),
    *("DeidentificationMethod", "DeidentificationMethodCodeSequence"),
    # One study has one of each.
    *("StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber"),
    *("FrameOfReferenceUID", "PositionReferenceIndicator", "Manufacturer", "ManufacturerModelName"),
    *("AcquisitionNumber", "InstanceNumber", "ImagePositionPatient", "ImageOrientationPatient"),
    *("PatientOrientation", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices"),
    *("SliceLocation", "GantryDetectorTilt", "TableHeight", "ContrastBolusAgent"),
    *("KVP", "ScanOptions", "DataCollectionDiameter", "ReconstructionDiameter"),
    *("DistanceSourceToDetector", "DistanceSourceToPatient", "RotationDirection", "ExposureTime"),
    *("XRayTubeCurrent", "Exposure", "ExposureInuAs", "FilterType", "GeneratorPower"),
    *("FocalSpots", "ConvolutionKernel", "RevolutionTime", "SingleCollimationWidth"),
    *("TotalCollimationWidth", "TableSpeed", "TableFeedPerRotation", "SpiralPitchFactor"),
    *("CTDIvol", "CTDIPhantomTypeCodeSequence", "DataCollectionCenterPatient"),
    *("ReconstructionTargetCenterPatient", "LossyImageCompression"),
    *("LossyImageCompressionRatio", "LossyImageCompressionMethod", "SamplesPerPixel"),
    *("PhotometricInterpretation", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit"),
    *("PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit", "RescaleIntercept"),
    *("RescaleSlope", "RescaleType", "WindowCenter", "WindowWidth", "VOILUTFunction"),
)
# Type 2 of the CT Image IOD: there at least without a value.
AT_LEAST_EMPTY = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime"),
    *("StudyID", "AccessionNumber", "ReferringPhysicianName", "PositionReferenceIndicator"),
    *("Manufacturer", "AcquisitionNumber", "InstanceNumber", "SliceThickness", "KVP"),
)
SHORT_TEXT, LONG_TEXT = 64, 1024  # characters of LO and ST


@dataclass(frozen=True)
class Maker:
    """What made a series. method : its folder's name. title : with the seed of its weights.

    digest : hex sha256 of weights, parameters and denoise.py.
    """

    method: str
    title: str
    digest: str

    def uid(self, *source: str) -> str:
        """A UID of this suite's own, the same for the same source and maker."""
        entropy = [*source, self.method, self.title, self.digest, __version__]
        return generate_uid(prefix=PYDICOM_ROOT_UID, entropy_srcs=entropy)


def derive(
    source: Dataset, frame: int | None, stored: np.ndarray, series: str, maker: Maker
) -> Dataset:
    """The dataset of one denoised slice, to be saved as it is.

    source, frame : of `read_slice`. stored : pixels as stored, of the source's type and shape.
    series : what tells its series from others: the source's SeriesInstanceUID.
    """
    derived = kept(source, frame)
    derived.SOPClassUID = CTImageStorage
    derived.SOPInstanceUID = maker.uid(source.SOPInstanceUID, str(frame or ""))
    derived.SeriesInstanceUID = maker.uid(series)
    derived.SeriesNumber = _series_number(source, derived.SeriesInstanceUID)
    derived.SeriesDescription = _text(f"{maker.title} ({SUITE})", SHORT_TEXT)
    derived.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    derived.SourceImageSequence = [_reference(source, frame)]
    derived.DerivationDescription = _text(
        f"{SUITE} {__version__}, {maker.title} ({maker.method}), weights and parameters sha256 "
        f"{maker.digest}; {NOT_FOR_DIAGNOSIS}",
        LONG_TEXT,
    )
    derived.DerivationCodeSequence = [_code("113087", "Smoothing")]
    derived.ContributingEquipmentSequence = [_equipment()]
    derived.BurnedInAnnotation = source.get("BurnedInAnnotation") or "NO"
    derived.ImageComments = NOT_FOR_DIAGNOSIS
    little_endian = stored.astype(stored.dtype.newbyteorder("<")).tobytes()
    derived.PixelData = little_endian + b"\0" * (len(little_endian) % 2)
    derived["PixelData"].VR = "OW"
    derived.file_meta = _file_meta(derived)
    return derived


def kept(source: Dataset, frame: int | None) -> Dataset:
    """What a derived slice has from its source, but for pixels. Raises what pydicom raises."""
    own = Dataset()
    flat = Dataset() if frame is None else frame_dataset(source, frame)
    for keyword in KEPT:
        for told in (source, flat):
            if keyword in told:
                own[keyword] = told[keyword]
    for keyword in AT_LEAST_EMPTY:
        if keyword not in own:
            setattr(own, keyword, None)
    own.remove_private_tags()  # within the sequences that are kept
    return own


def _series_number(source: Dataset, uid: str) -> int:
    """Behind the source's in lists of series, and another for each method: 3 becomes 3000 to 3999.

    The standard has no rule; viewers sort by it.
    """
    number = str(source.get("SeriesNumber") or "").strip()
    return (
        int(number if number.isdigit() else 0) % 10**6 * 1000 + int(uid.rpartition(".")[2]) % 1000
    )


def _reference(source: Dataset, frame: int | None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = source.get("SOPClassUID") or CTImageStorage
    item.ReferencedSOPInstanceUID = source.SOPInstanceUID
    if frame is not None:
        item.ReferencedFrameNumber = frame
    purpose = _code("121322", "Source image for image processing operation")
    item.PurposeOfReferenceCodeSequence = [purpose]
    return item


def _equipment() -> Dataset:
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [_code("109102", "Processing Equipment")]
    item.Manufacturer = SUITE
    item.SoftwareVersions = __version__
    return item


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item


def _text(text: str, characters: int) -> str:
    """A text that any character set of a source can hold; the backslash would part values."""
    return text.encode("ascii", "replace").decode().replace("\\", "/")[:characters]


def _file_meta(derived: Dataset) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = derived.SOPClassUID
    meta.MediaStorageSOPInstanceUID = derived.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = IMPLEMENTATION_UID
    meta.ImplementationVersionName = SUITE.upper()
    return meta
