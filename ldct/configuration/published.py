"""The published table: what the paper prints, for every command that compares with it."""

from pathlib import Path
from typing import Any

from ldct.common.errors import InputError
from ldct.common.files import read_yaml
from ldct.common.schema import validate


def read_published(path: str | Path, *needed: str) -> dict[str, Any]:
    """Read and check a file like config/published.yaml.

    needed : keys beside `rows` that the caller cannot do without.
    Returns its content: `rows` (method id to title, psnr, ssim), `source`, `place`, `counts`.
    Raises InputError naming the file, the key, and what is allowed.
    """
    where = f"published table {path}"
    try:
        content = read_yaml(path)
    except FileNotFoundError:
        raise InputError(f"{where}: not found; give a file like config/published.yaml") from None
    validate(content, "published", where)
    missing = [key for key in needed if key not in content]
    if missing:
        raise InputError(f"{where}: missing {', '.join(missing)}; see config/published.yaml")
    return content
