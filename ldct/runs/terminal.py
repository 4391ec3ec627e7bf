"""Table I of a run as text for a terminal, at once: nothing but its CSV file is read."""

import csv
import shutil
import textwrap
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path

from ldct.common.errors import InputError

HEADS = ["", "PSNR, dB", "gain", "in the paper", "SSIM", "gain", "in the paper"]
MARKS = {"best": "*", "near": "~", "": " "}
DIGITS = {"psnr": 2, "ssim": 3}


def table1_text(folder: Path) -> str:
    """Table I with gains, in aligned columns, and what it was measured on.

    folder : of a run, with tables/table1.csv, or of the reference results, with table1.csv.
    Raises InputError where neither is there.
    """
    files = [
        path for path in (folder / "tables/table1.csv", folder / "table1.csv") if path.exists()
    ]
    if not files:
        file = folder / "tables/table1.csv"
        raise InputError(f"{file}: not found; ./run.sh with the run's configuration makes it")
    with files[0].open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    table = [HEADS]
    for in_paper, group in groupby(rows, lambda row: row["in_paper"]):
        table += [] if in_paper == "True" else [["Not in the paper's table"]]
        table += [_cells(row) for row in group]
    full = [cells for cells in table if len(cells) == len(HEADS)]
    widths = [max(map(len, column)) for column in zip(*full, strict=True)]
    lines = [_line(cells, widths) for cells in table]
    about = textwrap.wrap(_about(rows), shutil.get_terminal_size((100, 24)).columns)
    return "\n".join([*lines, "", *about])


def _cells(row: Mapping[str, str]) -> list[str]:
    title = row["title"] + ("†" if row["adversary"] == "not at work" else "")
    if row["status"] != "scored":
        return [f"{title}: not run: {row['reason']}"]
    cells = [title]
    for metric, digits in DIGITS.items():
        gain = f"{metric}_gain"
        ends = [_number(row[f"{gain}_{end}"], f"+.{digits}f") for end in ("lower", "upper")]
        cells += [
            _number(row[metric], f".{digits}f") + MARKS[row[f"{metric}_mark"]],
            _number(row[gain], f"+.{digits}f") + (f" [{', '.join(ends)}]" if ends[0] else ""),
            _number(row[f"published_{gain}"], f"+.{digits}f"),
        ]
    return cells


def _number(text: str, form: str) -> str:
    return format(float(text), form).replace("-", "−") if text else ""


def _line(cells: list[str], widths: list[int]) -> str:
    padded = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=False)]
    return "  ".join([cells[0].ljust(widths[0]), *padded]).rstrip()


def _about(rows: list[dict[str, str]]) -> str:
    most = {key: max(int(row[key] or 0) for row in rows) for key in ("n_slices", "n_patients")}
    interval = any(row["psnr_gain_lower"] for row in rows)
    idle = any(row["adversary"] == "not at work" for row in rows)
    return (
        f"{rows[0]['dataset']}; test slices: {most['n_slices']}, patients: "
        f"{most['n_patients']}; {rows[0]['budget']}. Gain: over Low Dose of the same data, "
        + ("in brackets its interval over patients" if interval else "without interval")
        + ". *: the best; ~: within the margin of it."
        + (" †: adversary not at work." if idle else "")
    )
