"""Paths that a user writes into a configuration: `~` and `$NAME` expanded, braces refused."""

import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ldct.common.errors import InputError


def resolve_paths(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration whose paths are written out; those of files that a run needs are looked at.

    Raises InputError with one line naming the key, where a path cannot be read as one, or where
    the file of `lesions_csv` or `perceptual_weights` is missing.
    """
    resolved = dict(config)
    for key in ("dataset_root", "lesions_csv"):
        if config.get(key):
            resolved[key] = expand_path(config[key], key)
    if "method_paths" in config:
        given = enumerate(config["method_paths"])
        resolved["method_paths"] = [expand_path(path, f"method_paths.{n}") for n, path in given]
    if "demo" in config:
        archives = expand_path(config["demo"]["archives"], "demo.archives")
        resolved["demo"] = {**config["demo"], "archives": archives}
    weights = {
        name: path and _existing(path, f"perceptual_weights.{name}", "a torchvision state dict")
        for name, path in (config.get("perceptual_weights") or {}).items()
    }
    if weights:
        resolved["perceptual_weights"] = weights
    if resolved.get("lesions_csv"):
        _existing(resolved["lesions_csv"], "lesions_csv", "a CSV file (docs/data.md)")
    return resolved


def expand_dataset(dataset: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The description of a data set with its paths written out. where : its file, for messages.

    Raises InputError as `expand_path`.
    """
    patients = {name: dict(entry) for name, entry in dataset["patients"].items()}
    for name, entry in patients.items():
        if "lidc_xml" in entry:
            key = f"patients.{name}.lidc_xml"
            entry["lidc_xml"] = expand_path(entry["lidc_xml"], key, where)
    root = expand_path(dataset["root"], "root", where)
    expanded = {**dataset, "root": root, "patients": patients}
    if "manifest" in dataset:
        # Beside the description, so that a run from another folder finds it.
        file = Path(where).parent / expand_path(dataset["manifest"], "manifest", where)
        if not file.is_file():
            raise InputError(
                f"{where}: key 'manifest': found no file {file}, expected a CSV (docs/data.md)"
            )
        expanded["manifest"] = str(file)
    return expanded


def _existing(text: str, key: str, expected: str) -> str:
    path = expand_path(text, key)
    if not Path(path).is_file():
        raise InputError(
            f"configuration: key '{key}': found no file {path}, expected {expected}, or null"
        )
    return path


def expand_path(text: str, key: str, where: str = "configuration") -> str:
    """A path with `~` and environment variables replaced.

    key, where : what messages name.
    Raises InputError where a home or variable is unknown, or where braces are left.
    """
    found = f"{where}: key '{key}': found '{text}'"
    try:
        home = str(Path(text).expanduser()) if text.startswith("~") else text
    except RuntimeError:
        raise InputError(
            f"{found}, but there is no such user; write ~/ for your own home, ./~ for a name "
            "with ~, or the path out"
        ) from None
    path = os.path.expandvars(home)
    unset = re.search(r"\$\{?\w+\}?", path)
    if unset and not Path(path).exists():
        raise InputError(
            f"{found}, but the environment variable {unset[0]} is not set; write the path out"
        )
    if set(path) & set("{}"):
        raise InputError(
            f"{found}, but Snakemake takes braces in paths for wildcards; rename the folder or "
            "file, or name a link to it that has none"
        )
    return path


def check_reader_marks(dataset: Mapping[str, Any]) -> None:
    """Raise InputError where the LIDC reader XML of a patient is no file."""
    for patient, entry in dataset["patients"].items():
        file = entry.get("lidc_xml")
        if file is not None and not Path(file).is_file():
            raise InputError(
                f"data set {dataset['name']}: key 'patients.{patient}.lidc_xml': found no file "
                f"{file}, expected its LIDC reader XML; correct the path, or leave the key out"
            )


def check_source(dataset: Mapping[str, Any], index: Path) -> None:
    """Raise InputError where the DICOM folder of a data set that users provide is missing.

    dataset : description of the data set; the workflow makes the folder of public scans.
    index : index of the data set; where it exists, the DICOM files have been read already.
    """
    folder = dataset.get("source", dataset["root"])  # None: the series are fetched
    made = dataset["name"] == "demo" or folder is None
    if made or index.is_file() or Path(folder).is_dir():
        return
    raise InputError(
        f"data set {dataset['name']}: no folder {folder}; put the DICOM files there, or "
        "name their folder: --config dataset_root=FOLDER"
    )


def named_file(folder: Path, name: str, key: str) -> Path:
    """File `<folder>/<name>.yaml`, or `name` itself where it is a path of a YAML file."""
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if name in known:
        return folder / f"{name}.yaml"
    others = f"{', '.join(known)}, or the path of a YAML file"
    if name.endswith((".yaml", ".yml")):
        path = Path(expand_path(name, key))
        if path.is_file():
            return path
        raise InputError(f"configuration: key '{key}': found no file {path}; known: {others}")
    close = get_close_matches(name, known, n=1)
    hint = f" (did you mean '{close[0]}'?)" if close else ""
    raise InputError(f"configuration: key '{key}': found '{name}'{hint}; known: {others}")
