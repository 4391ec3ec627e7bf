"""Fig. 1: a network drawn from its definition."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Patch, Rectangle
from torch import nn

from ldct.common.provenance import recorded
from ldct.networks.cost import seen_pixels
from ldct.networks.facts import Block, count_parameters, network_blocks
from ldct.networks.sizes import served
from ldct.rendering import figure_style as fs

PITCH_IN = 0.53  # from one block to the next
BOX_IN = (0.4, 1.12)  # width and height of a layer
LANE_IN = 0.15  # between the lines of two skip connections
STRIP_IN = 0.06  # width of the band that stands for batch norm or activation
JOIN_RADIUS_IN = 0.125
MARGIN_IN = 0.08
TITLE_IN, LEGEND_IN, GAP_IN = 0.24, 0.42, 0.12

CONV_FILL, OTHER_FILL = "#DCEBF5", "#EEEEEE"
JOIN_SYMBOL = {"concat": "C", "add": "+", "subtract": "−"}
JOIN_COLOUR = {"concat": fs.BLUE, "add": fs.VERMILION, "subtract": fs.VERMILION}

Edge = tuple[int, int]  # positions of the block that is read and of the block that reads


def draw_network(
    network: nn.Module, title: str, output_stem: str | Path, sizes: Mapping[str, Any] | None = None
) -> None:
    """Draw a network's graph to `<output_stem>.png` and `.pdf`, with a provenance record.

    Every convolution shows kernel, channels and dilation; bands stand for batch norm and
    activation; connections that skip layers run above (into a concatenation) or below. The
    parameter count and the measured receptive field are printed beneath. The figure has double
    column width, and more where the network has over 13 blocks.
    sizes : `tile` or `multiple_of` of the network, if it has one.
    """
    blocks = network_blocks(network)
    first = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
    side = seen_pixels(served(network, sizes or {}), first.in_channels)
    parameters, field = count_parameters(network), f"{side} × {side}" if side else "over 128 × 128"
    lanes = [_lanes(edges) for edges in _skip_edges(blocks)]
    above, below = (GAP_IN + LANE_IN * (max(found.values(), default=-1) + 1) for found in lanes)

    width = max(fs.DOUBLE_COLUMN_IN, 2 * MARGIN_IN + PITCH_IN * len(blocks))
    middle = LEGEND_IN + below + BOX_IN[1] / 2
    height = middle + BOX_IN[1] / 2 + above + TITLE_IN
    left = (width - PITCH_IN * (len(blocks) - 1)) / 2
    centres = [left + PITCH_IN * i for i in range(len(blocks))]

    settings = {"title": title, "parameters": parameters, "receptive_field": field}
    written: list[Path] = []
    with recorded(written, [], settings), fs.figure_style():
        figure, axes = fs.new_canvas(width, height)
        for position, (block, x) in enumerate(zip(blocks, centres, strict=True)):
            _draw_block(axes, block, x, middle)
            before = blocks[position - 1]
            if position and before.name in block.inputs:
                tail = (centres[position - 1] + _half_size(before)[0], middle)
                fs.arrow(axes, tail, (x - _half_size(block)[0], middle), lw=0.8)
        for found, side in zip(lanes, (1, -1), strict=True):
            for edge, lane in found.items():
                _draw_skip(axes, blocks, centres, middle, edge, lane, side)
        axes.text(width / 2, height - 0.05, title, ha="center", va="top", fontsize=fs.TITLE_PT)
        facts = f"{parameters:,} trainable parameters  ·  receptive field {field} pixels"
        axes.text(width / 2, 0.06, facts, ha="center", va="bottom")
        _legend(axes, blocks, width)
        written += fs.save_figure(figure, output_stem)


def _skip_edges(blocks: Sequence[Block]) -> tuple[list[Edge], list[Edge]]:
    """Edges that pass over at least one block: into a concatenation, and all others."""
    position = {block.name: i for i, block in enumerate(blocks)}
    above, below = [], []
    for reader, block in enumerate(blocks):
        for name in dict.fromkeys(block.inputs):
            if position[name] < reader - 1:
                (above if block.kind == "concat" else below).append((position[name], reader))
    return above, below


def _lanes(edges: Sequence[Edge]) -> dict[Edge, int]:
    """The lowest free lane for each edge, short edges first, so that lines do not overlap."""
    lanes: dict[Edge, int] = {}
    for edge in sorted(edges, key=lambda e: (e[1] - e[0], e)):
        taken = {
            lane for other, lane in lanes.items() if edge[0] <= other[1] and other[0] <= edge[1]
        }
        lanes[edge] = next(lane for lane in range(len(edges)) if lane not in taken)
    return lanes


def _half_size(block: Block) -> tuple[float, float]:
    """Half of the width and height at which a block is drawn."""
    if block.kind in JOIN_SYMBOL:
        return JOIN_RADIUS_IN, JOIN_RADIUS_IN
    return BOX_IN[0] / 2, BOX_IN[1] / 2


def _draw_block(axes: Axes, block: Block, x: float, y: float) -> None:
    if block.kind in JOIN_SYMBOL:
        colour = JOIN_COLOUR[block.kind]
        axes.add_patch(Circle((x, y), JOIN_RADIUS_IN, fc="white", ec=colour, lw=1.0, zorder=3))
        axes.text(
            x, y, JOIN_SYMBOL[block.kind], ha="center", va="center", color=colour, zorder=4,
            fontweight="bold",
        )  # fmt: skip
        return
    corner = (x - BOX_IN[0] / 2, y - BOX_IN[1] / 2)
    fill = CONV_FILL if block.kind == "conv" else OTHER_FILL
    axes.add_patch(Rectangle(corner, *BOX_IN, fc=fill, ec=fs.BLACK, lw=0.7, zorder=3))
    strips = [fs.ORANGE] * block.normalised + [fs.GREEN] * bool(block.activation)
    for i, colour in enumerate(reversed(strips)):
        start = (x + BOX_IN[0] / 2 - STRIP_IN * (i + 1), corner[1])
        axes.add_patch(Rectangle(start, STRIP_IN, BOX_IN[1], fc=colour, ec="none", zorder=3.5))
    axes.add_patch(Rectangle(corner, *BOX_IN, fc="none", ec=fs.BLACK, lw=0.7, zorder=4))
    text_x = x - STRIP_IN * len(strips) / 2
    axes.text(
        text_x, y, _block_text(block), ha="center", va="center", rotation=90, zorder=4,
        fontsize=fs.SMALL_PT + 0.5, linespacing=1.1,
    )  # fmt: skip


def _block_text(block: Block) -> str:
    if block.kind != "conv":
        return {"input": "input", "output": "output"}.get(block.kind, block.label)
    word = "deconv" if block.label.startswith("ConvTranspose") else "conv"
    details = f", d = {block.dilation}" if block.dilation > 1 else ""
    details += f", s = {block.stride}" if block.stride > 1 else ""
    size = f"{block.kernel}×{block.kernel} {word}{details}"
    return f"{size}\n{block.in_channels} → {block.out_channels}"


def _draw_skip(
    axes: Axes,
    blocks: Sequence[Block],
    centres: Sequence[float],
    middle: float,
    edge: Edge,
    lane: int,
    side: int,
) -> None:
    """A line out of the top (side 1) or bottom (-1) of one block and into that of another."""
    source, reader = (blocks[i] for i in edge)
    colour = JOIN_COLOUR.get(reader.kind, fs.GREY)
    x0, x1 = centres[edge[0]], centres[edge[1]]
    # Apart where one block both ends and starts a skip.
    x0, x1 = x0 + 0.04, x1 - 0.04 * (reader.kind not in JOIN_SYMBOL)
    run = middle + side * (BOX_IN[1] / 2 + GAP_IN + LANE_IN * lane)
    start = middle + side * _half_size(source)[1]
    axes.plot([x0, x0, x1], [start, run, run], color=colour, lw=1.0, zorder=1)
    tip = middle + side * _half_size(reader)[1]
    fs.arrow(axes, (x1, run), (x1, tip), color=colour, lw=1.0, zorder=1)
    axes.plot(x0, start, marker="o", ms=2.2, color=colour, zorder=5)


def _legend(axes: Axes, blocks: Sequence[Block], width: float) -> None:
    kinds = {block.kind for block in blocks}
    activations = sorted({block.activation for block in blocks if block.activation})
    handles = [Patch(fc=CONV_FILL, ec=fs.BLACK, lw=0.6, label="convolution (d: dilation)")]
    if any(block.normalised for block in blocks):
        handles.append(Patch(fc=fs.ORANGE, label="batch normalisation"))
    if activations:
        handles.append(Patch(fc=fs.GREEN, label=", ".join(activations)))
    names = {"concat": "C  concatenation", "add": "+  addition", "subtract": "−  subtraction"}
    handles += [
        Line2D([], [], color=JOIN_COLOUR[kind], lw=1.2, label=label)
        for kind, label in names.items()
        if kind in kinds
    ]
    axes.legend(
        handles=handles, loc="lower center", bbox_to_anchor=(width / 2, 0.2), ncols=len(handles),
        bbox_transform=axes.transData, frameon=False, fontsize=fs.SMALL_PT + 0.5, borderpad=0,
        handlelength=1.2, columnspacing=1.4, handletextpad=0.5, borderaxespad=0,
    )  # fmt: skip
