"""Where a number, its interval and its margin are drawn, in percent of the drawing's width.

A drawing of these has no size of its own: it is as wide as its place, and its text keeps its size.
"""

from collections.abc import Mapping
from math import copysign, isfinite, log, log1p
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from ldct.front_page.results import Results
from ldct.rendering.numbers import bounds, signed
from ldct.table1.frame import DECIMALS

HALF = 4.0  # margins to each side of the bound in a claim's drawing
UNITS = {"psnr": "PSNR (dB)", "ssim": "SSIM"}
# What the outcome of another method beside the cascade says of the cascade.
SIGNS = {
    "below": ("✓", "better"),
    "above": ("✗", "worse"),
    "equal": ("=", "equal"),
    "open": ("?", "open"),
}
GROUPS = ("its parts", "perceptual loss", "another adversary", "supervised alone")


def claim_drawing(comparison: Mapping[str, Any]) -> dict[str, Any] | None:
    """One comparison of a claim on a scale of margins; to the right is what the claim says.

    Without a margin the side alone has a meaning. None for a number that is not finite.
    """
    side = 1 if comparison["better"] == "higher" else -1
    estimate, bound, margin = (comparison[key] for key in ("estimate", "bound", "margin"))
    if estimate is None or not isfinite(estimate):
        return None

    def place(value: float) -> float:
        if margin is None:
            return 50 + 30 * copysign(value != bound, side * (value - bound))
        if comparison["form"] == "ratio":
            distance = log(value / bound) / log1p(margin) if value > 0 else -2 * HALF
        else:
            distance = (value - bound) / margin
        return 50 + 50 * side * distance / HALF

    over = [each for each in comparison["tests"] if margin is not None]
    ends = sorted((place(over[0]["lower"]), place(over[0]["upper"]))) if over else None
    half_band = 50 / HALF
    band = None if margin is None else (50 - half_band, 2 * half_band)
    return _drawing(place(estimate), ends, band, 50)


def forest(results: Results) -> dict[str, Any] | None:
    """The reference method against its parts and against other networks, on one scale a metric.

    The values are those of differences.csv with the sign turned: reference minus method.
    """
    frame = results.frame("tables/differences.csv")
    if frame is None or frame.empty:
        return None
    main = frame[frame["protocol"] == frame["protocol"].iat[0]]
    reference = main["reference"].iat[0]
    groups = {name: group_of(name, reference, results.settings) for name in main["method"].unique()}
    main = main.assign(group=main["method"].map(groups)).dropna(subset="group")
    main = main[main["metric"].isin(UNITS) & np.isfinite(main["estimate"])]
    axes = {metric: _axis(metric, own) for metric, own in main.groupby("metric", sort=False)}
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in GROUPS}
    for (group, method), own in main.groupby(["group", "method"], sort=False):
        by_metric = {row["metric"]: row for row in own.to_dict("records")}
        cells = [
            _cell(by_metric[metric], axis) if metric in by_metric else None
            for metric, axis in axes.items()
        ]
        rows[group].append({"title": results.titles[method], "cells": cells})
    if not axes:
        return None
    return {
        "title": results.titles[reference],
        "groups": {group: own for group, own in rows.items() if own},
        "axes": list(axes.values()),
        "signs": dict(SIGNS.values()),
        "intervals": bool(main["lower"].notna().any()),
    }


def group_of(method: str, reference: str, settings: Mapping[str, Any]) -> str | None:
    """Which of GROUPS a method belongs to, by its stages; None where it has none.

    A part: one stage with the network and the loss terms of a level of the reference.
    """
    stages, levels = (
        [settings["models"][model] for model in settings["chains"].get(name, [])]
        for name in (method, reference)
    )
    if not stages:
        return None
    kinds = [(stage["network"]["name"], set(stage["loss"])) for stage in levels]
    if len(stages) == 1 and (stages[0]["network"]["name"], set(stages[0]["loss"])) in kinds:
        return GROUPS[0]
    terms = {term for stage in stages for term in stage["loss"]}
    return GROUPS[1 if "perceptual" in terms else 2 if "adversarial" in terms else 3]


def _axis(metric: str, own: pd.DataFrame) -> dict[str, Any]:
    """Title, ends and ticks of an axis that holds all differences, sign turned, and the margin."""
    values, margin = -own[["estimate", "lower", "upper"]].stack(), own["margin"].iat[0]
    low, high = min(values.min(), -2 * margin), max(values.max(), 2 * margin)
    pad = 0.06 * (high - low)
    low, high = low - pad, high + pad
    ticks = [value for value in MaxNLocator(3).tick_values(low, high) if low < value < high]
    return {
        "title": f"{UNITS[metric]}, margin {margin:g}",
        "ends": (low, high),
        "ticks": [(_place(value, low, high), tick_text(value)) for value in ticks],
    }


def _cell(row: Mapping[str, Any], axis: Mapping[str, Any]) -> dict[str, Any]:
    """One difference: where it is drawn, its sign, and the number with its interval."""
    sign, word = SIGNS[row["outcome"]]
    digits, margin = DECIMALS[row["metric"]], row["margin"]
    ends = (-row["upper"], -row["lower"])
    dot, zero, left, right, *reach = (
        _place(value, *axis["ends"]) for value in (-row["estimate"], 0, -margin, margin, *ends)
    )
    known = reach if pd.notna(row["lower"]) else None
    return _drawing(dot, known, (left, right - left), zero) | {
        "sign": sign,
        "word": word,
        "number": signed(-row["estimate"], digits),
        "bounds": bounds(*ends, digits),
    }


def _place(value: float, low: float, high: float) -> float:
    return 100 * (value - low) / (high - low)


def tick_text(value: float) -> str:
    """A value of an axis, all its digits."""
    return f"{round(value, 9) + 0:g}".replace("-", "−")


def _drawing(
    dot: float, ends: list[float] | None, band: tuple[float, float] | None, zero: float
) -> dict[str, Any]:
    """Places in percent, kept within the drawing; `beyond` says at which side the dot was not."""
    kept = [min(max(value, 5.0), 95.0) for value in (dot, *(ends or []))]
    beyond = "" if kept[0] == dot else "right" if dot > 50 else "left"
    return {"dot": kept[0], "ends": kept[1:], "band": band, "zero": zero, "beyond": beyond}
