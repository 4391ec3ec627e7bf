"""Whether the pixels of a file can be had as those of single grey slices, by its header alone."""

from pydicom.dataset import Dataset
from pydicom.pixels import get_decoder
from pydicom.uid import (
    UID,
    EnhancedCTImageStorage,
    JPEGExtended12Bit,
    LegacyConvertedEnhancedCTImageStorage,
)

from ldct.data.dicom.values import HeaderError, number, whole

PER_FRAME, SHARED = "PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"
ENHANCED = {EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage}
PIXEL_TAGS = {"SamplesPerPixel": (1,), "BitsAllocated": (8, 16, 32), "PixelRepresentation": (0, 1)}
GREY = ("MONOCHROME2", "MONOCHROME1")
EIGHT_BIT_PLUGINS = {"gdcm", "pillow"}  # what they read of JPEG Extended


def check_pixels(dataset: Dataset) -> int:
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
    for keyword, allowed in PIXEL_TAGS.items():  # else told no sooner than by the volume
        if (value := number(dataset, keyword)) not in allowed:
            expected = " or ".join(map(str, allowed))
            raise HeaderError(keyword, f"{keyword} is {value:g}, expected {expected}")
    allocated = number(dataset, "BitsAllocated")
    if not 1 <= (bits := number(dataset, "BitsStored")) <= allocated:
        raise HeaderError("BitsStored", f"BitsStored is {bits:g}, expected 1 to {allocated:g}")
    if (colours := str(dataset.get("PhotometricInterpretation") or "missing")) not in GREY:
        keyword = "PhotometricInterpretation"
        raise HeaderError(keyword, f"{keyword} is {colours}, expected {' or '.join(GREY)}")
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if missing := _missing_decoder(syntax, bits):
        raise HeaderError("TransferSyntaxUID", missing)
    return described


def _missing_decoder(syntax: UID | None, bits: float) -> str | None:
    """What to install for the pixels of a transfer syntax; None where nothing is missing."""
    if not syntax or (syntax.is_transfer_syntax and not syntax.is_compressed):
        return None
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:  # how pydicom says that it knows no decoder of a syntax
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
