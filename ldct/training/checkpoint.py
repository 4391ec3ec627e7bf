"""Checkpoints: everything a training needs to go on as if it had never stopped."""

import pickle
from pathlib import Path
from typing import Any

import torch

from ldct.files import atomic_path


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write tensors, numbers and strings atomically; readable with `weights_only=True`."""
    with atomic_path(path) as temporary:
        torch.save(state, temporary)


def load_checkpoint(path: Path, fingerprint: str) -> dict[str, Any] | None:
    """Read a checkpoint made by the same stage, data and code; None where there is none.

    fingerprint : digest of all that defines the training; a checkpoint of another one is ignored.
    """
    if not path.is_file():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError):
        return None
    return state if state.get("fingerprint") == fingerprint else None
