"""DICOM files as users hold them: compressed, of many frames, without preamble, with odd values."""

import copy
from collections.abc import Sequence
from pathlib import Path

import gdcm
import pydicom
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.tag import Tag
from pydicom.uid import EnhancedCTImageStorage

FRAME_TAGS = {
    "PlanePositionSequence": ("ImagePositionPatient",),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness"),
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept"),
    "CTReconstructionSequence": ("ConvolutionKernel",),
}


def compress(path: Path, syntax: str) -> None:
    """Rewrite a file in a compressed transfer syntax, given as GDCM names it (`JPEGLSLossless`)."""
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, syntax)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    writer.SetFileName(str(path))
    assert writer.Write()


def put_text(path: Path, keyword: str, text: str) -> None:
    """Put a value into a text tag as it stands, whether a number or not."""
    dataset = pydicom.dcmread(path)
    value = text.encode() + b" " * (len(text.encode()) % 2)
    tag = Tag(tag_for_keyword(keyword))
    raw = RawDataElement(tag, dictionary_VR(tag), len(value), value, 0, False, True)
    dataset._dict[tag] = raw  # pydicom itself refuses such values
    dataset.save_as(path)


def cut_preamble(path: Path, with_meta: bool = False) -> None:
    """Remove the 128 bytes and the mark before the data set, and the file meta information."""
    content = path.read_bytes()
    meta_length = int.from_bytes(content[140:144], "little")
    path.write_bytes(content[132 if with_meta else 144 + meta_length :])


def merge_frames(paths: Sequence[Path], target: Path, enhanced: bool = True) -> None:
    """One file of all slices, which are removed: Enhanced CT, or a plain one with frames.

    Orientation, kernel and rescale are shared by the frames, position and pixel measures are not.
    """
    slices = [pydicom.dcmread(path) for path in paths]
    for path in paths:
        path.unlink()
    merged = copy.deepcopy(slices[0])
    merged.NumberOfFrames = len(slices)
    merged.PixelData = b"".join(dataset.PixelData for dataset in slices)
    if merged.file_meta.TransferSyntaxUID.is_compressed:
        frames = [next(generate_frames(each.PixelData, number_of_frames=1)) for each in slices]
        merged.PixelData = encapsulate(frames)
    if enhanced:
        merged.SOPClassUID = EnhancedCTImageStorage
        shared = ("PlaneOrientationSequence", "CTReconstructionSequence")
        own = [name for name in FRAME_TAGS if name not in shared]
        merged.SharedFunctionalGroupsSequence = [_groups(slices[0], shared)]
        merged.PerFrameFunctionalGroupsSequence = [_groups(dataset, own) for dataset in slices]
        for tags in FRAME_TAGS.values():
            for tag in tags:
                delattr(merged, tag)
    merged.save_as(target, enforce_file_format=True)


def _groups(dataset: Dataset, names: Sequence[str]) -> Dataset:
    groups = Dataset()
    for name in names:
        item = Dataset()
        for tag in FRAME_TAGS[name]:
            item[tag] = dataset[tag]
        setattr(groups, name, [item])
    return groups
