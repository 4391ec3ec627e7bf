"""Files that verbs are given, opened; what is not as expected ends in one clear line."""

import importlib.util
import math
import sys
import traceback
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ldct.common.errors import InputError
from ldct.common.files import read_json

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

DEFLATE_AT_MOST = 1032  # bytes out of one: what the format can do
VOLUME_KEYS = ("patient", "slice_index", "z_mm")


def open_array(path: str | Path) -> "np.ndarray":
    """A .npy array as a read-only memory map. InputError where it is missing or no array."""
    import numpy as np

    try:
        return np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError:
        raise InputError(f"{path}: not found; expected a .npy array: make it first") from None
    except Exception as error:  # a damaged header fails in as many ways as there are bytes
        raise InputError(f"{path}: not a readable .npy array ({error}); make it again") from None


def check_claimed_size(path: str | Path, shape: Sequence[int], itemsize: int) -> None:
    """Raise InputError where a header claims more values than its file can hold, packed or not.

    Asked before memory is taken for them. itemsize : bytes of a value.
    """
    held = Path(path).stat().st_size
    most = held * (DEFLATE_AT_MOST if str(path).lower().endswith(".gz") else 1)
    if min(shape, default=0) < 1 or math.prod(map(int, shape)) * itemsize > most:
        sides = " x ".join(map(str, shape))
        raise InputError(
            f"{path}: its header claims {sides} values, the file has {held} bytes: cut or damaged; "
            "export it again"
        )


def open_prediction(path: str | Path, test_folder: str | Path) -> "tuple[np.ndarray, np.ndarray]":
    """A prediction and the NDCT of its test-set folder, [slice, row, column], as `open_array`.

    Raises InputError where their shapes differ.
    """
    reference = Path(test_folder) / "full.npy"
    prediction, ndct = open_array(path), open_array(reference)
    if prediction.shape != ndct.shape:
        raise InputError(
            f"{path}: found shape {prediction.shape}, expected {ndct.shape} as in {reference}; "
            "predict this test set again"
        )
    return prediction, ndct


def read_mapping(path: str | Path, *keys: str) -> dict[str, Any]:
    """A JSON file with a mapping that has at least `keys`. InputError where it is none."""
    try:
        content = read_json(path)
    except FileNotFoundError:
        raise InputError(f"{path}: not found; make it first") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: found no JSON mapping, expected one; make it again")
    missing = [key for key in keys if key not in content]
    if missing:
        raise InputError(
            f"{path}: found no {', '.join(missing)}, expected {', '.join(keys)}; make it again"
        )
    return content


def read_volume_info(folder: str | Path) -> dict[str, Any]:
    """Content of `volume.json` of a volume or test set. InputError where a key is missing."""
    return read_mapping(Path(folder) / "volume.json", *VOLUME_KEYS)


def read_frame(path: str | Path, columns: Sequence[str] = ()) -> "pd.DataFrame":
    """A parquet table with at least `columns`. InputError where it is missing or none."""
    import pandas as pd

    # A folder would be read as the parts of one table.
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file; expected a parquet table: make it first")
    try:
        frame = pd.read_parquet(path)
    except (ValueError, OSError) as error:  # pyarrow's errors are kinds of these
        problem = " ".join(str(error).split())
        raise InputError(f"{path}: not a parquet table ({problem}); make it again") from None
    missing = [column for column in columns if column not in frame]
    if missing:
        raise InputError(
            f"{path}: found no column {', '.join(missing)}, expected a table with "
            f"{', '.join(columns)}; name another file, or make it again"
        )
    return frame


def read_frames(paths: Sequence[str | Path], columns: Sequence[str] = ()) -> "pd.DataFrame":
    """Rows of all parquet tables, one below the other. InputError as for `read_frame`."""
    import pandas as pd

    frames = [read_frame(path, columns) for path in paths]
    # Tables without rows would change the types of columns.
    return pd.concat([frame for frame in frames if len(frame)] or frames[:1], ignore_index=True)


def import_file(path: str | Path) -> ModuleType:
    """Import a method's Python file by path, without it being on sys.path.

    Its folder is a package of its own, in which `from . import other` finds the files beside it.
    Raises InputError where the file is missing or fails.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: not found; expected the method's {path.name}")
    folder = path.resolve().parent
    package = f"ldct_method_{folder.name}_{zlib.crc32(bytes(folder)):08x}"
    sys.modules[package] = ModuleType(package)
    sys.modules[package].__path__ = [str(folder)]
    specification = importlib.util.spec_from_file_location(f"{package}.{path.stem}", path)
    module = importlib.util.module_from_spec(specification)
    sys.modules[module.__name__] = module
    try:
        specification.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise InputError(f"{path}: {failure(error, folder)}{_import_hint(error, folder)}") from None
    return module


def failure(error: BaseException, folder: Path) -> str:
    """What an exception says, in one line, with the last place in a file of `folder`."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [frame for frame in frames if Path(frame.filename).resolve().parent == folder]
    place = f" ({Path(places[-1].filename).name}, line {places[-1].lineno})" if places else ""
    return f"fails: {type(error).__name__}: {' '.join(str(error).split())}{place}"


def _import_hint(error: BaseException, folder: Path) -> str:
    name = getattr(error, "name", None) if isinstance(error, ModuleNotFoundError) else None
    if name is None:
        return ""
    top = name.split(".")[0]
    if (folder / f"{top}.py").is_file() or (folder / top).is_dir():
        return f"; a file beside it is imported by `from . import {top}`, so write that"
    return f"; install the package {top} into the environment of the workflow"
