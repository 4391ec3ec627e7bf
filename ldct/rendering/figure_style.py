"""One look for all figures: column widths, type sizes, colours, and how a figure is saved."""

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from ldct.common.files import atomic_path

DOUBLE_COLUMN_IN = 7.16  # width of two journal columns, inches
DPI = 300
SMALL_PT = 6.0
TEXT_PT = 7.0
TITLE_PT = 8.0

# Okabe and Ito (2008): distinguishable with every common colour vision deficiency.
ORANGE = "#E69F00"
SKY = "#56B4E9"
GREEN = "#009E73"
YELLOW = "#F0E442"
BLUE = "#0072B2"
VERMILION = "#D55E00"
PURPLE = "#CC79A7"
BLACK = "#000000"
GREY = "#6E6E6E"

STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib: same figure on every machine
    "font.size": TEXT_PT,
    "axes.titlesize": TITLE_PT,
    "axes.labelsize": TEXT_PT,
    "xtick.labelsize": SMALL_PT,
    "ytick.labelsize": SMALL_PT,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "pdf.fonttype": 42,  # TrueType, embedded; journals refuse Type 3
    "savefig.dpi": DPI,
    "image.interpolation": "nearest",
    "mathtext.fontset": "dejavusans",
}


@contextmanager
def figure_style() -> Iterator[None]:
    """Matplotlib settings of all figures of this project, for the duration of the block."""
    with mpl.rc_context(STYLE):
        yield


def new_figure(width_in: float, height_in: float, layout: str | None = "constrained") -> Figure:
    """A figure that needs no display and no global state; call it inside `figure_style()`.

    Sizes in inches. It is saved at exactly this size: PNG pixels = inches * 300.
    layout : None for a figure whose axes are placed by hand.
    """
    return Figure(figsize=(width_in, height_in), dpi=DPI, layout=layout)


def new_canvas(width_in: float, height_in: float) -> tuple[Figure, Axes]:
    """A figure with one axes that fills it, without frame, whose data units are inches."""
    figure = new_figure(width_in, height_in, layout=None)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width_in), ylim=(0, height_in))
    axes.set_axis_off()
    return figure, axes


def image_axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes without ticks at a place given in inches from the left and the TOP of the figure."""
    figure_width, figure_height = figure.get_size_inches()
    box = (
        left / figure_width,
        1 - (top + height) / figure_height,
        width / figure_width,
        height / figure_height,
    )
    axes = figure.add_axes(box, xticks=[], yticks=[])
    axes.spines[:].set_linewidth(0.4)
    return axes


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], **style: Any) -> None:
    """A thin arrow between two points of the axes' data; `style` : of the patch."""
    own = {"color": BLACK, "lw": 0.9} | style
    head = {"arrowstyle": "-|>", "mutation_scale": 6, "shrinkA": 0, "shrinkB": 0}
    axes.add_patch(FancyArrowPatch(start, end, **head, **own))


def wrap(text: str, width_in: float, size_pt: float) -> str:
    """Break a text into lines that fit a width, at 0.62 em a character (DejaVu Sans)."""
    return textwrap.fill(text, max(6, int(width_in / (0.62 * size_pt / 72))))


def foot_text(figure: Figure, text: str, **style: Any) -> None:
    """Small centred lines at the foot of a figure."""
    width, height = figure.get_size_inches()
    text = wrap(text, width - 0.2, SMALL_PT)
    place = {"ha": "center", "va": "bottom", "fontsize": SMALL_PT}
    figure.text(0.5, 0.05 / height, text, **place, **style)


def save_figure(figure: Figure, stem: str | Path) -> list[Path]:
    """Write `<stem>.png` (300 dpi) and `<stem>.pdf` (embedded TrueType fonts), atomically.

    stem : path without suffix; dots in its name are kept. Neither file holds a date: the same
        figure gives the same bytes. Returns both paths.
    """
    stem = Path(stem)
    written = []
    with figure_style():
        for suffix, metadata in ((".png", {}), (".pdf", {"CreationDate": None})):
            path = stem.with_name(stem.name + suffix)
            with atomic_path(path) as temporary:
                figure.savefig(temporary, format=suffix[1:], dpi=DPI, metadata=metadata)
            written.append(path)
    return written
