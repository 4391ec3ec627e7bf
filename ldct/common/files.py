"""Atomic writing: a reader sees the old file or folder, none, or the whole new one."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from ldct.common.errors import InputError

# In C where PyYAML has it: a start of the workflow reads some seventy files.
SAFE_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it onto `path` when the block succeeds.

    The temporary name keeps the suffix of `path` (writers that pick a format by suffix work).
    The parent folder is created. When the block raises, the temporary file is removed and `path`
    is left as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
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
    except ValueError as error:  # of the text's encoding as well
        raise InputError(f"{path}: not valid JSON: {' '.join(str(error).split())}") from None


def read_yaml(path: str | Path) -> Any:
    """Read one YAML file with the safe loader. Raises InputError where it is none."""
    try:
        return yaml.load(Path(path).read_text(encoding="utf-8"), Loader=SAFE_LOADER)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None


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
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        if folder.exists():
            shutil.rmtree(folder)
        temporary.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def repository_root() -> Path:
    """Folder with Snakefile, workflow/, config/, methods/: the checkout, or `suite` of a wheel."""
    package = Path(__file__).resolve().parents[1]
    return package.parent if (package.parent / "Snakefile").is_file() else package / "suite"


REPOSITORY = repository_root()
