"""Values of DICOM headers: a finite number, or an error that names tag and value."""

import logging
import math

import pydicom
from pydicom.dataset import Dataset

SHOWN = 40  # characters of a value in a message

# pydicom would warn about odd values and quote them, names too; here they are checked and told.
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
pydicom.config.logger.setLevel(logging.CRITICAL)  # nor a traceback for each damaged slice


class HeaderError(ValueError):
    """A header value that cannot be used. field : the tag; the message is one line."""

    def __init__(self, field: str, message: str):
        super().__init__(field, message)  # both: errors travel between processes
        self.field = field

    def __str__(self) -> str:
        return self.args[1]


def numbers(
    dataset: Dataset, keyword: str, count: int, positive: bool = False
) -> tuple[float, ...]:
    """The `count` finite numbers of one tag.

    Raises HeaderError where the tag is missing or empty, or holds anything else.
    """
    values = _numbers(_values(dataset, keyword))
    if len(values) == count and (not positive or min(values) > 0):
        return values
    kind = "a number" if count == 1 else f"{count} numbers"
    expected = f"{kind}{' above 0' if positive else ''}"
    raise HeaderError(keyword, f"{keyword} is {_shown(dataset, keyword)}, expected {expected}")


def number(dataset: Dataset, keyword: str, positive: bool = False) -> float:
    """The one finite number of a tag; HeaderError where there is none."""
    return numbers(dataset, keyword, 1, positive)[0]


def whole(dataset: Dataset, keyword: str, default: int | None = None) -> int | None:
    """The whole number of a tag, `default` where it is missing or empty; else HeaderError."""
    found = _values(dataset, keyword)
    if _no_text(found):
        return default
    values = _numbers(found)
    if len(values) != 1 or not values[0].is_integer():
        shown = _shown(dataset, keyword)
        raise HeaderError(keyword, f"{keyword} is {shown}, expected a whole number")
    return int(values[0])


def words(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    """The values of a text tag; none where it is missing or empty."""
    return tuple(str(value) for value in _values(dataset, keyword))


def is_empty(dataset: Dataset, keyword: str) -> bool:
    """Whether a tag is missing or has no value."""
    return _no_text(_values(dataset, keyword))


def _values(dataset: Dataset, keyword: str) -> list:
    try:
        value = dataset[keyword].value
    except KeyError:
        return []
    except Exception:  # pydicom found no number in it
        value = dataset.get_item(keyword).value.decode("ascii", "replace").split("\\")
    if value is None or isinstance(value, (str, bytes)):
        return [] if value in (None, "", b"") else [value]
    return list(value) if hasattr(value, "__iter__") else [value]


def _numbers(found: list) -> tuple[float, ...]:
    """The values as finite numbers; none where one is no number."""
    try:
        values = tuple(map(float, found))
    except (TypeError, ValueError, OverflowError):
        return ()
    if not all(map(math.isfinite, values)) or "_" in "".join(map(str, found)):
        return ()  # Python reads 1_0 as 10
    return values


def _no_text(found: list) -> bool:
    return all(str(value).strip("\0 ") == "" for value in found)


def _shown(dataset: Dataset, keyword: str) -> str:
    if keyword not in dataset:
        return "missing"
    if is_empty(dataset, keyword):
        return "empty"
    return repr("\\".join(words(dataset, keyword))[:SHOWN]).replace("\\\\", "\\")
