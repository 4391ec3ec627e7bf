"""Predictions made elsewhere: which files of a folder are one test patient's; none is opened."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ldct.common.errors import InputError
from ldct.common.files import sha256_of_file
from ldct.configuration.paths import expand_path

KIND = "predictions"
SUFFIXES = (".npy", ".nii.gz", ".nii")
LAYOUTS = "{0}.npy, {0}.nii.gz, {0}.nii, or a folder {0} of DICOM files"


def place_of(folder: Path, card: Mapping[str, Any]) -> Path:
    """The folder that a card of kind `predictions` names, beside the card where it is relative."""
    return folder / expand_path(card["predictions"], "predictions", f"{folder}/method.yaml")


def given_files(place: Path, patient: str) -> list[Path]:
    """One array file of a patient, or all files of the patient's folder, sorted.

    Raises InputError where there is no folder, nothing of this patient, or more than one thing.
    """
    if not place.is_dir():
        raise InputError(f"{place}: no such folder; expected predictions: correct the card")
    named = [*(place / f"{patient}{suffix}" for suffix in SUFFIXES), place / patient]
    found = [path for path in named if path.exists()]
    if len(found) == 1 and found[0].is_file():
        return found
    inside = found[0].rglob("*") if len(found) == 1 else ()
    files = sorted(path for path in inside if path.is_file() and not path.name.startswith("."))
    if not files:
        several = " and ".join(path.name for path in found) if len(found) > 1 else "nothing"
        expected = LAYOUTS.format(patient)
        raise InputError(f"{place}: found {several} of patient {patient}, expected {expected}")
    return files


def check_given(folder: Path, card: Mapping[str, Any], patients: Iterable[str]) -> None:
    """Raise InputError where a card names predictions that a test patient has no part in."""
    if card["kind"] == KIND:
        for patient in patients:
            files = given_files(place_of(folder, card), patient)
            if files[0].suffix == ".npy" and "slice_order" not in card:
                raise InputError(
                    f"{folder}/method.yaml: key 'slice_order': missing, but {files[0].name} has no "
                    "header; expected ascending or descending, the way of z through its slices"
                )


def describe_given(cards: Mapping[str, Mapping[str, Any]]) -> str:
    """What captions say after the budget of rows that the run did not make.

    >>> describe_given({"a": {"kind": "predictions", "title": "A"}, "b": {"kind": "network"}})
    '; given predictions: A'
    """
    titles = [card["title"] for card in cards.values() if card["kind"] == KIND]
    return f"; given predictions: {', '.join(titles)}" if titles else ""


def stamp_of(files: Iterable[Path]) -> str:
    """sha256 of names, sizes and times: another one where a file was changed."""
    status = [(path.name, path.stat()) for path in files]
    lines = [f"{name}\0{each.st_size}\0{each.st_mtime_ns}" for name, each in status]
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()


def sha256_of_given(place: Path, files: Iterable[Path]) -> dict[str, str]:
    """sha256 of each file's bytes, by its path from the folder of predictions."""
    return {path.relative_to(place).as_posix(): sha256_of_file(path) for path in files}
