"""Loss curves: one panel for each trained stage, every term as it was minimised."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ldct.common.errors import InputError
from ldct.rendering import figure_style as style

COLUMNS = 3
PANEL_HEIGHT_IN = 1.55
FOOT_IN = 0.85
# Share of a training that one point of the smooth curve is the mean of.
SMOOTHING = 0.1
# Term of the history: label, colour. Terms that a method brings itself come in grey.
TERMS = {
    "mse": ("squared error", style.BLUE),
    "mae": ("absolute error", style.ORANGE),
    "dssim": ("DSSIM", style.GREEN),
    "sharpness": ("sharpness", style.YELLOW),
    "perceptual": ("perceptual", style.VERMILION),
    "adversarial": ("adversarial", style.PURPLE),
    "critic_real": ("critic on NDCT", style.SKY),
    "critic_fake": ("critic on predictions", style.GREEN),
    "critic_distance": ("critic distance", style.SKY),
    "critic_penalty": ("critic penalty", style.YELLOW),
}
VALIDATION, AUC = "val_psnr", "critic_auc"
DASHED = {"color": style.BLACK, "linestyle": "--", "linewidth": 0.9}


@dataclass(frozen=True)
class History:
    """Loss terms of one training.

    title : of the stage; trainings of one stage with several seeds share a panel.
    rows : table with the column `step` and one column for each term, as in `history.csv`.
    """

    title: str
    rows: pd.DataFrame


def read_histories(titles: Sequence[str], files: Sequence[Path]) -> list[History]:
    """Read `history.csv` of every training, in the order of the panels.

    Raises InputError where the titles are not as many as the files, or a file is no such table.
    """
    if len(titles) != len(files):
        raise InputError(
            f"loss curves: found {len(titles)} titles for {len(files)} histories; expected one each"
        )
    return [History(title, _read_history(file)) for title, file in zip(titles, files, strict=True)]


def _read_history(path: Path) -> pd.DataFrame:
    try:
        rows = pd.read_csv(path)
    except ValueError as error:  # pandas' own errors, and bytes that are no text
        problem = " ".join(str(error).split())
        raise InputError(f"{path}: not a CSV table ({problem}); train this stage again") from None
    if "step" not in rows:
        raise InputError(f"{path}: found no column step, expected the history.csv of a training")
    return rows


def draw_loss_curves(histories: Sequence[History], note: str) -> Figure:
    """Figure of all trainings; histories of one title must follow each other.

    note : data set and budget, printed under the panels.
    """
    panels = [(title, list(group)) for title, group in groupby(histories, lambda one: one.title)]
    rows = -(-len(panels) // COLUMNS)
    with style.figure_style():
        figure = style.new_figure(style.DOUBLE_COLUMN_IN, rows * PANEL_HEIGHT_IN + FOOT_IN)
        foot = FOOT_IN / figure.get_figheight()
        figure.get_layout_engine().set(rect=(0, foot, 1, 1 - foot))
        grid = figure.add_gridspec(rows, COLUMNS)
        for number, (title, group) in enumerate(panels):
            draw_panel(figure, grid[divmod(number, COLUMNS)], title, group)
        add_foot(figure, histories, note)
    return figure


def draw_panel(figure: Figure, place: SubplotSpec, title: str, group: Sequence[History]) -> None:
    """One stage: faint the logged means, bold their moving mean; validation PSNR on the right.

    Below it, where the stage has a critic, its AUC with a line at chance.
    """
    judged = [history.rows[["step", AUC]].dropna() for history in group if AUC in history.rows]
    cells = place.subgridspec(1 + bool(judged), 1, height_ratios=[5, 2][: 1 + bool(judged)])
    axes = lowest = figure.add_subplot(cells[0])
    if judged:
        lowest = figure.add_subplot(cells[1], sharex=axes)
        axes.tick_params(labelbottom=False)
        draw_auc(lowest, judged)
    lowest.set_xlabel("step")
    values = []
    for history in group:
        for name in terms_of(history):
            rows = history.rows[["step", name]].dropna()
            label, colour = TERMS.get(name, (name, style.GREY))
            axes.plot(rows["step"], rows[name], color=colour, linewidth=0.5, alpha=0.35)
            window = max(1, int(np.ceil(SMOOTHING * len(rows))))
            bold = rows[name].rolling(window, center=True, min_periods=1).mean()
            axes.plot(rows["step"], bold, color=colour, linewidth=1.0, label=label)
            values.append(rows[name].to_numpy())
    # A Wasserstein critic's terms have any sign.
    positive = all((one > 0).all() for one in values)
    axes.set_yscale("log" if positive else "symlog")
    axes.set_title(title)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.tick_params(which="minor", labelsize=style.SMALL_PT - 1)
    validated = [history for history in group if VALIDATION in history.rows]
    if validated:
        right = axes.twinx()
        right.set_ylabel("PSNR (dB)")
        for history in validated:
            scores = history.rows[["step", VALIDATION]].dropna()
            right.plot(scores["step"], scores[VALIDATION], **DASHED)


def draw_auc(axes: Axes, judged: Sequence[pd.DataFrame]) -> None:
    """AUC of a critic over the steps, one curve for each training; dotted at chance."""
    axes.axhline(0.5, color=style.GREY, linestyle=":", linewidth=0.9)
    for rows in judged:
        axes.plot(
            rows["step"], rows[AUC], color=style.BLACK, linewidth=0.9, marker=".", markersize=3
        )
    axes.set_ylim(0.35, 1.05)
    axes.set_yticks([0.5, 1])
    axes.set_ylabel("AUC")


def terms_of(history: History) -> list[str]:
    """Names of the loss terms of one history."""
    others = ("step", AUC)
    return [name for name in history.rows if name not in others and not name.startswith("val_")]


def add_foot(figure: Figure, histories: Sequence[History], note: str) -> None:
    """Legend of the terms that occur, and what is drawn."""
    found = dict.fromkeys(name for history in histories for name in terms_of(history))
    lines = [
        Line2D([], [], color=colour, linewidth=1.0, label=label)
        for label, colour in (TERMS.get(name, (name, style.GREY)) for name in found)
    ]
    if any(VALIDATION in history.rows for history in histories):
        lines.append(Line2D([], [], **DASHED, label="PSNR of the held-out patient"))
    figure.legend(
        handles=lines,
        loc="upper center",
        bbox_to_anchor=(0.5, FOOT_IN / figure.get_figheight()),
        ncols=min(len(lines), 6),
        frameon=False,
        fontsize=style.SMALL_PT,
    )
    text = (
        "Unweighted loss terms, mean of ten steps (faint) and of a tenth of all steps (bold); one "
        "curve for each training. AUC: of the critic, real against generated tiles; dotted: "
        f"chance. {note}"
    )
    style.foot_text(figure, text, color=style.GREY)
