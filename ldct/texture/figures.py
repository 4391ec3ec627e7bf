"""Figures of the texture lab: noise power of all methods, as curves and in two dimensions."""

import math
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from ldct.rendering import figure_style as fs
from ldct.texture.summary import MethodTexture, TextureSummary

COLOURS = (fs.BLUE, fs.VERMILION, fs.GREEN, fs.PURPLE, fs.ORANGE, fs.SKY)
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1)))
REFERENCE_LINES = {
    "ndct": {"color": fs.BLACK, "lw": 1.8},
    "ldct": {"color": fs.GREY, "lw": 1.8, "ls": (0, (5, 1.5))},
}
DECADES = 4.5
COLUMNS_OF_SPECTRA = 4
HEIGHT_IN = 3.2


def draw_curves(summary: TextureSummary, context: str, stem: Path) -> list[Path]:
    """Radial noise power of every method, NDCT and LDCT in flat soft tissue."""
    shown = _shown(summary)
    lines = _lines(shown)
    highest = max(np.nanmax(found.radial, initial=0) for found in shown)
    if not highest:
        return _say_nothing_measured(summary, context, stem)
    with fs.figure_style():
        figure = fs.new_figure(fs.DOUBLE_COLUMN_IN, HEIGHT_IN)
        axes = figure.subplots()
        for found in shown:
            axes.plot(found.frequency, found.radial, label=found.title, **lines[found.method])
        axes.set_xlabel("spatial frequency (1/mm)")
        axes.set_ylabel("noise power (HU² mm²)")
        axes.spines[["top", "right"]].set_visible(False)
        lowest = min(np.nanmin(found.radial, initial=highest) for found in shown)
        axes.set_yscale("log")
        axes.set_ylim(max(lowest / 1.5, highest / 10**DECADES), highest * 1.6)
        axes.set_xlim(0, None)
        axes.grid(lw=0.3, color="0.88")
        figure.legend(
            loc="outside right upper", frameon=False, fontsize=fs.SMALL_PT, handlelength=3
        )
        note = _note(summary, context).replace("\n", "  ·  ")
        note = fs.wrap(note, fs.DOUBLE_COLUMN_IN - 0.2, fs.SMALL_PT)
        figure.supxlabel(note, fontsize=fs.SMALL_PT)
        return fs.save_figure(figure, stem)


def draw_spectra(summary: TextureSummary, context: str, stem: Path) -> list[Path]:
    """Two-dimensional noise power of the images, one scale for all; lattice ratio below each."""
    shown = _shown(summary)
    highest = max(np.nanmax(found.power, initial=0) for found in shown)
    if not highest:
        return _say_nothing_measured(summary, context, stem)
    note = fs.wrap(
        "Noise power on one logarithmic scale; row and column frequency from −0.5 to 0.5 cycles "
        "per pixel (c/px). " + _note(summary, context).replace("\n", "  ·  "),
        fs.DOUBLE_COLUMN_IN - 0.2,
        fs.SMALL_PT,
    )
    columns = min(COLUMNS_OF_SPECTRA, len(shown))
    rows = math.ceil(len(shown) / columns)
    left, right, gap, under, head = 0.42, 0.6, 0.1, 0.42, 0.32
    cell = (fs.DOUBLE_COLUMN_IN - left - right - gap * (columns - 1)) / columns
    height = head + rows * (cell + under) + 0.12 * (note.count("\n") + 1)
    top = math.ceil(2 * math.log10(highest)) / 2
    with fs.figure_style():
        figure = fs.new_figure(fs.DOUBLE_COLUMN_IN, height, layout=None)
        for number, found in enumerate(shown):
            row, column = divmod(number, columns)
            axes = fs.image_axes(
                figure, left + column * (cell + gap), head + row * (cell + under), cell, cell
            )
            image = _draw_spectrum(axes, found, top, cell)
            if column == 0:
                axes.set_yticks([-0.5, 0, 0.5 - 1 / summary.side], ["−0.5", "0", "0.5"])
                axes.set_ylabel("row frequency (c/px)", fontsize=fs.SMALL_PT, labelpad=1)
        bar_axes = fs.image_axes(figure, fs.DOUBLE_COLUMN_IN - right + 0.1, head, 0.1, cell)
        bar = figure.colorbar(image, cax=bar_axes)
        bar.outline.set_linewidth(0.4)
        bar_axes.tick_params(pad=1.5, length=2)
        bar_axes.set_title("log₁₀\nHU² mm²", fontsize=fs.SMALL_PT, pad=3)
        figure.text(0.5, 0.05 / height, note, ha="center", va="bottom", fontsize=fs.SMALL_PT)
        return fs.save_figure(figure, stem)


def _say_nothing_measured(summary: TextureSummary, context: str, stem: Path) -> list[Path]:
    """A line in place of panels without content."""
    text = "Not drawn: no test slice has enough squares of flat soft tissue to measure texture in."
    with fs.figure_style():
        figure = fs.new_figure(fs.DOUBLE_COLUMN_IN, 0.6, layout=None)
        note = f"{text}\n{_note(summary, context)}"
        figure.text(0.5, 0.5, note, ha="center", va="center", fontsize=fs.SMALL_PT)
        return fs.save_figure(figure, stem)


def _shown(summary: TextureSummary) -> list[MethodTexture]:
    """NDCT, LDCT and all methods; the identity method is the LDCT image."""
    return [found for found in summary.methods if found.kind not in ("identity", "control")]


def _lines(shown: list[MethodTexture]) -> dict[str, dict]:
    methods = [found.method for found in shown if found.kind != "reference"]
    own = {
        name: {
            "color": COLOURS[number % len(COLOURS)],
            "ls": DASHES[number // len(COLOURS) % len(DASHES)],
            "lw": 1.1,
        }
        for number, name in enumerate(methods)
    }
    return REFERENCE_LINES | own


def _draw_spectrum(axes: Axes, found: MethodTexture, top: float, width_in: float) -> AxesImage:
    side = len(found.power)
    low, high = -0.5 - 0.5 / side, 0.5 - 0.5 / side
    with np.errstate(divide="ignore"):
        logarithm = np.log10(found.power)
    image = axes.imshow(
        logarithm, cmap="magma", vmin=top - DECADES, vmax=top, extent=(low, high, high, low)
    )
    axes.set_title(fs.wrap(found.title, width_in, fs.TEXT_PT), pad=3, fontsize=fs.TEXT_PT)
    axes.set_facecolor("black")
    ratio = found.intervals.get("lattice_ratio")
    text = f"lattice ratio {ratio.estimate:.2f}" if ratio else "not measured"
    axes.set_xlabel(text, labelpad=2, fontsize=fs.SMALL_PT)
    return image


def _note(summary: TextureSummary, context: str) -> str:
    squares = f"Squares of {summary.side} px in {summary.n_slices} slices, by rule"
    return f"{squares}\n{context}"
