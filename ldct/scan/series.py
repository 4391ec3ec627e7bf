"""CT series of a folder: found, read as a test patient, and written back denoised."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from ldct.common.errors import InputError
from ldct.common.progress import track
from ldct.data.dicom.header import FRAME, UNREADABLE, SliceHeader, frame_dataset
from ldct.data.dicom.hounsfield import stored_to_hu
from ldct.data.dicom.listing import list_files
from ldct.data.dicom.naming import Described
from ldct.data.dicom.pixels import read_slice, slice_hu, stored_values
from ldct.data.dicom.reading import read_header, reasons
from ldct.data.dicom.values import HeaderError
from ldct.scan.derived import Maker, derive, kept
from ldct.scan.merging import coding_of, merge

SOURCE = ("SOPInstanceUID", "SOPClassUID")  # what a derived slice names its source by
PATIENCE_S = 5.0  # without a progress display


@dataclass(frozen=True)
class Series:
    """Slices of one CT series on one grid of pixels, across the plane ascending.

    root : what their paths are relative to. uid : SeriesInstanceUID, or where the series has none
    its folder; never shown.
    """

    root: Path
    uid: str
    headers: tuple[SliceHeader, ...]

    @property
    def first(self) -> SliceHeader:
        """The lowest slice; kernel, thickness and spacing are those of all."""
        return self.headers[0]


def find_series(source: Path) -> list[Series]:
    """All CT series of a file or folder; files that are no CT slices are told of and left out.

    Raises InputError where there is none.
    """
    root, paths = (source, list_files(source)[0]) if source.is_dir() else _one_file(source)
    found = [
        each
        for path in track(paths, "reading headers", delay=PATIENCE_S)
        for each in read_header(root, path, Described(), any_thickness=True)
    ]
    headers = [each for each in found if isinstance(each, SliceHeader)]
    refused = [each for each in found if not isinstance(each, SliceHeader)]
    told = reasons(refused)
    if not headers:
        raise InputError(
            f"{source}: found no CT slices ({'; '.join(told) or 'the folder is empty'}); expected "
            "DICOM files of a CT series, or a NIfTI file (.nii, .nii.gz)"
        )
    damaged = sum(each.kind == UNREADABLE for each in refused)
    told += [f"warning: {damaged} damaged CT slices of {source} are left out"] if damaged else []
    for line in told:
        print(line, file=sys.stderr)
    groups: dict[tuple, list[SliceHeader]] = {}
    for header in headers:
        uid = header.series or str(PurePosixPath(header.path).parent)
        grid = *(round(each, 3) for each in (*header.pixel_mm, *header.orientation)), header.rows
        groups.setdefault((uid, header.columns, *grid), []).append(header)
    return [
        Series(root, key[0], tuple(sorted(group, key=lambda each: each.along_mm)))
        for key, group in groups.items()
    ]


def read_volume(series: Series) -> np.ndarray:
    """int16 HU `[slice, row, column]` in [-1024, 3071], padding at -1024, as training sees it.

    Raises InputError for a damaged slice, before any work is done on the others.
    """
    headers = track(series.headers, "reading", delay=PATIENCE_S)
    return np.stack([_read_slice(series.root, header.path) for header in headers])


def _read_slice(root: Path, path: str) -> np.ndarray:
    try:
        dataset, frame = read_slice(root, path)
        kept(dataset, frame)
        for keyword in SOURCE:
            uid = dataset.get(keyword) or ""
            if not uid or not (isinstance(uid, str) and uid.isascii() and uid.isprintable()):
                what = "is no UID" if uid else "is missing"
                raise HeaderError(keyword, f"{keyword} {what}: no source to name")
        return slice_hu(dataset, frame)
    except Exception as error:  # damaged files fail in as many ways as there are bytes
        problem = " ".join(str(error).split())
        raise InputError(
            f"{root / path}: {problem}; export the series again, or take this file out"
        ) from None


def write_series(
    series: Series,
    denoised: np.ndarray,
    seen_hu: tuple[float, float],
    maker: Maker,
    folder: Path,
) -> int:
    """Write the derived series, each file where its source lies; how many pixels were clipped.

    denoised : HU of `read_volume`'s shape, writable: becomes what the written files hold.
    seen_hu : what the method takes in (`merge`). A file of several frames becomes a folder.
    """
    clipped = 0
    for row, header in enumerate(track(series.headers, "writing", delay=PATIENCE_S)):
        source, frame = read_slice(series.root, header.path)
        flat = source if frame is None else frame_dataset(source, frame)
        stored = stored_values(source, frame)
        merged, count = merge(stored, denoised[row], coding_of(flat), seen_hu)
        clipped += count
        denoised[row] = stored_to_hu(flat, merged)
        target = folder / _target(header.path, frame)
        target.parent.mkdir(parents=True, exist_ok=True)
        derive(source, frame, merged, series.uid, maker).save_as(target, enforce_file_format=True)
    return clipped


def _target(path: str, frame: int | None) -> str:
    return path if frame is None else f"{path.rpartition(FRAME)[0]}/{frame:04d}.dcm"


def _one_file(source: Path) -> tuple[Path, Sequence[str]]:
    if not source.is_file():
        raise InputError(f"{source}: no such file or folder; expected a CT series")
    return source.parent, [source.name]
