"""Files of a folder of DICOM files: listed, opened, and one text that tells whether any changed."""

import hashlib
import mmap
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from ldct.common.provenance import RECORD_SUFFIX

# Raw projections lie beside the images, tens of thousands of files a patient.
PROJECTION_FOLDERS = ("dicom-ct-pd", "projections")
METADATA_NAME = "metadata.csv"
NO_SLICES = (".csv", ".json", ".log", ".md", ".pdf", ".txt", ".xlsx", ".xml")
EVERYTHING = ""


def list_files(
    root: Path, onerror: Callable[[OSError], object] | None = None
) -> tuple[list[str], int]:
    """Relative paths of the files under `root`, sorted; and how many projections were passed.

    Links to folders are followed, but not into a folder that they lie in. Hidden files and this
    suite's own provenance records are no part of a data set. onerror : gets the error of each
    folder that cannot be opened.
    """
    paths, projections = [], 0
    inside = {str(root): {_identity(root)}}  # the folders that a folder lies in, itself among them
    for folder, subfolders, files in os.walk(root, onerror=onerror, followlinks=True):
        above = inside.pop(folder)
        places = {name: str(Path(folder, name)) for name in subfolders if name[0] != "."}
        subfolders[:] = [name for name in places if _identity(places[name]) not in above]
        inside |= {places[name]: above | {_identity(places[name])} for name in subfolders}
        place = Path(folder).relative_to(root)
        if any(word in part.lower() for part in place.parts for word in PROJECTION_FOLDERS):
            projections += len(files)
            continue
        paths += [
            (place / name).as_posix()
            for name in files
            if not name.startswith(".") and not name.endswith(RECORD_SUFFIX)
        ]
    return sorted(paths), projections


@contextmanager
def mapped(path: Path) -> Iterator[BinaryIO | mmap.mmap]:
    """A file open for reading that never gives, nor sets memory aside for, more than it holds.

    Damaged lengths claim gigabytes, which `read` of a plain file allocates.
    """
    with path.open("rb") as stream:
        if not path.stat().st_size:  # nothing to map
            yield stream
            return
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as whole:
            yield whole


def _identity(folder: str | Path) -> tuple[int, int]:
    status = Path(folder).stat()
    return status.st_dev, status.st_ino


def digests(root: str | Path, patients: Iterable[str]) -> dict[str, str]:
    """Count, and sha256 of names, sizes and times, of all files (EVERYTHING) and of a patient's.

    A file below a folder named after patients is theirs; another may be anybody's, but for texts.
    """
    root, codes = Path(root), {patient.casefold(): patient for patient in patients}
    found: dict[str, list[str]] = {name: [] for name in (EVERYTHING, *codes.values())}
    for path in list_files(root)[0]:
        try:
            status = (root / path).stat()
        except FileNotFoundError:  # a link to nothing
            status = os.lstat(root / path)
        line = f"{path}\0{status.st_size}\0{status.st_mtime_ns}"
        place = PurePosixPath(path)
        text = place.suffix.lower() in NO_SLICES and place.name != METADATA_NAME
        owners = {codes[part] for part in path.casefold().split("/")[:-1] if part in codes}
        for name in (EVERYTHING, *(owners or (() if text else codes.values()))):
            found[name].append(line)
    return {name: _in_short(lines) for name, lines in found.items()}


def _in_short(lines: Sequence[str]) -> str:
    content = "\n".join(lines).encode(errors="surrogateescape")
    return f"{len(lines)} files, sha256 {hashlib.sha256(content).hexdigest()}"
