"""Folders of volumes and test sets with made-up pixels."""

import json
from pathlib import Path
from typing import Any

import numpy as np


def volume_info(slices: int, **changes: Any) -> dict[str, Any]:
    """Content of the volume.json of so many slices."""
    return {
        "patient": "L001",
        "dataset": "synthetic",
        "slice_index": list(range(slices)),
        "z_mm": [float(index) for index in range(slices)],
        "origin_mm": [0.0, 0.0],
        "pixel_mm": [0.7, 0.7],
        "thickness_mm": 1.0,
        "kernel": "B30f",
        **changes,
    }


def write_doses(folder: Path, full: np.ndarray, quarter: np.ndarray, **changes: Any) -> Path:
    """Write both doses as int16 HU with their volume.json; the patient bears the folder's name."""
    folder.mkdir(parents=True)
    np.save(folder / "full.npy", np.asarray(full, np.int16))
    np.save(folder / "quarter.npy", np.asarray(quarter, np.int16))
    info = volume_info(len(full), **{"patient": folder.name, **changes})
    (folder / "volume.json").write_text(json.dumps(info))
    return folder
