"""NIfTI volumes in HU, in and out, through the optional package nibabel."""

import gzip
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ldct.common.errors import InputError
from ldct.common.files import atomic_path, write_durably
from ldct.common.inputs import check_claimed_size
from ldct.data.dicom.hounsfield import LOWEST_HU, clip_hu
from ldct.scan.derived import NOT_FOR_DIAGNOSIS, SUITE
from ldct.scan.merging import Coding

SUFFIXES = (".nii", ".nii.gz")
DICOM_ORDER = "LPS"  # columns to the left, rows to the back, slices to the head


@dataclass(frozen=True)
class Nifti:
    """A volume as stored, but turned: `[slice, row, column]` in the order of axial DICOM slices.

    image : of nibabel. pixel_mm : of rows, of columns. spacing_mm : of slices.
    """

    image: Any
    stored: np.ndarray
    coding: Coding
    pixel_mm: tuple[float, float]
    spacing_mm: float

    @property
    def volume(self) -> np.ndarray:
        """int16 HU in [-1024, 3071]; what is not finite is air."""
        hu = self.stored * float(self.coding.slope) + self.coding.intercept
        return clip_hu(np.nan_to_num(hu, nan=LOWEST_HU))


def is_nifti(path: Path) -> bool:
    """Whether a path ends as NIfTI files do."""
    return path.name.lower().endswith(SUFFIXES)


def read_nifti(path: Path) -> Nifti:
    """Open one volume. Raises InputError where it is none, or nibabel is not installed."""
    nib = _nibabel()
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a NIfTI volume in HU")
    try:
        image = nib.load(path)
        check_claimed_size(path, image.shape, image.get_data_dtype().itemsize)
        stored = np.asanyarray(image.dataobj.get_unscaled())
        sizes = nib.affines.voxel_sizes(image.affine)[np.argsort(_turn(nib, image)[:, 0])]
        if not (np.isfinite(image.affine).all() and min(sizes) > 0):
            raise ValueError(f"voxels of {' x '.join(map(str, sizes))} mm")
    except InputError:
        raise
    except Exception as error:  # of gzip and zlib as well as of nibabel
        problem = " ".join(str(error).split())
        raise InputError(f"{path}: not a readable NIfTI file ({problem}); export again") from None
    if stored.ndim != 3 or stored.dtype.kind not in "iuf":
        raise InputError(
            f"{path}: found {stored.dtype} values of shape {stored.shape}, expected one volume of "
            "numbers with three axes"
        )
    turned = nib.orientations.apply_orientation(stored, _turn(nib, image)).transpose(2, 1, 0)
    limits = np.iinfo(stored.dtype) if stored.dtype.kind in "iu" else np.finfo(stored.dtype)
    coding = Coding(image.dataobj.slope, image.dataobj.inter, limits.min, limits.max)
    return Nifti(image, turned, coding, (float(sizes[1]), float(sizes[0])), float(sizes[2]))


def write_nifti(source: Nifti, merged: np.ndarray, method: str, output: Path) -> None:
    """Write stored values of `source.stored`'s shape and type as a volume of the same geometry.

    Texts of the source and its extensions, which may hold a DICOM header, are dropped.
    """
    nib, image = _nibabel(), source.image
    back = nib.orientations.ornt_transform(*reversed(_ends(nib, image)))
    stored = nib.orientations.apply_orientation(merged.transpose(2, 1, 0), back)
    header = image.header.copy()
    header.extensions.clear()
    header["db_name"], header["aux_file"], header["intent_name"] = b"", b"", b""
    header["descrip"] = f"{SUITE}, {method}; {NOT_FOR_DIAGNOSIS}".encode("ascii", "replace")[:79]
    made = type(image)(stored, image.affine, header)
    made.header.set_slope_inter(source.coding.slope, source.coding.intercept)
    content = made.to_bytes()
    if output.name.lower().endswith(".gz"):
        content = gzip.compress(content, mtime=0)
    with atomic_path(output) as temporary:
        write_durably(temporary, content)


def same_grid(first: Nifti, second: Nifti) -> bool:
    """Whether two volumes have the same voxels."""
    return first.stored.shape == second.stored.shape and np.allclose(
        first.image.affine, second.image.affine, atol=1e-3
    )


def _turn(nib: ModuleType, image: Any) -> np.ndarray:
    return nib.orientations.ornt_transform(*_ends(nib, image))


def _ends(nib: ModuleType, image: Any) -> tuple[np.ndarray, np.ndarray]:
    """Orientation of the image's axes, and that of DICOM's."""
    return nib.io_orientation(image.affine), nib.orientations.axcodes2ornt(DICOM_ORDER)


def _nibabel() -> ModuleType:
    try:
        import nibabel
    except ImportError:
        raise InputError(
            "NIfTI files need the optional package nibabel: pip install 'nibabel==5.4.2'"
        ) from None
    return nibabel
