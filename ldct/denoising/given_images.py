"""Images that were made elsewhere: .npy, NIfTI or DICOM, laid out as the test set's volume is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ldct.common.errors import InputError
from ldct.common.inputs import check_claimed_size, open_array
from ldct.configuration.given import SUFFIXES
from ldct.data.dicom.header import UNREADABLE, Refusal, SliceHeader
from ldct.data.dicom.naming import Described
from ldct.data.dicom.pixels import read_slice, slice_hu
from ldct.data.dicom.reading import read_header
from ldct.data.geometry import to_mm
from ldct.data.orientation import AXIAL, COSINE_TOLERANCE

NIFTI = "nibabel==5.4.2"  # the extra `nifti` of pyproject.toml
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
SPACING_TOLERANCE = 0.01  # relative


@dataclass(frozen=True)
class Stack:
    """images : [slice, row, column] by ascending z. z_mm : of each slice; None without a header."""

    images: np.ndarray
    z_mm: np.ndarray | None
    form: str


def read_given(files: Sequence[Path], info: Mapping[str, Any], slice_order: str = "") -> Stack:
    """One patient's images in the orientation of its volume.

    files : of `given_files`. info : content of the volume's `volume.json`. slice_order : of a .npy:
        "ascending" or "descending" z.
    Raises InputError where they cannot be read as one volume, or their spacing is another.
    """
    first = files[0].name
    if first.endswith(SUFFIXES) and len(files) > 1:
        raise InputError(f"{files[0].parent}: found {len(files)} files, expected one with an array")
    if first.endswith(".npy"):
        images = _numbers(open_array(files[0]), files[0])
        return Stack(images[::-1] if slice_order == "descending" else images, None, "npy")
    if first.endswith((".nii", ".nii.gz")):
        return _read_nifti(files[0], info)
    return _read_dicom(files, info)


def _numbers(images: np.ndarray, file: Path) -> np.ndarray:
    if images.ndim != 3 or images.dtype.kind not in "iuf":
        raise InputError(
            f"{file}: found {images.dtype} of shape {images.shape}, expected numbers of shape "
            "[slice, row, column]"
        )
    return images


def _read_nifti(file: Path, info: Mapping[str, Any]) -> Stack:
    try:
        import nibabel
        from nibabel import orientations
    except ImportError:
        raise InputError(
            f"{file}: the package nibabel is not installed: pip install {NIFTI}"
        ) from None
    try:
        image = nibabel.load(file)
        check_claimed_size(file, image.shape, image.get_data_dtype().itemsize)
        found, wanted = map(orientations.io_orientation, (image.affine, _affine(info)))
        turn = orientations.ornt_transform(found, wanted)
        voxels = _numbers(np.squeeze(np.asarray(image.dataobj, dtype=np.float32)), file)
        affine = LPS_TO_RAS @ image.affine @ orientations.inv_ornt_aff(turn, voxels.shape)
    except InputError:
        raise
    except Exception as error:  # of gzip and zlib as well as of nibabel
        raise InputError(f"{file}: not a readable NIfTI volume ({error})") from None
    column_mm, row_mm = np.linalg.norm(affine[:3, :2], axis=0)
    _check_spacing((row_mm, column_mm), info, file)
    # NIfTI has [column, row, slice].
    images = np.transpose(orientations.apply_orientation(voxels, turn), (2, 1, 0))
    return Stack(images, affine[2, 3] + affine[2, 2] * np.arange(len(images)), "NIfTI")


def _affine(info: Mapping[str, Any]) -> np.ndarray:
    """From (column, row, slice) of a volume to mm as NIfTI has them; near enough where tilted."""
    z_mm = info["z_mm"][0]
    corner, right, below = (to_mm(info, *pixel, z_mm) for pixel in ((0, 0), (1, 0), (0, 1)))
    steps = np.subtract([right, below], corner)
    affine = np.eye(4)
    affine[:2, :2] = steps.T
    return LPS_TO_RAS @ affine


def _read_dicom(files: Sequence[Path], info: Mapping[str, Any]) -> Stack:
    place = files[0].parent
    found = [each for file in files for each in _headers(file)]
    slices = sorted(found, key=lambda each: each[1].z_mm)
    if not slices:
        raise InputError(f"{place}: found no DICOM slice, expected a CT series; correct the card")
    series = {header.series for _, header in slices}
    if len(series) > 1:
        raise InputError(f"{place}: found {len(series)} DICOM series, expected one")
    file, first = slices[0]
    _check_spacing(first.pixel_mm, info, file)
    own = info.get("orientation", AXIAL)
    if not np.allclose(first.orientation, own, rtol=0, atol=COSINE_TOLERANCE):
        raise InputError(
            f"{file}: field ImageOrientationPatient: found {list(first.orientation)}, expected "
            f"{list(own)} as in the LDCT series; copy its header"
        )
    try:
        images = [slice_hu(*read_slice(file.parent, header.path)) for file, header in slices]
        return Stack(np.stack(images), np.array([header.z_mm for _, header in slices]), "DICOM")
    except Exception as error:  # damaged pixels fail in as many ways as there are bytes
        raise InputError(f"{place}: its DICOM pixels cannot be read ({error})") from None


def _headers(file: Path) -> list[tuple[Path, SliceHeader]]:
    """The slices of one file; none of a file that is no CT slice."""
    found = read_header(file.parent, file.name, Described(), any_thickness=True)
    for each in found:
        if isinstance(each, Refusal) and each.kind == UNREADABLE:
            raise InputError(f"{file}: {each.why}")
    return [(file, each) for each in found if isinstance(each, SliceHeader)]


def _check_spacing(pixel_mm: Sequence[float], info: Mapping[str, Any], file: Path) -> None:
    """Spacing (row, column) against the volume's."""
    if not np.allclose(pixel_mm, info["pixel_mm"], rtol=SPACING_TOLERANCE):
        found, expected = (
            " x ".join(f"{each:.4g}" for each in spacing)
            for spacing in (pixel_mm, info["pixel_mm"])
        )
        raise InputError(
            f"{file}: found pixels of {found} mm, expected {expected} mm as in the LDCT; copy its "
            "header, or give a .npy"
        )
