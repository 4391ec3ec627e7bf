"""Figure: what methods leave of every annotated lesion slice."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ldct.lesions.table import title_of
from ldct.rendering import figure_style as fs
from ldct.rendering.dot_rows import grid_of_rows, say_nothing_measured

PANELS = ("contrast_retention", "cnr", "edge_width_mm", "noise_std_hu")
COLOURS = (fs.BLUE, fs.ORANGE, fs.GREEN, fs.PURPLE, fs.SKY, fs.VERMILION)
LEGEND = "Dots: lesion slices, a colour per lesion; bar: their mean; dashed: NDCT."


def draw_lesion_bench(
    frame: pd.DataFrame, titles: Mapping[str, str], notes: Sequence[str], stem: Path, **record: Any
) -> None:
    """Draw every lesion slice of every method in four measures, as PNG and PDF.

    frame : rows of the lesion bench. titles : method to title, in order. notes : printed below.
    record : of `figure_style.save_figure`.
    """
    keys = list(zip(frame["patient"], frame["lesion"], strict=True))
    place = {lesion: number for number, lesion in enumerate(sorted(set(keys)))}
    frame = frame.assign(colour=[COLOURS[place[key] % len(COLOURS)] for key in keys])
    with fs.figure_style():
        figure, line = grid_of_rows(titles, list(map(title_of, PANELS)), [LEGEND, *notes])
        for axes, measure in zip(line, PANELS, strict=True):
            _draw_panel(axes, frame[frame[measure].notna()], measure, titles)
        fs.save_figure(figure, stem, **record)


def _draw_panel(axes: Axes, frame: pd.DataFrame, measure: str, titles: Mapping[str, str]) -> None:
    if frame.empty:
        say_nothing_measured(axes)
        return
    means = frame.groupby("method")[measure].mean()
    if "ndct" in means:
        axes.axvline(means["ndct"], color=fs.BLACK, lw=0.6, ls=(0, (3, 2)))
    for y, method in enumerate(titles):
        own = frame[frame["method"] == method]
        axes.scatter(
            own[measure], np.full(len(own), y), s=6, c=own["colour"], alpha=0.6, lw=0, zorder=2
        )
        if method in means:
            axes.plot([means[method]] * 2, [y - 0.35, y + 0.35], color=fs.BLACK, lw=1.2, zorder=3)
