"""What a configuration will have to compute: tiles, test slices and volumes, before any data."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from ldct.data.dicom.naming import DOSES
from ldct.data.tiles import VOLUME

# Of the tiles of the challenge's training slices the paper kept 281,660 of 325,888.
KEPT_SHARE = 281_660 / 325_888
SIDE = 512
MEBI = 2**20


def expected_tiles(settings: Mapping[str, Any], data: Path) -> tuple[int, str]:
    """Number of training tiles, and where the number is from; without the validation patient's.

    settings : of `ldct.configuration.resolve.resolve_run`. data : data folder; need not exist.
    """
    if settings["weights"]:
        return settings["weights"]["tiles"], "of the weights' own training; nothing is trained here"
    held_out = settings["validation"]["patient"]
    table = data / "tiles.npy"
    if table.is_file() and "" in settings["folds"]:
        tiles = np.load(table, mmap_mode="r")
        if held_out is None:
            return len(tiles), str(table)
        number = settings["train_patients"].index(held_out)
        return int((tiles[:, VOLUME] != number).sum()), f"{table} without {held_out}"
    size, stride = settings["tiles"]["size"], settings["tiles"]["stride"]
    folds = settings["folds"].values()
    counts = [listed_slices(settings, set(fold["train"]) - {held_out}) for fold in folds]
    slices = round(fmean(counts))
    per_slice = ((SIDE - size) // stride + 1) ** 2
    each = " (mean of the folds)" if len(counts) > 1 else ""
    reason = (
        f"estimate: {slices} training slices{each}, {KEPT_SHARE:.1%} of their tiles hold tissue"
    )
    return round(slices * per_slice * KEPT_SHARE), reason


def expected_slices(settings: Mapping[str, Any]) -> dict[str, int]:
    """Test patient to number of slices, at most; those added for lesions are not known."""
    every = 1 if settings["test"] == "all" else settings["test"]["every"]
    listed = {name: listed_slices(settings, [name]) for name in settings["test_patients"]}
    return {name: min(n, -(-n // every) + settings["texture_slices"]) for name, n in listed.items()}


def expected_volume_mb(settings: Mapping[str, Any]) -> float:
    """MiB of both doses of all training patients, a validation patient included."""
    voxels = listed_slices(settings, settings["train_patients"]) * SIDE**2
    return voxels * len(DOSES) * np.dtype(np.int16).itemsize / MEBI


def without_slices(settings: Mapping[str, Any], data: Path) -> list[str]:
    """Patients whose slices would be counted, but the data set's file does not list how many."""
    counted = settings["train_patients"] if not (data / "tiles.npy").is_file() else []
    listed = settings["dataset"]["patients"]
    return [name for name in [*counted, *settings["test_patients"]] if "slices" not in listed[name]]


def listed_slices(settings: Mapping[str, Any], patients: Iterable[str]) -> int:
    """Slices of some patients, as the data set's file lists them; 0 where it does not say."""
    listed = settings["dataset"]["patients"]
    return sum(listed[name].get("slices") or 0 for name in patients)
