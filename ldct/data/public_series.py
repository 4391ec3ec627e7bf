"""Series of public archives: fetched by SeriesInstanceUID, cut to the slices in use, checked."""

import csv
import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError

from ldct.common.errors import InputError
from ldct.common.files import atomic_folder
from ldct.data.dicom.listing import list_files
from ldct.data.dicom.pixels import pixel_sha256

COLUMNS = ("patient", "PatientID", "SeriesInstanceUID", "collection", "DOI", "licence")
COLUMNS += ("slices", "z_first_mm", "z_last_mm", "sha256")
NUMBERS = ("slices", "z_first_mm", "z_last_mm")
SAME_MM = 0.01
PACKAGE = "idc-index==0.13.4"  # the extra `open` of pyproject.toml


def read_series(manifest: str | Path, patient: str) -> dict[str, str]:
    """The row of a patient in a manifest (docs/data.md). InputError where it cannot be used."""
    try:
        rows = list(csv.DictReader(Path(manifest).read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{manifest}: cannot be read as a manifest ({error})") from None
    missing = [name for name in COLUMNS if not rows or rows[0].get(name) is None]
    if missing:
        raise InputError(f"{manifest}: missing {', '.join(missing)} among the columns or values")
    own = [row for row in rows if row["patient"] == patient]
    if len(own) != 1:
        raise InputError(
            f"{manifest}: column 'patient': found {patient} in {len(own)} rows, expected one row "
            "for each patient that has no `origin` in the description"
        )
    for name in NUMBERS:
        try:
            float(own[0][name])
        except (TypeError, ValueError):
            raise InputError(
                f"{manifest}: {patient}, column '{name}': found {own[0][name]!r}, expected a number"
            ) from None
    return own[0]


def lay_series(
    series: dict[str, str], source: str | Path, downloads: str | Path, output: str | Path
) -> None:
    """Write the slices of a series in use into `output`, as `0001.dcm` ... by ascending z.

    series : of `read_series`. source, downloads : folders of DICOM files in any layout; where
        neither has all slices, the series is fetched into `downloads/<patient>`.
    Raises InputError where it cannot be fetched, or where pixels are not those of the manifest.
    """
    own = Path(downloads) / series["patient"]
    files = _find_slices(series, _folder_of(series, Path(source)))
    if len(files) != int(series["slices"]):
        files = _find_slices(series, own)
    if len(files) != int(series["slices"]):
        reason = _fetch(series["SeriesInstanceUID"], own)
        files = _find_slices(series, own)
        if len(files) != int(series["slices"]):
            raise InputError(_what_to_do(series, reason, own, len(files)))
    found = pixels_sha256(files)
    if found != series["sha256"]:
        raise InputError(
            f"{files[0].parent}: sha256 of the pixels of {series['patient']} is {found}, expected "
            f"{series['sha256']}; remove these files and run again"
        )
    with atomic_folder(output) as temporary:
        for number, file in enumerate(files, 1):
            shutil.copyfile(file, temporary / f"{number:04d}.dcm")


def pixels_sha256(files: Sequence[Path]) -> str:
    """Hex sha256 of the hex sha256 of each slice's pixel bytes, joined in the order of `files`."""
    own = [str(pixel_sha256(file.parent, file.name)) for file in files]
    return hashlib.sha256("".join(own).encode()).hexdigest()


def _folder_of(series: dict[str, str], source: Path) -> Path:
    """The folder in `source` that is named after the patient; the whole where there is none."""
    named = [source / series[key] for key in ("patient", "PatientID")]
    return next(filter(Path.is_dir, named), source)


def _find_slices(series: dict[str, str], folder: Path) -> list[Path]:
    """Files of the series within its range of z, ascending; of one position the first."""
    lowest, highest = sorted(float(series[key]) for key in ("z_first_mm", "z_last_mm"))
    found: dict[float, Path] = {}
    for name in list_files(folder)[0] if folder.is_dir() else ():
        try:
            header = pydicom.dcmread(folder / name, stop_before_pixels=True)
        except (InvalidDicomError, OSError):
            continue
        position = header.get("ImagePositionPatient")
        if header.get("SeriesInstanceUID") != series["SeriesInstanceUID"] or not position:
            continue
        z_mm = float(position[2])
        if lowest - SAME_MM < z_mm < highest + SAME_MM:
            found.setdefault(round(z_mm, 2), folder / name)
    return [found[z_mm] for z_mm in sorted(found)]


def _fetch(uid: str, folder: Path) -> str:
    """Fetch a series from the Imaging Data Commons, whole; why it failed, or nothing.

    What is there already is not fetched again.
    """
    try:
        download_series(uid, folder)
    except ImportError:
        return f"the package idc-index is not installed: pip install {PACKAGE}"
    except Exception as error:
        return " ".join(str(error).split()) or type(error).__name__
    return "the download ended without them: try again with a network"


def download_series(uid: str, folder: Path) -> None:
    """The one call of idc-index; without a network it may return as if all were well."""
    from idc_index import IDCClient

    folder.mkdir(parents=True, exist_ok=True)
    IDCClient.client().download_dicom_series(
        uid, str(folder), use_s5cmd_sync=True, show_progress_bar=False, dirTemplate=None
    )


def _what_to_do(series: dict[str, str], reason: str, folder: Path, found: int) -> str:
    return (
        f"{series['patient']}: found {found} of {series['slices']} slices of the series "
        f"{series['SeriesInstanceUID']}; {reason}, or put its DICOM files (TCIA, "
        f"doi:{series['DOI']}) into {folder}, or name a folder that has them: --config "
        "dataset_root=FOLDER"
    )
