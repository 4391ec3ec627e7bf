"""Figure: change of the detectability of inserted discs against LDCT, a panel per disc."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from ldct.detectability.table import LOW_DOSE
from ldct.rendering import figure_style as fs
from ldct.rendering.dot_rows import grid_of_rows, say_nothing_measured

LEGEND = "Filled: the interval leaves out 0; vermilion below, green above."


def draw_detectability(
    values: pd.DataFrame, titles: Mapping[str, str], notes: Sequence[str], stem: Path
) -> list[Path]:
    """Draw d' minus that of LDCT at the same places, with its interval, as PNG and PDF.

    values : `detectability_summary`. titles : method to title, in order. notes : printed below.
    Returns both paths.
    """
    shown = {method: title for method, title in titles.items() if method != LOW_DOSE}
    discs = list(values.groupby("diameter_mm")) or [(0.0, values)]
    heads = [f"d' − d' of LDCT, disc of {diameter:g} mm" for diameter, _ in discs]
    with fs.figure_style():
        figure, line = grid_of_rows(shown, heads, [LEGEND, *notes])
        for axes, (_, own) in zip(line, discs, strict=True):
            _draw_panel(axes, own.set_index("method").reindex(list(shown)))
        return fs.save_figure(figure, stem)


def _draw_panel(axes: Axes, values: pd.DataFrame) -> None:
    if values["change"].isna().all():
        say_nothing_measured(axes)
        return
    axes.axvline(0, color=fs.GREY, lw=0.6, ls=(0, (3, 2)))
    for y, row in enumerate(values.itertuples()):
        colour = fs.VERMILION if row.change_upper < 0 else fs.GREEN
        differs = row.change_upper < 0 or row.change_lower > 0
        colour = colour if differs else fs.BLUE
        axes.plot([row.change_lower, row.change_upper], [y, y], color=colour, lw=0.9)
        axes.plot(row.change, y, "o", ms=3.4, mec=colour, mfc=colour if differs else "white")
