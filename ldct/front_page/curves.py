"""Noise power spectra as lines of an SVG without a size of its own."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from ldct.front_page.intervals import tick_text
from ldct.front_page.results import Results

DECADES, COLOURS = 4.5, 6
SIDE = 1000  # of the drawing, in its own units


def spectra(results: Results, own: str) -> dict[str, Any] | None:
    """Lines, their classes, and ticks in percent; None where nothing was measured.

    own : the method that stands out.
    """
    frame = results.frame("figures/texture_nps.csv")
    frame = frame if frame is None else frame.dropna(subset="power")
    if frame is None or frame.empty:
        return None
    # The identity method is the LDCT image.
    frame = frame[~frame["kind"].isin(("identity", "control")) & (frame["power"] > 0)]
    high = np.log10(frame["power"].max() * 1.6)
    low = max(np.log10(frame["power"].min() / 1.5), high - DECADES)
    right = frame["frequency"].max()
    groups = list(frame.groupby("method", sort=False))
    methods = [name for name, rows in groups if rows["kind"].iat[0] != "reference"]
    lines = []
    for name, rows in groups:
        place = methods.index(name) if name in methods else 0
        colour = f"c{place % COLOURS} d{place // COLOURS}" if name in methods else name
        lines.append(
            {
                "title": rows["title"].iat[0],
                "look": f"{colour} own" if name == own else colour,
                "points": _points(rows, right, low, high),
            }
        )
    decades = range(int(np.ceil(low)), int(np.floor(high)) + 1)
    return {
        "lines": lines,
        "across": [(100 * tick / right, tick_text(tick)) for tick in _inside(right)],
        "up": [(100 * (high - tick) / (high - low), tick) for tick in decades],
    }


def _points(rows: pd.DataFrame, right: float, low: float, high: float) -> str:
    x = SIDE * rows["frequency"] / right
    y = SIDE * (high - np.log10(rows["power"]).clip(lower=low)) / (high - low)
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))


def _inside(right: float) -> list[float]:
    return [tick for tick in MaxNLocator(5).tick_values(0, right) if 0 <= tick < 0.97 * right]
