"""Figures of one row per method and one panel per measure: a dot, and how sure it is."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ldct.rendering import figure_style as fs

ROW_IN, HEAD_IN, FOOT_IN = 0.155, 0.24, 0.24
LABEL_IN = (0.7, 1.25)  # least and most room for titles; longer ones take two lines
NOTE_LINE_IN = 0.1


def grid_of_rows(
    titles: Mapping[str, str], heads: Sequence[str], notes: Sequence[str]
) -> tuple[Figure, list[Axes]]:
    """A double-column figure of panels side by side that share their rows; notes stand below.

    titles : method to title, from top to bottom. heads : title of every panel.
    Row k of a panel has y = k, counted from the top.
    """
    text = fs.wrap("  ·  ".join(note for note in notes if note), fs.DOUBLE_COLUMN_IN, fs.SMALL_PT)
    foot = 0.08 + NOTE_LINE_IN * (text.count("\n") + 1)
    longest = max(map(len, titles.values()), default=0)
    room = float(np.clip(0.62 * fs.TEXT_PT / 72 * longest + 0.1, *LABEL_IN))
    labels = [fs.wrap(title, room - 0.1, fs.TEXT_PT) for title in titles.values()]
    lines = max((label.count("\n") + 1 for label in labels), default=1)
    panel = max(ROW_IN, 0.115 * lines + 0.02) * len(titles) + 0.05
    width, height = fs.DOUBLE_COLUMN_IN, HEAD_IN + panel + FOOT_IN + foot
    figure = fs.new_figure(width, height, layout=None)
    pitch = (width - room - 0.06) / len(heads)
    row = []
    for column, head in enumerate(heads):
        left, bottom = room + column * pitch, height - HEAD_IN - panel
        box = (left / width, bottom / height, (pitch - 0.1) / width, panel / height)
        axes = figure.add_axes(box)
        axes.set_title(head, fontsize=fs.TEXT_PT, pad=4)
        axes.set_ylim(len(titles) - 0.5, -0.5)
        axes.set_yticks(range(len(titles)), labels if column == 0 else [""] * len(labels))
        axes.tick_params(axis="y", length=0, labelsize=fs.TEXT_PT)
        for label in axes.get_yticklabels():
            label.set_linespacing(0.9)
        axes.spines[["top", "right", "left"]].set_visible(False)
        for y in range(1, len(titles), 2):
            axes.axhspan(y - 0.5, y + 0.5, color="#f2f2f2", lw=0, zorder=0)
        row.append(axes)
    figure.text(0.5, 0.05 / height, text, ha="center", va="bottom", fontsize=fs.SMALL_PT)
    return figure, row


def say_nothing_measured(axes: Axes) -> None:
    """An empty panel that says so."""
    axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", va="center")
    axes.set_xticks([])
