"""What the paper prints, and the margins within which this suite calls two values equal."""

from pathlib import Path
from typing import Any

from ldct.common.errors import InputError
from ldct.common.schema import read_valid


def read_published(path: str | Path, *needed: str) -> dict[str, Any]:
    """Read and check a file like config/published.yaml.

    needed : keys beside `rows` that the caller cannot do without.
    Returns its content: `rows` (method id to title, psnr, ssim), `source`, `place`, `counts`.
    Raises InputError naming the file, the key, and what is allowed.
    """
    content = read_valid(path, "published", "published table", "a file like config/published.yaml")
    missing = [key for key in needed if key not in content]
    if missing:
        raise InputError(
            f"published table {path}: missing {', '.join(missing)}; see config/published.yaml"
        )
    return content


def read_margins(path: str | Path) -> dict[str, float]:
    """Metric to margin, in the metric's unit, of a file like config/margins.yaml.

    Raises InputError naming the file, the key, and what is allowed.
    """
    content = read_valid(path, "margins", "margins", "a file like config/margins.yaml")
    return {metric: float(entry["margin"]) for metric, entry in content.items()}
