"""The pixels of one slice: files of one slice or many, compressed or not, to HU and sha256."""

import hashlib
from functools import lru_cache
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.pixels import pixel_array
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from ldct.data.dicom.header import FRAME, frame_dataset
from ldct.data.dicom.hounsfield import stored_to_hu
from ldct.data.dicom.listing import mapped


def read_slice(root: Path, path: str) -> tuple[Dataset, int | None]:
    """The file behind the path of a SliceHeader, and the number of its frame, from 1.

    None where the file holds one slice.
    """
    name, mark, frame = path.rpartition(FRAME)
    if not mark or (root / path).exists():
        return _open(root / path), None
    status = (root / name).stat()
    return _open_frames(root / name, status.st_mtime_ns, status.st_size), int(frame)


def slice_hu(dataset: Dataset, frame: int | None) -> np.ndarray:
    """What `read_slice` gives as int16 HU, shape (rows, columns)."""
    header = dataset if frame is None else frame_dataset(dataset, frame)
    return stored_to_hu(header, stored_values(dataset, frame))


def pixel_sha256(root: Path, path: str) -> str | None:
    """Hex sha256 of the pixels of one slice; None when they are damaged or short."""
    try:
        return pixel_digest(*read_slice(root, path))
    except Exception:
        return None


def pixel_digest(dataset: Dataset, frame: int | None = None) -> str | None:
    """Hex sha256 of the pixel bytes; None when they are not those of one slice.

    Compressed pixels are decoded for it, which finds damaged ones.
    """
    if dataset.file_meta.TransferSyntaxUID.is_compressed:
        stored = stored_values(dataset, frame)
        one_slice = stored.shape == (dataset.Rows, dataset.Columns)
        return hashlib.sha256(np.ascontiguousarray(stored)).hexdigest() if one_slice else None
    pixels = dataset.PixelData
    size = dataset.Rows * dataset.Columns * dataset.BitsAllocated // 8
    whole_file = size * (1 if frame is None else dataset.NumberOfFrames)
    if not whole_file <= len(pixels) < whole_file + size:
        return None
    if frame is not None:
        pixels = memoryview(pixels)[(frame - 1) * size : frame * size]
    return hashlib.sha256(pixels).hexdigest()


def stored_values(dataset: Dataset, frame: int | None) -> np.ndarray:
    """What `read_slice` gives as stored pixel values, shape (rows, columns)."""
    return dataset.pixel_array if frame is None else pixel_array(dataset, index=frame - 1)


def _open(path: Path) -> Dataset:
    with mapped(path) as file:  # headers were checked: older files have no mark
        dataset = pydicom.dcmread(file, force=True)
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    return dataset


@lru_cache(maxsize=1)
def _open_frames(path: Path, _modified: int, _size: int) -> Dataset:
    """A file of many slices, kept for the next of them; read again when it changed."""
    return _open(path)
