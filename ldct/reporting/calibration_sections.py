"""The sections of the protocol solver's report, as Markdown."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ldct.evaluation.calibration import Calibration
from ldct.evaluation.calibration_grid import CHOICES
from ldct.evaluation.calibration_tiles import TileCount
from ldct.evaluation.resampling import FEW_SLICES, FEWEST_PATIENTS

NAMES = {"psnr": "PSNR, dB", "ssim": "SSIM", "rmse_hu": "RMSE, HU"}
DIGITS = {"psnr": 4, "ssim": 4, "rmse_hu": 3}
RUNNERS_UP = 10
GROUPS = 24  # combinations listed as not told apart
NO_SPREAD = (
    "Spread unknown: nothing is ruled out. So few slices or patients do not show how far the mean "
    "of others may be off; misfits are given without verdicts. Take more slices, or --same-slices "
    "where these are the very slices of the row."
)


def tile_text(tiles: TileCount, found: Calibration) -> str:
    """How many tiles each lower bound keeps, and which bound keeps the published number."""
    bounds = tiles.bounds()
    if bounds is None:
        first = (
            f"The training volumes hold {len(tiles.maxima):,} tiles in all, fewer than the "
            f"published {tiles.published:,}: they are not its volumes, and the count says nothing."
        )
    else:
        first = (
            f"Published: {tiles.published:,}. Of {len(tiles.maxima):,} tiles the nearest number, "
            f"{tiles.kept(bounds[0]):,}, is kept by a lower bound from {bounds[0]:g} to below "
            f"{bounds[1]:g} HU."
        )
    named = found.settings[found.settings["used_by"] != ""]
    lowers = sorted({float(found.best["lower"]), -500.0, *named["lower"].astype(float)})
    rows = [
        [f"{lower:g}", f"{tiles.kept(lower):,}", f"{tiles.kept(lower) / len(tiles.maxima):.1%}"]
        for lower in lowers
    ]
    text = _table(["Lower bound, HU", "Tiles kept", "of all"], rows)
    rule = (
        "A tile is kept where one of its quarter-dose pixels lies above the lower bound: clipped "
        "to a window, the others are all zero. The bound by which tiles were dropped need not be "
        "that of the window by which images were scored, so the count is no part of the misfit."
    )
    return f"{first}\n\n{text}\n\n{rule}"


def runners_up(found: Calibration) -> str:
    """The best window of each combination of the other choices, best first."""
    shown = found.best_by(CHOICES).head(RUNNERS_UP + 1).reset_index(drop=True)
    rows = []
    for number, (_, setting) in enumerate(shown.iterrows()):
        earlier = [
            str(other + 1)
            for other in range(number)
            if np.allclose(
                shown.loc[other, _found_columns(found)].astype(float),
                setting[_found_columns(found)].astype(float),
                rtol=0,
                atol=1e-9,
            )
        ]
        rows.append([str(number + 1), *_setting_cells(found, setting), ", ".join(earlier)])
    header = ["", *_setting_header(found), "Same numbers as"]
    return "The best window for each combination of the other choices.\n\n" + _table(header, rows)


def identifiability(found: Calibration) -> str:
    """Which settings give the row as well as the best one does."""
    if not found.spread_known:
        return NO_SPREAD
    close = found.settings[~found.settings["told_apart"].astype(bool)]
    first = (
        f"{len(close):,} of {len(found.settings):,} settings cannot be told apart from the best "
        f"at 95 %. Their windows are {close['width'].min():g} to {close['width'].max():g} HU wide, "
        f"with lower bounds from {close['lower'].min():g} to {close['lower'].max():g} HU."
    )
    named = close[close["used_by"] != ""].drop_duplicates(["lower", "upper"])
    windows = [f"[{row.lower:g}, {row.upper:g}]" for row in named.itertuples()]
    second = f"Windows in use among them: {', '.join(windows) or 'none'}."
    groups = close.groupby(CHOICES, sort=False)
    rows = [
        [
            *_choice_cells(found, group.iloc[0]),
            f"{group['width'].min():g} to {group['width'].max():g}",
            f"{group['lower'].min():g} to {group['lower'].max():g}",
            f"{group['misfit'].min():.2f}",
        ]
        for _, group in list(groups)[:GROUPS]
    ]
    header = [*_choice_header(found), "Width, HU", "Lower bound, HU", "Best misfit"]
    return f"{first} {second}\n\n{_table(header, rows)}"


def named_windows(found: Calibration) -> str:
    """How well each window in use can give the row."""
    named = found.best_by(["lower", "upper"])
    named = named[named["used_by"] != ""]
    rows = [[*_setting_cells(found, row), row["used_by"]] for _, row in named.iterrows()]
    header = [*_setting_header(found), "Used by"]
    return "Each with the other choices that suit it best.\n\n" + _table(header, rows)


def by_choice(found: Calibration) -> str:
    """What is ruled out whatever the rest: the best of every single choice."""
    rows = []
    labels = dict(zip(CHOICES, ["Clipping", "PSNR range", "SSIM", "Averaging"], strict=True))
    for column, label in labels.items():
        options = found.best_by([column])
        if len(options) < 2:
            continue
        for _, row in options.iterrows():
            cells = _setting_cells(found, row)
            rows.append([label, _choice_text(column, row[column]), cells[0], *cells[-2:]])
    header = ["Choice", "Value", "Best window", "Misfit", "Verdict"]
    return "The best that is possible with it, whatever the rest.\n\n" + _table(header, rows)


def how_to_read(found: Calibration) -> str:
    """What misfit, scales and verdicts mean."""
    best = found.best
    scales = ", ".join(f"{NAMES[name]} {best[f'{name}_scale']:.3g}" for name in found.row.values)
    if found.same_slices:
        slices = "The slices are taken to be those of the published row and bring no uncertainty."
    elif not found.spread_known:
        slices = NO_SPREAD
    else:
        slices = (
            "The slices are not those of the published row: the spread of their mean is part of "
            "the scales (bootstrap of blocks of neighbouring slices, and of patients where there "
            f"are {FEWEST_PATIENTS} or more; with fewer it knows nothing of other patients, and "
            f"{FEW_SLICES}). It is estimated itself, with {found.df:.1f} degrees of freedom, which "
            f"the p values allow for (Hotelling's T²): misfits up to {found.limit:.2f} fit."
        )
    return (
        "Misfit is the distance from the printed values in standard deviations, all printed "
        "measures together, freed of their correlation over slices (Mahalanobis). Scales of the "
        f"best fit: {scales}; each holds the rounding of the printed value and a tolerance for "
        f"differences of data handling. {slices} *fits*: p above "
        "0.05; *unlikely*: p at most 0.05; *ruled out*: p at most 0.0027 (three standard "
        "deviations). Not among the settings: a stretch of every slice by its own minimum and "
        "maximum, and other kernels or slice thicknesses than those of the data."
    )


def _setting_header(found: Calibration) -> list[str]:
    measures = [NAMES[name] for name in found.row.values]
    return ["Window, HU", *_choice_header(found), *measures, "Misfit", "Verdict"]


def _setting_cells(found: Calibration, setting: pd.Series) -> list[str]:
    values = [f"{setting[f'{name}_found']:.{DIGITS[name]}f}" for name in found.row.values]
    return [
        f"[{setting['lower']:g}, {setting['upper']:g}]",
        *_choice_cells(found, setting),
        *values,
        _misfit(setting["misfit"]),
        str(setting["verdict"]),
    ]


def _choice_columns(found: Calibration) -> list[str]:
    """Choices that the printed measures depend on."""
    measures = set(found.row.values)
    wanted = {"clip": True, "psnr_range": "psnr" in measures, "ssim": "ssim" in measures}
    return [name for name in CHOICES if wanted.get(name, measures != {"ssim"})]


def _choice_header(found: Calibration) -> list[str]:
    titles = {
        "clip": "Clipped",
        "psnr_range": "PSNR range",
        "ssim": "SSIM",
        "averaging": "Averaging",
    }
    return [titles[name] for name in _choice_columns(found)]


def _choice_cells(found: Calibration, setting: pd.Series) -> list[str]:
    return [_choice_text(name, setting[name]) for name in _choice_columns(found)]


def _choice_text(column: str, value: Any) -> str:
    if column == "clip":
        return "yes" if value else "no"
    if column == "psnr_range":
        return f"{value:g}"
    return str(value).replace("mean_of_slices", "mean of slices")


def _found_columns(found: Calibration) -> list[str]:
    return ["lower", "upper", *(f"{name}_found" for name in found.row.values)]


def _misfit(value: float) -> str:
    return f"{value:.2f}" if value < 100 else f"{value:.0f}"


def printed_values(found: Calibration) -> str:
    """The published row, with its decimals."""
    row = found.row
    return ", ".join(
        f"{NAMES[name].split(',')[0]} {row.values[name]:.{row.decimals[name]}f}"
        for name in row.values
    )


def found_values(found: Calibration, setting: pd.Series) -> str:
    """What a setting gives, and the difference from the published row."""
    return ", ".join(
        f"{NAMES[name].split(',')[0]} {setting[f'{name}_found']:.{DIGITS[name]}f} "
        f"({setting[f'{name}_found'] - found.row.values[name]:+.{DIGITS[name]}f})"
        for name in found.row.values
    )


def counted_slices(found: Calibration) -> str:
    """E.g. "26 slices"."""
    return f"{found.n_slices} slice{'' if found.n_slices == 1 else 's'}"


def not_determined(found: Calibration) -> str:
    """What the row says nothing of, as a sentence; empty where it bears on every choice."""
    choices = found.not_determined
    return f"Not determined by this row, the grid's first: {', '.join(choices)}." * bool(choices)


def count_not_apart(found: Calibration) -> int:
    """Number of settings that cannot be told apart from the best, itself included."""
    return int((~found.settings["told_apart"].astype(bool)).sum())


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
