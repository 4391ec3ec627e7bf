"""Checkpoints: everything a training needs to go on as if it had never stopped."""

import hashlib
import io
from pathlib import Path
from typing import Any

import torch

from ldct.files import atomic_path

DIGEST_BYTES = hashlib.sha256().digest_size


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write tensors, numbers and strings atomically.

    The file is the sha256 of all that follows, then what `torch.save` writes.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()
    with atomic_path(path) as temporary:
        temporary.write_bytes(hashlib.sha256(content).digest() + content)


def load_checkpoint(path: Path, fingerprint: str) -> dict[str, Any] | None:
    """Read a checkpoint made by the same stage, data and code; None where there is none.

    fingerprint : digest of all that defines the training; a checkpoint of another one is ignored,
        and so is a damaged one.
    """
    if not path.is_file():
        return None
    stored = path.read_bytes()
    digest, content = stored[:DIGEST_BYTES], stored[DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        return None
    state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return state if state["fingerprint"] == fingerprint else None
