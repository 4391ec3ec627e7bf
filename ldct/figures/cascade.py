"""Fig. 2: a cascade drawn from its card and its resolved stages."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyBboxPatch

from ldct.common.provenance import recorded
from ldct.networks.facts import count_parameters
from ldct.networks.files import build_network
from ldct.rendering import figure_style as fs

MIN_STAGE_IN = 2.65  # least width of the part of the figure that belongs to one level
MARGIN_IN = 0.6  # for the input on the left and the output on the right
BOX_IN = (1.3, 0.56)
SIDE_BOX_IN = (1.3, 0.44)
GAP_IN = 0.24  # between the boxes of one level
TOP_IN, LEGEND_IN = 0.5, 0.3  # title and the line around a level; legend
JOIN_RADIUS_IN = 0.11
TEXT_PT = fs.SMALL_PT + 0.5
SOLID = {"color": fs.BLACK, "ls": "-"}
DASHED = {"color": fs.GREY, "ls": (0, (3, 2))}  # what exists in training only
LOSS_NAMES = {"mse": "MSE", "mae": "MAE"}

NETWORK_FILL, CRITIC_FILL = "#DCEBF5", "#FBE3D0"

Point = tuple[float, float]


def draw_cascade(title: str, levels: Sequence[Mapping[str, Any]], output_stem: str | Path) -> None:
    """Draw a cascade to `<output_stem>.png` and `.pdf`, with a provenance record.

    levels : resolved stages, at least one, in order, each with its `title`.

    Solid lines are the flow at test time, dashed ones exist in training only. The label of a
    residual level is its input minus the NDCT image, and its prediction is subtracted from its
    input (docs/methods.md, reading 1).
    """
    stages = [_described(level) for level in levels]
    span = max(MIN_STAGE_IN, (fs.DOUBLE_COLUMN_IN - 2 * MARGIN_IN) / max(len(stages), 2))
    width = 2 * MARGIN_IN + span * len(stages)
    training_boxes = 1 + any(stage["discriminator"] for stage in stages)
    flow_y = LEGEND_IN + training_boxes * (SIDE_BOX_IN[1] + GAP_IN) + BOX_IN[1] / 2
    height = flow_y + BOX_IN[1] / 2 + TOP_IN
    written: list[Path] = []
    with recorded(written, [], {"title": title, "stages": stages}), fs.figure_style():
        figure, axes = fs.new_canvas(width, height)
        axes.text(MARGIN_IN - 0.06, flow_y, "LDCT\n$\\mathbf{X}$", ha="right", va="center")
        symbol = "X"
        for level, stage in enumerate(stages, start=1):
            left = MARGIN_IN + span * (level - 1)
            result = "Y_{final}" if level == len(stages) else f"Y_P^{{({level})}}"
            _draw_level(axes, stage, level, (left, left + span), flow_y, (symbol, result))
            symbol = result
        fs.arrow(axes, (width - MARGIN_IN - 0.2, flow_y), (width - MARGIN_IN, flow_y))
        output = f"output\n${_bold(symbol)}$"
        axes.text(width - MARGIN_IN + 0.06, flow_y, output, ha="left", va="center")
        axes.text(width / 2, height - 0.05, title, ha="center", va="top", size=fs.TITLE_PT)
        _legend(axes, width)
        written += fs.save_figure(figure, output_stem)


def _described(level: Mapping[str, Any]) -> dict[str, Any]:
    """What the figure says of a level: names, target, loss, size, its discriminator in words."""
    network, adversarial = level["network"], level["loss"].get("adversarial")
    critic = None
    if adversarial:
        options = adversarial["discriminator"]["options"]
        size = count_parameters(build_network(adversarial["discriminator"], 0, "figure"))
        sees_input = adversarial["kind"] == "least_squares" and options.get("conditional", True)
        critic = f"D{' given X' if sees_input else ''}\n{size:,} parameters"
    return {
        "name": level["title"],
        "network": network["name"].upper(),
        "target": level["target"],
        "loss": level["loss"],
        "parameters": count_parameters(build_network(network, 0, "figure")),
        "discriminator": critic,
    }


def _draw_level(
    axes: Axes,
    stage: Mapping[str, Any],
    level: int,
    span: tuple[float, float],
    y: float,
    symbols: tuple[str, str],
) -> None:
    """Draw one level between two x positions; symbols: of the image it reads, of its result."""
    left, right = span
    residual = stage["target"] == "residual"
    centre = left + 0.34 + BOX_IN[0] / 2
    out = centre + BOX_IN[0] / 2
    name, network = stage["name"], stage["network"]
    text = f"Level {level}: {name}\n"
    if network.lower() != name.lower():
        text += f"{network}\n"
    text += f"{stage['parameters']:,} parameters"
    _box(axes, (centre, y), BOX_IN, text, NETWORK_FILL)
    fs.arrow(axes, (left, y), (centre - BOX_IN[0] / 2, y))
    axes.plot([out, right], [y, y], color=fs.BLACK, lw=0.9, zorder=1)
    name_x = (out + right) / 2
    if residual:
        join = right - 0.5
        _subtract_prediction(axes, left + 0.12, out, join, y)
        name_x = (join + JOIN_RADIUS_IN + right) / 2
    if symbols[1] != "Y_{final}":
        axes.text(name_x, y + 0.05, f"${_bold(symbols[1])}$", ha="center")
    label = "NDCT $\\mathbf{Y}$"
    if residual:
        label = f"${_bold(symbols[0])} - \\mathbf{{Y}}$"
    _draw_training(axes, stage, centre, y, label)


def _subtract_prediction(axes: Axes, tap: float, out: float, join: float, y: float) -> None:
    """The level's input, led around the network, minus the network's prediction."""
    fs.arrow(axes, (out, y), (join - JOIN_RADIUS_IN, y))
    axes.text((out + join - JOIN_RADIUS_IN) / 2, y + 0.05, r"$\hat{\mathbf{r}}$", ha="center")
    axes.add_patch(Circle((join, y), JOIN_RADIUS_IN, fc="white", ec=fs.VERMILION, zorder=3))
    half = JOIN_RADIUS_IN * 0.5
    axes.plot([join - half, join + half], [y, y], color=fs.VERMILION, lw=1.2, zorder=4)
    over = y + BOX_IN[1] / 2 + 0.14
    axes.plot([tap, tap, join], [y, over, over], color=fs.BLACK, lw=0.9)
    axes.plot(tap, y, marker="o", ms=2.5, color=fs.BLACK)
    fs.arrow(axes, (join, over), (join, y + JOIN_RADIUS_IN))


def _draw_training(
    axes: Axes, stage: Mapping[str, Any], centre: float, flow_y: float, label: str
) -> None:
    """What exists in training only: the loss, the discriminator, and the label both read."""
    boxes = [("loss\n" + loss_text(stage["loss"]).replace(" + ", "\n+ "), "white")]
    if stage["discriminator"]:
        boxes.append((f"discriminator {stage['discriminator']}", CRITIC_FILL))
    edge = centre + SIDE_BOX_IN[0] / 2
    prediction_x, label_x = edge + 0.1, edge + 0.3
    above = flow_y - BOX_IN[1] / 2
    for text, fill in boxes:
        y = above - GAP_IN - SIDE_BOX_IN[1] / 2
        text = "\n".join(fs.wrap(line, SIDE_BOX_IN[0], TEXT_PT) for line in text.splitlines())
        _box(axes, (centre, y), SIDE_BOX_IN, text, fill, DASHED)
        fs.arrow(axes, (centre, y + SIDE_BOX_IN[1] / 2), (centre, above), **DASHED)
        fs.arrow(axes, (prediction_x, y + 0.08), (edge, y + 0.08), **DASHED)
        fs.arrow(axes, (label_x, y - 0.08), (edge, y - 0.08), **DASHED)
        above = y - SIDE_BOX_IN[1] / 2
    first = flow_y - BOX_IN[1] / 2 - GAP_IN - SIDE_BOX_IN[1] / 2 - 0.08
    grey = {**DASHED, "lw": 0.9, "zorder": 1}
    axes.plot([prediction_x] * 2, [flow_y, y + 0.08], **grey)
    axes.plot([label_x, label_x], [first, y - 0.08], **grey)
    axes.plot([label_x, label_x + 0.1], [first, first], **grey)
    axes.text(label_x + 0.13, first, f"label\n{label}", ha="left", va="center")


def loss_text(loss: Mapping[str, Any]) -> str:
    """A loss as a sum, e.g. `{"mse": 1, "mae": 100}` becomes `MSE + 100 MAE`.

    A weight that is measured when the training begins (`match_gradient`) is written as λ.
    """
    terms = []
    for name, value in loss.items():
        weight = value.get("weight", value) if isinstance(value, Mapping) else value
        word = LOSS_NAMES.get(name, name.replace("_", " "))
        factor = "λ" if isinstance(weight, Mapping) else f"{weight:g}"
        terms.append(word if weight == 1 else f"{factor} {word}")
    return " + ".join(terms)


def _bold(symbol: str) -> str:
    return rf"\mathbf{{{symbol[0]}}}{symbol[1:]}"


def _box(
    axes: Axes, centre: Point, size: Point, text: str, fill: str, line: Mapping[str, Any] = SOLID
) -> None:
    corner = (centre[0] - size[0] / 2, centre[1] - size[1] / 2)
    edge = {"ec": line["color"], "ls": line["ls"], "lw": 0.9, "zorder": 3}
    style = "round,pad=0,rounding_size=0.05"
    axes.add_patch(FancyBboxPatch(corner, *size, boxstyle=style, fc=fill, **edge))
    axes.text(*centre, text, ha="center", va="center", zorder=4, linespacing=1.25, size=TEXT_PT)


def _legend(axes: Axes, width: float) -> None:
    for x, line, text in ((-1.3, SOLID, "training and test"), (0.3, DASHED, "training only")):
        start = width / 2 + x
        fs.arrow(axes, (start, 0.12), (start + 0.3, 0.12), **line)
        axes.text(start + 0.36, 0.12, text, va="center", fontsize=fs.SMALL_PT)
