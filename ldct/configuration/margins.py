"""Margins of practical equality: what difference of a metric this suite calls one."""

from pathlib import Path

from ldct.common.errors import InputError
from ldct.common.files import read_yaml
from ldct.common.schema import validate

MARGINS = Path("config/margins.yaml")


def read_margins(path: str | Path) -> dict[str, float]:
    """Metric to margin, in the metric's unit, of a file like config/margins.yaml.

    Raises InputError naming the file, the key, and what is allowed.
    """
    where = f"margins {path}"
    try:
        content = read_yaml(path)
    except FileNotFoundError:
        raise InputError(f"{where}: not found; give a file like {MARGINS}") from None
    validate(content, "margins", where)
    return {metric: float(entry["margin"]) for metric, entry in content.items()}
