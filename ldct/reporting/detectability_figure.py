"""Figure: detectability of inserted discs, a panel per disc, a line of panels per observer."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from ldct.reporting import figure_style as fs
from ldct.reporting.detectability_table import (
    TITLES,
    detectability_summary,
    signal_title,
    signals_of,
)
from ldct.reporting.dot_rows import grid_of_rows, say_nothing_measured

REFERENCES = {"ndct": fs.BLACK, "ldct": fs.GREY}
LEGEND = (
    "Filled: d' differs from that of LDCT (the {percent:g} % interval of the paired change leaves "
    "out 0; not corrected for the number of comparisons); vermilion below, green above."
)


def draw_detectability(
    frame: pd.DataFrame,
    titles: Mapping[str, str],
    notes: Sequence[str],
    stem: Path,
    confidence: float = 0.95,
) -> list[Path]:
    """Draw d' with its interval, for every method, disc and observer; returns PNG and PDF.

    frame : rows of `ldct.evaluation.disc_detection`. titles : method to title, in order.
    notes : sentences printed below. confidence : of the intervals.
    """
    values = detectability_summary(frame, titles, confidence)
    signals = signals_of(values)
    heads = [
        [f"{observer.upper()}: {signal_title(*signal)}" for signal in signals] or [title]
        for observer, title in TITLES.items()
    ]
    with fs.figure_style():
        legend = [LEGEND.format(percent=100 * confidence)] if signals else []
        figure, grid = grid_of_rows(titles, heads, [*legend, *notes])
        for observer, line in zip(TITLES, grid, strict=True):
            for axes, signal in zip(line, signals or [None], strict=True):
                own = values[values["observer"] == observer]
                if signal is not None:
                    own = own[(own["contrast_hu"] == signal[0]) & (own["diameter_mm"] == signal[1])]
                _draw_panel(axes, own.set_index("method"), titles)
        return fs.save_figure(figure, stem)


def _draw_panel(axes: Axes, values: pd.DataFrame, titles: Mapping[str, str]) -> None:
    if values["d_prime"].isna().all():
        say_nothing_measured(axes)
        return
    if "ldct" in values.index:
        axes.axvline(values.loc["ldct", "d_prime"], color=fs.GREY, lw=0.6, ls=(0, (3, 2)))
    for y, method in enumerate(titles):
        if method not in values.index:
            continue
        row = values.loc[method]
        colour, filled = _mark(method, row)
        axes.plot([row["lower"], row["upper"]], [y, y], color=colour, lw=0.9)
        axes.plot(row["d_prime"], y, "o", ms=3.4, mec=colour, mfc=colour if filled else "white")
    if not (values[["d_prime", "lower"]] < 0).any(axis=None):
        axes.set_xlim(left=0)
    axes.set_xlabel("d'", labelpad=1)


def _mark(method: str, row: pd.Series) -> tuple[str, bool]:
    """Colour, and whether the dot is filled."""
    if method in REFERENCES:
        return REFERENCES[method], True
    if row["change_upper"] < 0:
        return fs.VERMILION, True
    if row["change_lower"] > 0:
        return fs.GREEN, True
    return fs.BLUE, False
