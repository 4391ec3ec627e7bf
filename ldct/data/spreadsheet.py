"""Tables as spreadsheets write them: any separator, encoding and decimal sign that is told."""

import codecs
import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from ldct.common.errors import InputError

SEPARATORS = (",", ";", "\t", "|")


@dataclass(frozen=True)
class Row:
    """One row of a table: its file, its line, and the text of its cells by column.

    decimal_comma : whether `12,5` is a number here: not where commas part the columns.
    """

    path: str | Path
    line: int
    cells: Mapping[str, str]
    decimal_comma: bool

    def number(self, column: str, above: float | None = None) -> float:
        """The number in a cell. InputError where there is none, or it is not above the bound."""
        text = self.cells[column].replace("\u2212", "-")  # the minus sign of word processors
        try:
            value = float(text.replace(",", ".") if self.decimal_comma else text)
        except ValueError:
            value = np.nan
        if not np.isfinite(value) or (above is not None and value <= above):
            raise self.bad(column, "a number" if above is None else f"a number above {above:g}")
        return value

    def bad(self, column: str, expected: str) -> InputError:
        """What is wrong with a cell."""
        found = self.cells[column]
        where = f"{self.path}, line {self.line}, column {column}"
        return InputError(f"{where}: found {found!r}, expected {expected}")


def read_sheet(path: str | Path, *formats: Sequence[str]) -> tuple[Sequence[str], list[Row]]:
    """The columns of the first format that a table has all of, and its rows with these cells.

    Columns are found by name, upper or lower case; others are left out, and so are rows without
    content. Comma, semicolon, tab or bar; UTF-8 or -16 with or without a byte-order mark, or else
    Windows' encoding.
    InputError with one line where the file is missing, is no text, or has no such columns.
    """
    text = _read_text(path)
    first, _, rest = text.partition("\n")
    told = first.strip(' \r"').lower().removeprefix("sep=")  # Excel's own first line
    lines = io.StringIO("\n" + rest if told in SEPARATORS else text, newline="")
    head = next((line for line in text.splitlines() if line.strip(" \t,;|")), "")
    separator = told if told in SEPARATORS else max(SEPARATORS, key=head.count)
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
    try:
        filled = [(reader.line_num, cells) for cells in reader if any(map(str.strip, cells))]
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: not a CSV table ({error})") from None
    if not filled:
        raise InputError(f"{path}: found no header, expected {', '.join(formats[0])}")
    names = [name.strip() for name in filled[0][1]]
    columns, places = _find_columns(path, names, formats)
    rows = []
    for line, cells in filled[1:]:
        if any(map(str.strip, cells[len(names) :])):
            raise InputError(
                f"{path}, line {line}: found {len(cells)} values, expected {len(names)} as in the "
                "header; with decimal commas, part the columns by semicolons"
            )
        cells = [cell.strip() for cell in cells] + [""] * (len(names) - len(cells))
        own = {column: cells[place] for column, place in zip(columns, places, strict=True)}
        rows.append(Row(path, line, own, separator != ","))
    return columns, rows


def _read_text(path: str | Path) -> str:
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such lesion file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}), expected a table") from None
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace")
    if b"\0" in data:
        raise InputError(
            f"{path}: found a workbook or another file that is no text, expected a table as text; "
            "save it as CSV"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _find_columns(
    path: str | Path, names: Sequence[str], formats: Sequence[Sequence[str]]
) -> tuple[Sequence[str], list[int]]:
    """The format whose columns are there, and where each of them stands."""
    folded = [name.casefold() for name in names]
    missing = {
        tuple(columns): [name for name in columns if name.casefold() not in folded]
        for columns in formats
    }
    columns = min(missing, key=lambda each: len(missing[each]) / len(each))
    if missing[columns]:
        first = missing[columns][0]
        close = get_close_matches(first.casefold(), folded, n=1)
        hint = f" (is '{names[folded.index(close[0])]}' meant?)" if close else ""
        raise InputError(
            f"{path}: column {', '.join(missing[columns])} is missing{hint}; found "
            f"{', '.join(filter(None, names))}; expected {', '.join(columns)}"
        )
    for column in columns:
        if folded.count(column.casefold()) > 1:
            raise InputError(
                f"{path}: column {column}: found {folded.count(column.casefold())} of this name, "
                "expected one; delete or rename the others"
            )
    return columns, [folded.index(column.casefold()) for column in columns]
