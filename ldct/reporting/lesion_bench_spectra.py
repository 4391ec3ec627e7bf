"""Panels of radial noise power near lesions: one small panel per method, low dose in each."""

import math
from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ldct.reporting import figure_style as fs

PANELS_IN_ROW = 5
PANEL_IN, HEAD_IN, FOOT_IN, LEFT_IN, GAP_IN = 0.8, 0.27, 0.36, 0.52, 0.12
HEADING_IN = 0.2
REFERENCE = "ldct"
PLACE = ["seed", "patient", "lesion", "slice_index"]
HEADING = "noise power of image − NDCT near lesions (HU² mm²)"
LEGEND = (
    "Noise power near lesions: thin: lesion slices; thick: their mean; f: mean of their mean "
    "frequencies, 1/mm; dashed: LDCT."
)


def height_of_spectra(spectra: pd.DataFrame, titles: Mapping[str, str]) -> float:
    """Inches that `draw_spectra` needs; 0 where there is nothing to draw."""
    rows = math.ceil(len(_profiles(spectra, titles)) / PANELS_IN_ROW)
    return rows and HEADING_IN + rows * (HEAD_IN + PANEL_IN + FOOT_IN)


def draw_spectra(
    figure: Figure,
    top_in: float,
    spectra: pd.DataFrame,
    mean_frequencies: Mapping[str, float],
    titles: Mapping[str, str],
    count: str,
) -> None:
    """Draw the profiles of every method that has some, on one scale.

    top_in : where the panels begin, from the top of the figure. spectra : rows as the lesion bench
    writes them. mean_frequencies : method to the mean over lesion slices, 1/mm. titles : method to
    title, in order. count : of slices and lesions, in words.
    """
    profiles = _profiles(spectra, titles)
    if not profiles:
        return
    width, height = figure.get_size_inches()
    place = {"x": 0.5, "y": 1 - (top_in + 0.1) / height, "ha": "center", "va": "center"}
    figure.text(**place, s=f"{HEADING}, {count}", fontsize=fs.TEXT_PT)
    values = pd.concat(profiles.values()).to_numpy()
    lowest, highest = values[values > 0].min(), values.max()
    pitch = (width - LEFT_IN - 0.06 + GAP_IN) / PANELS_IN_ROW
    for number, (method, own) in enumerate(profiles.items()):
        row, column = divmod(number, PANELS_IN_ROW)
        top = top_in + HEADING_IN + row * (HEAD_IN + PANEL_IN + FOOT_IN) + HEAD_IN
        left = LEFT_IN + column * pitch
        box = (left / width, 1 - (top + PANEL_IN) / height)
        axes = figure.add_axes((*box, (pitch - GAP_IN) / width, PANEL_IN / height))
        _draw_panel(axes, own, profiles.get(REFERENCE), mean_frequencies[method])
        title = fs.wrap(titles[method], pitch - GAP_IN, fs.TEXT_PT)
        axes.set_title(title, pad=3, fontsize=fs.TEXT_PT)
        axes.set_ylim(lowest / 1.3, highest * 1.3)
        axes.set_xlabel("frequency (1/mm)", labelpad=0, fontsize=fs.SMALL_PT)
        axes.tick_params(which="both", pad=1.5, length=2, labelleft=column == 0)


def _profiles(spectra: pd.DataFrame, titles: Mapping[str, str]) -> dict[str, pd.DataFrame]:
    """Method to its profiles: a row per seed and lesion slice, a column per frequency."""
    found = {}
    for method in titles:
        own = spectra[spectra["method"] == method]
        if len(own):
            table = own.pivot(index=PLACE, columns="frequency", values="power")
            # Patients with larger pixels have no power at the highest frequencies.
            found[method] = table.dropna(axis="columns")
    return found


def _draw_panel(
    axes: Axes, own: pd.DataFrame, reference: pd.DataFrame | None, mean_frequency: float
) -> None:
    frequency = own.columns.to_numpy(float)
    for values in own.to_numpy():
        axes.plot(frequency, values, color=fs.BLUE, lw=0.4, alpha=0.4)
    if reference is not None:
        axes.plot(reference.columns, reference.mean(), color=fs.GREY, lw=1, ls=(0, (3, 1.5)))
    axes.plot(frequency, own.mean(), color=fs.BLUE, lw=1.4)
    place = {"ha": "right", "va": "top", "transform": axes.transAxes}
    axes.text(0.97, 0.96, f"f = {mean_frequency:.3f}", **place, fontsize=fs.SMALL_PT)
    axes.set_yscale("log")
    axes.set_xlim(0, frequency[-1] + frequency[0] / 2)
    axes.grid(lw=0.3, color="0.88")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
