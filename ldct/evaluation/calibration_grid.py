"""What the protocol solver tries, and the published row that it has to meet."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ldct.errors import InputError
from ldct.evaluation.protocol import SsimWindow, ssim_window
from ldct.files import read_yaml
from ldct.schema import validate

MEASURES = ("psnr", "ssim", "rmse_hu")
# Columns of the table of settings: the window in HU, and the other choices.
WINDOW = ["lower", "upper"]
CHOICES = ["clip", "psnr_range", "ssim", "averaging"]


@dataclass(frozen=True)
class SsimVariant:
    """One way to take SSIM: its local window, and its range in window widths or "prediction"."""

    window: SsimWindow
    data_range: float | Literal["prediction"]

    def describe(self) -> str:
        """E.g. "uniform 7, range 1"."""
        shown = self.data_range if self.data_range == "prediction" else f"{self.data_range:g}"
        return f"{self.window.kind} {self.window.extent:g}, range {shown}"


@dataclass(frozen=True)
class Cut:
    """One treatment of pixel values: a window in HU, and whether images are clipped to it."""

    lower: float
    upper: float
    clip: bool

    @property
    def width(self) -> float:
        """Window width in HU."""
        return self.upper - self.lower


@dataclass(frozen=True)
class Grid:
    """All that is tried: every window (named and scanned) with every other choice.

    used_by : named windows (lower, upper; HU) to who uses them. centres, widths : the scan, HU.
    tolerance : per measure, the standard deviation of what data handling alone can change.
    positions : places at which SSIM is taken while searching, over all slices together.
    refinements : number of places between the scanned windows from which the best is sought.
    exact : number of best settings that are scored again on every pixel.
    """

    used_by: dict[tuple[float, float], str]
    centres: tuple[float, ...]
    widths: tuple[float, ...]
    clips: tuple[bool, ...]
    psnr_ranges: tuple[float, ...]
    ssim: tuple[SsimVariant, ...]
    averagings: tuple[str, ...]
    tolerance: dict[str, float]
    positions: int
    refinements: int
    exact: int

    def cuts(self) -> list[Cut]:
        """Every window, clipped and not, each once; named windows first."""
        scanned = [(c - w / 2, c + w / 2) for c, w in product(self.centres, self.widths)]
        windows = dict.fromkeys([*self.used_by, *scanned])
        return [Cut(*window, clip) for window, clip in product(windows, self.clips)]


@dataclass(frozen=True)
class PublishedRow:
    """A published Low Dose row.

    values : measure ("psnr" in dB, "ssim", "rmse_hu" in HU) to the printed value.
    decimals : measure to the number of printed decimals.
    source : where it is printed.
    """

    values: dict[str, float]
    decimals: dict[str, int]
    source: str

    def rounding(self, measure: str) -> float:
        """Standard deviation of the rounding of the printed value (uniform in the last digit)."""
        return 10.0 ** -self.decimals[measure] / math.sqrt(12)


def load_grid(path: str | Path) -> Grid:
    """Read one grid file (config/calibration/*.yaml).

    Raises InputError with one line that names the file, the key and what is allowed.
    """
    where = f"calibration grid {path}"
    content = _read(path, where)
    validate(content, "calibration", where)
    for entry in content["windows"]:
        lower, upper = entry["window"]
        if not lower < upper:
            raise InputError(
                f"{where}: windows: found [{lower}, {upper}], expected the lower bound below the "
                "upper one"
            )
    scan = content["scan"]["centre"]
    if scan["from"] > scan["to"]:
        raise InputError(
            f"{where}: scan.centre: found from {scan['from']} to {scan['to']}, expected from the "
            "smaller to the larger"
        )
    count = int((scan["to"] - scan["from"]) / scan["step"] + 1e-9) + 1
    return Grid(
        used_by={
            (float(entry["window"][0]), float(entry["window"][1])): entry["used_by"]
            for entry in content["windows"]
        },
        centres=tuple(float(scan["from"] + scan["step"] * number) for number in range(count)),
        widths=tuple(sorted(map(float, content["scan"]["width"]))),
        clips=tuple(content["clip"]),
        psnr_ranges=tuple(map(float, content["psnr_ranges"])),
        ssim=tuple(
            SsimVariant(ssim_window(entry, where), entry["data_range"]) for entry in content["ssim"]
        ),
        averagings=tuple(content["averaging"]),
        tolerance=content["tolerance"],
        positions=content["positions"],
        refinements=content["refinements"],
        exact=content["exact"],
    )


def load_published(path: str | Path, row: str = "low_dose") -> tuple[PublishedRow, dict[str, int]]:
    """Read a published row, and the published counts beside it (may be empty).

    path : YAML or JSON; either flat (`psnr`, `ssim`, `rmse_hu`; any of them) or with `rows`, of
        which `row` is taken, as config/published.yaml.
    Raises InputError with one line.
    """
    where = f"published row {path}"
    content = _read(path, where)
    if not isinstance(content, Mapping):
        raise InputError(f"{where}: expected keys psnr, ssim, rmse_hu, or rows of them")
    rows, counts = content.get("rows", {row: content}), content.get("counts", {})
    for key, found in (("rows", rows), ("counts", counts)):
        if not isinstance(found, Mapping):
            raise InputError(f"{where}: key '{key}': found {found!r}, expected a mapping")
    if row not in rows:
        raise InputError(f"{where}: no row '{row}'; known: {', '.join(map(str, rows))}")
    if not isinstance(rows[row], Mapping):
        raise InputError(f"{where}: row '{row}': found {rows[row]!r}, expected psnr, ssim, rmse_hu")
    printed = {name: str(rows[row][name]) for name in MEASURES if name in rows[row]}
    parts = [str(content.get("source", Path(path).name)), rows[row].get("place", "")]
    source = ", ".join(filter(None, parts))
    return published_row(printed, source, where), dict(counts)


def published_row(printed: Mapping[str, str], source: str, where: str) -> PublishedRow:
    """A row from values as they are printed, so that their decimals are known.

    Raises InputError where there is none, one is no number, or an SSIM lies outside [-1, 1].
    """
    if not printed:
        raise InputError(f"{where}: found no psnr, ssim or rmse_hu; expected at least one")
    values = {}
    for name, text in printed.items():
        try:
            values[name] = float(text)
        except ValueError:
            raise InputError(f"{where}: {name}: found '{text}', expected a number") from None
        limit = 1.0 if name == "ssim" else np.inf
        if not (np.isfinite(values[name]) and abs(values[name]) <= limit):
            expected = "a number from -1 to 1" if name == "ssim" else "a finite number"
            raise InputError(f"{where}: {name}: found {text}, expected {expected}")
    decimals = {
        name: max(0, -int(Decimal(text).as_tuple().exponent)) for name, text in printed.items()
    }
    return PublishedRow(values, decimals, source)


def _read(path: str | Path, where: str) -> Any:
    try:
        return read_yaml(path)
    except FileNotFoundError:
        raise InputError(f"{where}: not found") from None
