"""Heat map of the protocol solver: misfit over the centre and width of the window."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.ticker import FixedLocator, NullFormatter, StrMethodFormatter

from ldct.evaluation.calibration import Calibration
from ldct.evaluation.calibration_grid import CHOICES, Grid
from ldct.reporting.figure_style import (
    DOUBLE_COLUMN_IN,
    SMALL_PT,
    TEXT_PT,
    TITLE_PT,
    VERMILION,
    figure_style,
    new_figure,
    save_figure,
    wrap,
)

HEIGHT_IN = 3.9
LEAST, MOST = 0.3, 30.0  # misfits at the ends of the colour scale
KEY = "White line: what fits at 95 %. Star: best fit. Rings: windows in use."
KEY_WITHOUT_LINE = (
    "Spread of the slices unknown: nothing is ruled out. Star: least misfit. Rings: windows in use."
)
WIDTH_TICKS = (200, 300, 400, 500, 700, 1000, 1500, 2000, 3000, 4000)


def draw_heatmap(
    found: Calibration, grid: Grid, title: str, warning: str, stem: str | Path
) -> list[Path]:
    """Write `<stem>.png` and `<stem>.pdf`: two maps of misfit over window centre and width.

    Left: the least misfit that any of the other choices gives. Right: misfit with the other choices
    of the best fit. The white line encloses what fits at 95 %; a star marks the best, rings the
    windows in use.
    title : the row and the data. warning : set in bold above all, where it is not empty.
    """
    scanned = found.settings[
        found.settings["centre"].isin(grid.centres) & found.settings["width"].isin(grid.widths)
    ]
    like_best = (scanned[CHOICES] == found.best[CHOICES]).all(axis=1)
    panels = {
        "Best of all other choices": scanned,
        f"As the best fit, {_choices(found.best)}": scanned[like_best],
    }
    limit = found.limit if found.spread_known else 0.0  # no misfit is below 0: no line
    key = KEY if found.spread_known else KEY_WITHOUT_LINE
    with figure_style():
        figure = new_figure(DOUBLE_COLUMN_IN, HEIGHT_IN)
        axes = figure.subplots(1, 2, sharex=True, sharey=True)
        for axis, (name, settings) in zip(axes, panels.items(), strict=True):
            image = _draw_map(axis, settings, grid, limit)
            _mark(axis, found, grid)
            axis.set_title(wrap(name, DOUBLE_COLUMN_IN / 2 - 0.5, TEXT_PT), fontsize=TEXT_PT)
            axis.set_xlabel("Window centre, HU")
        axes[0].set_ylabel("Window width, HU")
        bar = figure.colorbar(image, ax=axes, extend="both", ticks=[0.3, 1, 3, 10, 30], pad=0.01)
        bar.ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        bar.ax.yaxis.set_minor_formatter(NullFormatter())
        bar.set_label("Misfit, standard deviations")
        figure.supxlabel(wrap(f"{title} {key}", DOUBLE_COLUMN_IN, SMALL_PT), fontsize=SMALL_PT)
        if warning:
            figure.suptitle(warning, fontsize=TITLE_PT, color=VERMILION, fontweight="bold")
    return save_figure(figure, stem)


def _draw_map(axis: Axes, settings: pd.DataFrame, grid: Grid, limit: float):
    misfit = (
        settings.pivot_table("misfit", "width", "centre", "min")
        .reindex(index=list(grid.widths), columns=list(grid.centres))
        .to_numpy()
    )
    image = axis.pcolormesh(
        _edges(np.array(grid.centres)),
        np.exp(_edges(np.log(grid.widths))),
        misfit,
        norm=LogNorm(LEAST, MOST),
        cmap="cividis",
        rasterized=True,
    )
    if min(misfit.shape) > 1 and np.nanmin(misfit) < limit < np.nanmax(misfit):
        axis.contour(grid.centres, grid.widths, misfit, [limit], colors="white", linewidths=0.8)
    axis.set_yscale("log")
    axis.yaxis.set_major_locator(FixedLocator(WIDTH_TICKS))
    axis.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.yaxis.set_minor_formatter(NullFormatter())
    return image


def _mark(axis: Axes, found: Calibration, grid: Grid) -> None:
    limits = axis.get_xlim(), axis.get_ylim()
    for lower, upper in grid.used_by:
        axis.plot((lower + upper) / 2, upper - lower, "o", mfc="none", mec="white", ms=4, mew=0.7)
    best = found.best
    axis.plot(best["centre"], best["width"], "*", color=VERMILION, mec="white", ms=9, mew=0.5)
    axis.set(xlim=limits[0], ylim=limits[1])


def _choices(best: pd.Series) -> str:
    clipped = "clipped" if best["clip"] else "not clipped"
    averaging = str(best["averaging"]).replace("_", " ")
    window = f"[{best['lower']:g}, {best['upper']:g}] HU"
    return (
        f"{window}: {clipped}; PSNR range {best['psnr_range']:g}; SSIM {best['ssim']}; {averaging}"
    )


def _edges(values: np.ndarray) -> np.ndarray:
    """Borders of cells around rising values."""
    if len(values) == 1:
        return np.array([values[0] - 0.5, values[0] + 0.5])
    middle = (values[1:] + values[:-1]) / 2
    return np.concatenate([[2 * values[0] - middle[0]], middle, [2 * values[-1] - middle[-1]]])
