"""Fig. 3: one slice as every method gives it, with zoom and difference to NDCT."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ldct.common.inputs import read_volume_info
from ldct.common.provenance import recorded
from ldct.rendering import figure_style as fs
from ldct.rendering.numbers import number
from ldct.rendering.slices import Roi, load_slice, score_text

LABEL_IN, BAR_IN = 0.2, 0.5  # row labels on the left, colour bar on the right
TITLE_LINE_IN, FOOT_LINE_IN, SCORE_IN, GAP_IN = 0.135, 0.1, 0.2, 0.04


def draw_comparison(
    test_folder: str | Path,
    predictions: Mapping[str, str | Path],
    row: int,
    roi: Roi,
    window: tuple[float, float],
    scores: Mapping[str, Mapping[str, float]],
    context: str,
    output_stem: str | Path,
) -> None:
    """Draw LDCT, predictions and NDCT of one slice to `<output_stem>.png` and `.pdf`.

    predictions : title -> prediction .npy of this patient, in the order of the columns.
    row : row of the test-set folder's arrays.
    roi : (top, bottom, left, right) in pixels, ends exclusive; marked in the slice, enlarged and
        compared below it.
    window : (lower, upper) HU, the same for every image.
    scores : title -> {"psnr": dB, "ssim": 1} of the slice; titles without scores get none.
    context : what the data are, e.g. "simulated quarter dose on LIDC-IDRI-0001, quick budget".
    """
    files = [Path(test_folder, "quarter.npy"), Path(test_folder, "full.npy")]
    settings = {"row": row, "roi": list(roi), "window": list(window)}
    written: list[Path] = []
    with recorded(written, [*files, *predictions.values()], settings), fs.figure_style():
        images = load_slice(test_folder, predictions, row)
        footer = _footer(read_volume_info(test_folder), row, window, context)
        written += fs.save_figure(_draw(images, roi, window, scores, footer), output_stem)


def _draw(
    images: Mapping[str, np.ndarray],
    roi: Roi,
    window: tuple[float, float],
    scores: Mapping[str, Mapping[str, float]],
    footer: str,
) -> Figure:
    top, bottom, left, right = roi
    rows, columns = bottom - top, right - left
    zoom = np.s_[top:bottom, left:right]
    ndct = images["NDCT"]
    differences = {title: _difference(image, ndct, window)[zoom] for title, image in images.items()}
    # A round limit in HU within which 99 % of all differences lie.
    every = np.concatenate([difference.ravel() for difference in differences.values()])
    percentile = np.percentile(np.abs(every), 99)
    limit = float(max(10.0, np.ceil(percentile / 10) * 10))

    cell = (fs.DOUBLE_COLUMN_IN - LABEL_IN - BAR_IN - GAP_IN * (len(images) - 1)) / len(images)
    titles = {title: fs.wrap(title, cell, fs.TITLE_PT) for title in images}
    footer_lines = fs.wrap(footer, fs.DOUBLE_COLUMN_IN - 0.2, fs.SMALL_PT).count("\n") + 1
    head = 0.06 + TITLE_LINE_IN * max(text.count("\n") + 1 for text in titles.values())
    foot = 0.1 + FOOT_LINE_IN * footer_lines
    heights = (cell * ndct.shape[0] / ndct.shape[1], cell * rows / columns)
    tops = (head, head + heights[0] + SCORE_IN, head + sum(heights) + SCORE_IN + GAP_IN)
    height = tops[2] + heights[1] + foot
    figure = fs.new_figure(fs.DOUBLE_COLUMN_IN, height, layout=None)

    grey = {"cmap": "gray", "vmin": window[0], "vmax": window[1]}
    for column, (title, image) in enumerate(images.items()):
        x = LABEL_IN + column * (cell + GAP_IN)
        whole = fs.image_axes(figure, x, tops[0], cell, heights[0])
        whole.imshow(image, **grey)
        whole.add_patch(
            Rectangle((left - 0.5, top - 0.5), columns, rows, fill=False, ec=fs.YELLOW, lw=0.9)
        )
        whole.set_title(titles[title], pad=3)
        whole.set_xlabel(score_text(scores.get(title)), labelpad=2, fontsize=fs.SMALL_PT)
        region = fs.image_axes(figure, x, tops[1], cell, heights[1])
        region.imshow(image[zoom], **grey)
        region.spines[:].set(color=fs.YELLOW, linewidth=0.9)
        difference = fs.image_axes(figure, x, tops[2], cell, heights[1])
        shown = difference.imshow(differences[title], cmap="RdBu_r", vmin=-limit, vmax=limit)
        if column == 0:
            whole.set_ylabel("slice", labelpad=3)
            region.set_ylabel("region", labelpad=3)
            difference.set_ylabel("minus NDCT", labelpad=3)
    bar_x = fs.DOUBLE_COLUMN_IN - BAR_IN + 0.06
    bar_axes = fs.image_axes(figure, bar_x, tops[2], 0.09, heights[1])
    bar = figure.colorbar(shown, cax=bar_axes, ticks=[-limit, 0, limit], extend="both")
    bar.outline.set_linewidth(0.4)
    bar_axes.tick_params(pad=1.5, length=2)
    bar_axes.set_title("HU", fontsize=fs.SMALL_PT, pad=3)
    fs.foot_text(figure, footer)
    return figure


def _difference(
    image_hu: np.ndarray, ndct_hu: np.ndarray, window: tuple[float, float]
) -> np.ndarray:
    """Image minus NDCT in HU, both clipped to the window: what the eye and the scores compare."""
    return np.clip(image_hu, *window) - np.clip(ndct_hu, *window)


def _footer(info: Mapping, row: int, window: tuple[float, float], context: str) -> str:
    low, high = (number(value, 0) for value in window)
    place = f"{info['patient']}, z = {number(info['z_mm'][row], 1)} mm"
    return f"{place}  ·  window [{low}, {high}] HU  ·  PSNR / SSIM of the slice  ·  {context}"
