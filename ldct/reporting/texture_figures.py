"""Figures of the texture lab: noise power of all methods, as curves and in two dimensions."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.patches import Circle

from ldct.evaluation.texture_summary import MethodTexture, TextureSummary
from ldct.reporting import figure_style as fs

COLOURS = (fs.BLUE, fs.VERMILION, fs.GREEN, fs.PURPLE, fs.ORANGE, fs.SKY)
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1)))
REFERENCE_LINES = {
    "ndct": {"color": fs.BLACK, "lw": 1.8},
    "ldct": {"color": fs.GREY, "lw": 1.8, "ls": (0, (5, 1.5))},
}
DECADES = 4.5
COLUMNS_OF_SPECTRA = 4
NOT_MEASURED = "no slice has enough squares\nof soft tissue"


def draw_curves(summary: TextureSummary, context: str, stem: Path) -> list[Path]:
    """Radial noise power of every method, NDCT and LDCT: of the images, and of (image - NDCT)."""
    shown = _shown(summary)
    lines = _lines(shown)
    note = fs.wrap(_note(summary, context), fs.DOUBLE_COLUMN_IN - 0.2, fs.SMALL_PT)
    legend_rows = math.ceil(len(shown) / 4)
    foot = 0.13 * legend_rows + 0.12 * (note.count("\n") + 1) + 0.2
    height = 2.9 + foot
    with fs.figure_style():
        figure = fs.new_figure(fs.DOUBLE_COLUMN_IN, height, layout=None)
        grid = figure.add_gridspec(
            1, 2, left=0.075, right=0.99, top=1 - 0.22 / height, bottom=(foot + 0.34) / height
        )
        panels = [figure.add_subplot(cell) for cell in grid]
        _draw_profiles(panels[0], shown, lines, "radial")
        panels[0].set_title("image, flat soft tissue")
        panels[0].set_ylabel("noise power (HU² mm²)")
        _draw_profiles(panels[1], shown, lines, "difference_radial")
        panels[1].set_title("image − NDCT, all soft tissue")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(
            handles,
            labels,
            ncols=4,
            loc="lower center",
            bbox_to_anchor=(0.5, (foot - 0.13 * legend_rows - 0.12) / height),
            frameon=False,
            fontsize=fs.SMALL_PT,
            handlelength=3,
        )
        figure.text(0.5, 0.05 / height, note, ha="center", va="bottom", fontsize=fs.SMALL_PT)
        return fs.save_figure(figure, stem)


def draw_spectra(summary: TextureSummary, context: str, stem: Path) -> list[Path]:
    """Two-dimensional noise power of the images, one scale for all.

    A full circle marks the strongest peak where there is a pattern (`MethodTexture.pattern`), a
    dotted one where that is undecided.
    """
    shown = _shown(summary)
    note = fs.wrap(
        "Noise power on one logarithmic scale; row and column frequency from −0.5 to 0.5 cycles "
        "per pixel (c/px). Below each: periodic-peak score in the flatter half and in all squares"
        f"{_null_text(summary)}. Circle: strongest peak of the mean spectrum, full where the "
        "intervals of both scores lie above the null level, dotted where less than that is true "
        "but one score does. " + _note(summary, context),
        fs.DOUBLE_COLUMN_IN - 0.2,
        fs.SMALL_PT,
    )
    columns = min(COLUMNS_OF_SPECTRA, len(shown))
    rows = math.ceil(len(shown) / columns)
    left, right, gap, under, head = 0.42, 0.6, 0.1, 0.5, 0.32
    cell = (fs.DOUBLE_COLUMN_IN - left - right - gap * (columns - 1)) / columns
    foot = 0.12 * (note.count("\n") + 1) + 0.1
    height = head + rows * (cell + under) + foot - 0.1
    top = _highest(shown)
    with fs.figure_style():
        figure = fs.new_figure(fs.DOUBLE_COLUMN_IN, height, layout=None)
        for number, found in enumerate(shown):
            row, column = divmod(number, columns)
            axes = fs.image_axes(
                figure, left + column * (cell + gap), head + row * (cell + under), cell, cell
            )
            image = _draw_spectrum(axes, found, top, cell)
            axes.set_xlabel(_score_text(found), labelpad=2, fontsize=fs.SMALL_PT)
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


def _shown(summary: TextureSummary) -> list[MethodTexture]:
    """NDCT, LDCT and all methods; the identity method is the LDCT image."""
    return [found for found in summary.methods if found.kind not in ("identity", "control")]


def _lines(shown: Sequence[MethodTexture]) -> dict[str, dict]:
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


def _draw_profiles(
    axes: Axes, shown: Sequence[MethodTexture], lines: dict[str, dict], name: str
) -> None:
    highest, lowest = 0.0, np.inf
    for found in shown:
        profile = getattr(found, name)
        visible = bool(np.nanmax(profile, initial=0) > 0)
        values = profile if visible else np.full(len(profile), np.nan)
        axes.plot(found.frequency, values, label=found.title, **lines[found.method])
        highest = max(highest, np.nanmax(values, initial=0))
        lowest = min(lowest, np.nanmin(values, initial=np.inf))
    axes.set_xlabel("spatial frequency (1/mm)")
    axes.spines[["top", "right"]].set_visible(False)
    if not highest:
        axes.set(xticks=[], yticks=[])
        axes.text(0.5, 0.5, NOT_MEASURED, ha="center", transform=axes.transAxes)
        return
    axes.set_yscale("log")
    axes.set_ylim(max(lowest / 1.5, highest / 10**DECADES), highest * 1.6)
    axes.set_xlim(0, None)
    axes.grid(lw=0.3, color="0.88")


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
    verdict = found.pattern
    if found.peak and verdict in ("yes", "undecided"):
        row, column = found.peak["row_frequency"], found.peak["column_frequency"]
        for sign in (1, -1):
            axes.add_patch(
                Circle(
                    (sign * column, sign * row),
                    2.2 / side,
                    fill=False,
                    ec="white",
                    lw=0.9,
                    ls="-" if verdict == "yes" else ":",
                )
            )
    return image


def _score_text(found: MethodTexture) -> str:
    scores = [found.intervals.get(name) for name in ("periodic_peak", "periodic_peak_all")]
    if None in scores:
        return "not measured"
    text = "score {:.2f}, {:.2f}".format(*(score.estimate for score in scores)).replace("-", "−")
    return text if found.pattern == "no" else f"{text}\npeak {found.peak['rms_hu']:.1f} HU r.m.s."


def _null_text(summary: TextureSummary) -> str:
    nulls = [summary.null_levels[name] for name in ("periodic_peak", "periodic_peak_all")]
    own = [null.ndct_quantile for null in nulls]
    if not np.isfinite(own).all():
        return ""
    levels = "null level {:.2f}, {:.2f}".format(*(null.level for null in nulls))
    return f" ({levels}; NDCT's own 95th percentile {own[0]:.2f}, {own[1]:.2f})".replace("-", "−")


def _highest(shown: Sequence[MethodTexture]) -> float:
    highest = max((np.nanmax(found.power, initial=0) for found in shown), default=0.0)
    return math.ceil(2 * math.log10(highest)) / 2 if highest > 0 else 0.0


def _note(summary: TextureSummary, context: str) -> str:
    squares = f"Squares of {summary.side} px in {summary.n_slices} slices, chosen by rule on NDCT"
    return f"{squares}  ·  {context}"
