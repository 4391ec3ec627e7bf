"""Figure: what methods leave of every annotated lesion slice."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ldct.reporting import figure_style as fs
from ldct.reporting.dot_rows import FOOT_IN, grid_of_rows, say_nothing_measured
from ldct.reporting.lesion_bench_spectra import LEGEND as SPECTRA_LEGEND
from ldct.reporting.lesion_bench_spectra import draw_spectra, height_of_spectra
from ldct.reporting.lesion_bench_table import HEADS, counts_of, failures_of

PANELS = ("cnr", "contrast_retention", "edge_width_mm", "noise_std_hu")
COLOURS = (fs.BLUE, fs.ORANGE, fs.GREEN, fs.PURPLE, fs.SKY, fs.VERMILION)
LEGEND = "Dots: lesion slices{colours}; bar: their mean; dashed: NDCT."


def draw_lesion_bench(
    frame: pd.DataFrame,
    spectra: pd.DataFrame,
    titles: Mapping[str, str],
    notes: Sequence[str],
    stem: Path,
) -> list[Path]:
    """Draw every lesion slice of every method in four measures, and the noise power near them.

    frame : rows of the lesion bench. spectra : its radial noise power. titles : method to title, in
    order. notes : printed below. Returns PNG and PDF.
    """
    with fs.figure_style():
        heads = [[HEADS[measure][0] for measure in PANELS]]
        counts = counts_of(frame, titles)
        several = max(counts[measure][1] for measure in PANELS) > 1
        legend = LEGEND.format(colours=", a colour per lesion" if several else "")
        below = height_of_spectra(spectra, titles)
        legends = [legend, SPECTRA_LEGEND] if below else [legend]
        figure, ((*line,),) = grid_of_rows(titles, heads, [*legends, *notes], below)
        for axes, measure in zip(line, PANELS, strict=True):
            _draw_panel(axes, frame[frame[measure].notna()], measure, titles)
            for y, count in enumerate(failures_of(frame, titles, measure).values()):
                if count:
                    _say_failed(axes, y, count)
            axes.set_xlabel(_count(*counts[measure]), labelpad=1, fontsize=fs.SMALL_PT)
        bottom_in = (1 - line[0].get_position().y0) * figure.get_figheight()
        count = _count(*counts["mean_frequency"])
        means = frame.groupby("method")["mean_frequency"].mean()
        draw_spectra(figure, bottom_in + FOOT_IN, spectra, means, titles, count)
        return fs.save_figure(figure, stem)


def _count(slices: int, lesions: int) -> str:
    if not slices:
        return ""
    return f"{slices} slice{'s' * (slices > 1)} of {lesions} lesion{'s' * (lesions > 1)}"


def _say_failed(axes: Axes, y: int, count: int) -> None:
    """At the right end of a row: in how many slices the measure failed; its mean lacks them."""
    place = {"transform": axes.get_yaxis_transform(), "ha": "right", "va": "bottom"}
    axes.text(1, y + 0.45, f"{count} failed", **place, fontsize=fs.SMALL_PT, color=fs.GREY)


def _draw_panel(axes: Axes, frame: pd.DataFrame, measure: str, titles: Mapping[str, str]) -> None:
    if frame.empty:
        say_nothing_measured(axes)
        return
    full = frame.loc[frame["method"] == "ndct", measure].mean()
    if np.isfinite(full):
        axes.axvline(full, color=fs.BLACK, lw=0.6, ls=(0, (3, 2)))
    lesions = sorted(set(zip(frame["patient"], frame["lesion"], strict=True)))
    place = {lesion: number for number, lesion in enumerate(lesions)}
    for y, method in enumerate(titles):
        own = frame[frame["method"] == method]
        if own.empty:
            continue
        numbers = [place[key] for key in zip(own["patient"], own["lesion"], strict=True)]
        colours = [COLOURS[number % len(COLOURS)] for number in numbers]
        axes.scatter(own[measure], np.full(len(own), y), s=6, c=colours, alpha=0.6, lw=0, zorder=2)
        mean = own[measure].mean()
        axes.plot([mean, mean], [y - 0.35, y + 0.35], color=fs.BLACK, lw=1.2, zorder=3)
