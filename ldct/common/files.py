"""Atomic writing: a reader sees the old file or folder, none, or the whole new one."""

import errno
import hashlib
import json
import math
import os
import re
import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ldct.common.errors import InputError

if TYPE_CHECKING:
    import numpy as np

# In C where PyYAML has it: a start of the workflow reads some seventy files.
SAFE_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
MOST_VALUES, DEEPEST = 1_000_000, 200
ALMOST_FULL = 2**20  # bytes


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it onto `path` when the block succeeds.

    The temporary name keeps the suffix of `path` (writers that pick a format by suffix work).
    The parent folder is created. When the block raises, the temporary file is removed and `path`
    is left as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path.parent, path.stem, path.suffix)
    try:
        with _naming(path):
            yield temporary
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` as UTF-8 to `path`, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_durably(path: Path, *contents: bytes) -> None:
    """Write `contents` one after the other; returns when they are on the disk.

    Not atomic: for the temporary name of `atomic_path`, so that no renamed file is empty after a
    power cut.
    """
    with path.open("wb") as stream:
        for content in contents:
            stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def write_frame(path: str | Path, frame: Any) -> None:
    """Write a pandas table as parquet to `path`, atomically and without its index."""
    with atomic_path(path) as temporary:
        frame.to_parquet(temporary, index=False)


def write_json(path: str | Path, content: Any) -> None:
    """Write `content` as indented JSON with sorted keys to `path`, atomically."""
    write_text(path, json.dumps(content, indent=2, sort_keys=True) + "\n")


def read_json(path: str | Path) -> Any:
    """Read one JSON file. Raises InputError where it is none."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # of the text's encoding as well
        raise InputError(f"{path}: not valid JSON: {' '.join(str(error).split())}") from None


def read_yaml(path: str | Path) -> Any:
    """Read one YAML file with the safe loader. Raises InputError where it is none.

    A file whose aliases stand for more than a configuration can hold is refused before it grows.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        # The C library recurses, and would end the process.
        if sum(map(text.count, "[{-?:")) > DEEPEST and _depth(text) > DEEPEST:
            raise InputError(f"{path}: is nested more than {DEEPEST} deep; write it flat")
        loader = SAFE_LOADER(text)
        node = loader.get_single_node()
        if expanded_size(node) > MOST_VALUES:
            raise InputError(f"{path}: its aliases (*) stand for too many values; write them out")
        return None if node is None else loader.construct_document(node)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None


def _depth(text: str) -> int:
    deepest = depth = 0
    for event in yaml.parse(text, Loader=SAFE_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        deepest = max(deepest, depth)
        if depth > DEEPEST:
            break
    return deepest


def expanded_size(content: Any) -> float:
    """How many values nested lists, mappings or YAML nodes have, each as often as it stands there.

    Takes as long as they have values once; infinite where one holds itself.
    """
    sizes: dict[int, float] = {}

    def size_of(each: Any) -> float:
        each = each.value if isinstance(each, yaml.CollectionNode) else each
        if not isinstance(each, (list, tuple, dict)):
            return 1
        if id(each) not in sizes:
            sizes[id(each)] = math.inf  # until it is known: where it is met again, it holds itself
            inside = chain(each, each.values()) if isinstance(each, dict) else each
            sizes[id(each)] = 1 + sum(map(size_of, inside))
        return sizes[id(each)]

    return size_of(content)


def sha256_of_file(path: str | Path) -> str:
    """Hex sha256 of a file's bytes, read in blocks."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def atomic_folder(folder: str | Path) -> Iterator[Path]:
    """Yield a temporary folder beside `folder`; rename it onto `folder` when the block succeeds.

    A folder that is there is replaced. When the block raises, it is left as it was.
    """
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(folder.parent, folder.name)
    aside = temporary.with_suffix(".old.tmp")
    temporary.mkdir()
    try:
        with _naming(folder):
            yield temporary
            while True:
                try:
                    if folder.exists():
                        folder.replace(aside)  # not removed yet: readers miss it for a moment alone
                    temporary.replace(folder)
                    break
                except OSError as error:
                    # A job that outlived its snakemake was faster, with the same content.
                    if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                        raise
                    _remove(aside)
    finally:
        _remove(temporary)
        _remove(aside)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Have errors of the system name the file that was to be written; a full disk as such."""
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        if error.errno is None:  # NumPy counts bytes instead
            almost_full = shutil.disk_usage(path.parent).free < ALMOST_FULL
            if not almost_full and "free space" not in str(error):
                raise
            error.errno = errno.ENOSPC
        raise OSError(error.errno, os.strerror(error.errno), where_full(error, path)) from error


def where_full(error: OSError, path: str | Path) -> str:
    """The file that an error without a file name is of, or `/dev/shm` where that has no room.

    Pools of processes keep their locks there; in containers it may be of no size.
    """
    room = shutil.disk_usage(Path(path).absolute().parent).free
    shared = Path("/dev/shm")
    if error.errno == errno.ENOSPC and room > ALMOST_FULL and shared.is_dir():
        return str(shared if shutil.disk_usage(shared).free < ALMOST_FULL else path)
    return str(path)


def create_array(path: Path, shape: Sequence[int], dtype: Any) -> "np.ndarray":
    """A new .npy array, mapped to be filled. OSError where the disk has no room for all of it.

    Without the room taken first, a write into the map would end the process without a word.
    """
    import numpy as np

    array = np.lib.format.open_memmap(path, "w+", dtype=dtype, shape=tuple(shape))
    if hasattr(os, "posix_fallocate"):
        with path.open("rb+") as stream:
            try:
                os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)
            except OSError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                    raise
    return array


def _temporary(folder: Path, stem: str, suffix: str = "") -> Path:
    """A name of this process beside a file or folder; what killed processes left is removed."""
    start = f".{stem}.{socket.gethostname()}-"
    left = re.compile(rf"{re.escape(start)}(\d+)(\.old)?\.tmp{re.escape(suffix)}")
    for entry in os.scandir(folder):
        found = left.fullmatch(entry.name)
        if found and (int(found[1]) == os.getpid() or not _is_alive(int(found[1]))):
            _remove(Path(entry.path))
    return folder / f"{start}{os.getpid()}.tmp{suffix}"


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def repository_root() -> Path:
    """Folder with Snakefile, workflow/, config/, methods/: the checkout, or `suite` of a wheel."""
    package = Path(__file__).resolve().parents[1]
    return package.parent if (package.parent / "Snakefile").is_file() else package / "suite"


REPOSITORY = repository_root()
