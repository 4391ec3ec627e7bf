"""A panel for every annotated lesion slice of the test set: rendered by rule, never chosen."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from ldct.common.files import write_text
from ldct.common.inputs import read_volume_info
from ldct.common.progress import track
from ldct.common.provenance import recorded
from ldct.data.lesions import read_lesions
from ldct.lesions.masks import CORE_SHARE
from ldct.lesions.places import lesion_centre, lesion_roi, lesion_rows
from ldct.metrics.pixelwise import pair_scores
from ldct.metrics.protocol import Protocol
from ldct.rendering import figure_style as fs
from ldct.rendering.page import html_line, html_page
from ldct.rendering.slices import Roi, load_slice, score_text
from ldct.rendering.windows import WINDOWS, fitting_window, window_text

SCORE_COLUMNS = ["method", "patient", "lesion", "slice_index", "z_mm", "psnr", "ssim", "panel"]
MAX_COLUMNS = 6
TITLE_LINE_IN, FOOT_LINE_IN, SCORE_IN, GAP_IN, MARGIN_IN = 0.135, 0.1, 0.17, 0.05, 0.06
LABEL_IN = 0.16

Mark = tuple[float, float, float]  # column, row and radius of a circle, in pixels of the crop
Case = tuple[str | Path, Mapping[str, str | Path]]  # test-set folder, title -> prediction .npy


def render_lesion_panels(
    cases: Sequence[Case],
    lesions_csv: str | Path,
    protocol: Protocol,
    context: str,
    output_dir: str | Path,
    credit: str = "",
) -> None:
    """Render each annotated lesion slice of the test set, and an index of all of them.

    Where the lesion lies outside the protocol's window, a second row shows it in one that fits.

    cases : one (test-set folder, predictions) per test patient; predictions map a method's title
        to its .npy, in the order in which the methods are shown.
    lesions_csv : one row per lesion and slice; rows of patients or slices outside the test set
        have no panel.
    protocol : window of every crop, and how its PSNR and SSIM are computed.
    context : what the data are, printed under every panel.
    credit : whom to credit for the data; printed on the page.

    Writes `<patient>_<lesion>_<slice>.png` and `.pdf`, `lesions.csv` (method, patient, lesion,
    slice_index, z_mm, psnr, ssim, panel: all crop scores) and `index.html` into `output_dir`.
    """
    output_dir, window = Path(output_dir), protocol.window
    used = [path for _, predictions in cases for path in predictions.values()]
    record = {"protocol": protocol.name, "context": context}
    with recorded([output_dir / "lesions.csv"], [lesions_csv, *used], record):
        lesions = read_lesions(lesions_csv)
        found = [
            (folder, predictions, info, lesion, row)
            for folder, predictions in cases
            for info in [read_volume_info(folder)]
            for lesion, row in lesion_rows(lesions, info)
        ]
        rows = []
        for folder, predictions, info, lesion, row in track(found, "lesion panels"):
            images = load_slice(folder, predictions, row)
            roi = lesion_roi(lesion, info, images["NDCT"].shape)
            region = np.s_[roi[0] : roi[1], roi[2] : roi[3]]
            crops = {title: image[region] for title, image in images.items()}
            scores = {
                title: pair_scores(crop, crops["LDCT"], crops["NDCT"], protocol)
                for title, crop in crops.items()
                if title != "NDCT"
            }
            index, z_mm = info["slice_index"][row], info["z_mm"][row]
            stem = f"{lesion['patient']}_{lesion['lesion']}_{index:04d}"
            with fs.figure_style():
                mark = lesion_mark(lesion, info, roi)
                second = second_window(crops["NDCT"], lesion, info, roi, window)
                footer = _footer(lesion, z_mm, index, window, second, context)
                figure = draw_lesion_panel(crops, scores, mark, window, second, footer)
                fs.save_figure(figure, output_dir / stem)
            place = (lesion["patient"], lesion["lesion"], index, z_mm)
            rows += [(title, *place, s["psnr"], s["ssim"], stem) for title, s in scores.items()]
        table = pd.DataFrame(rows, columns=SCORE_COLUMNS)
        write_text(output_dir / "lesions.csv", table.to_csv(index=False))
        write_text(output_dir / "index.html", _index_html(table, context, credit))


def lesion_mark(lesion: Mapping[str, Any], info: Mapping[str, Any], roi: Roi) -> Mark:
    """The circle around a lesion in its crop."""
    row, column = lesion_centre(lesion, info)
    return column - roi[2], row - roi[0], 1.25 * _radius(lesion, info) + 2


def _radius(lesion: Mapping[str, Any], info: Mapping[str, Any]) -> float:
    return lesion["diameter_mm"] / min(info["pixel_mm"]) / 2


def second_window(
    ndct_crop: np.ndarray,
    lesion: Mapping[str, Any],
    info: Mapping[str, Any],
    roi: Roi,
    window: tuple[float, float],
) -> str | None:
    """Name of the window that shows the core of a lesion; None where `window` does.

    ndct_crop : (rows, columns) HU of the region `roi`.
    """
    row, column = lesion_centre(lesion, info)
    rows, columns = np.indices(ndct_crop.shape)
    distance = np.hypot(rows + roi[0] - row, columns + roi[2] - column)
    # At least the pixel nearest to the centre.
    core = distance <= max(CORE_SHARE * _radius(lesion, info), distance.min())
    return fitting_window(ndct_crop[core], window)


def draw_lesion_panel(
    crops: Mapping[str, np.ndarray],
    scores: Mapping[str, Mapping[str, float]],
    mark: Mark | None,
    window: tuple[float, float],
    second: str | None,
    footer: str,
) -> Figure:
    """Crops side by side in one window and, where `second` names one, below it in another.

    crops : title -> (rows, columns) in HU, NDCT among them. scores : title -> psnr and ssim of the
    crop. Call it inside `figure_style()`.
    """
    windows = {"": window} | ({f"{second} window": WINDOWS[second]} if second else {})
    lines = -(-len(crops) // MAX_COLUMNS)
    columns = -(-len(crops) // lines)
    label = LABEL_IN if second else 0.0
    cell = (fs.DOUBLE_COLUMN_IN - 2 * MARGIN_IN - label - GAP_IN * (columns - 1)) / columns
    shape = crops["NDCT"].shape
    cell_height = cell * shape[0] / shape[1]
    titles = {title: fs.wrap(title, cell, fs.TITLE_PT) for title in crops}
    footer = fs.wrap(footer, fs.DOUBLE_COLUMN_IN - 0.2, fs.SMALL_PT)
    head = 0.06 + TITLE_LINE_IN * max(text.count("\n") + 1 for text in titles.values())
    pitch = head + len(windows) * (cell_height + GAP_IN) + SCORE_IN
    height = lines * pitch + 0.1 + FOOT_LINE_IN * (footer.count("\n") + 1)
    figure = fs.new_figure(fs.DOUBLE_COLUMN_IN, height, layout=None)
    for i, (title, crop) in enumerate(crops.items()):
        line, column = divmod(i, columns)
        x = MARGIN_IN + label + column * (cell + GAP_IN)
        for row, (name, bounds) in enumerate(windows.items()):
            y = head + line * pitch + row * (cell_height + GAP_IN)
            axes = fs.image_axes(figure, x, y, cell, cell_height)
            axes.imshow(crop, cmap="gray", vmin=bounds[0], vmax=bounds[1])
            if mark:
                circle = {"fill": False, "ec": fs.YELLOW, "lw": 0.8, "ls": (0, (4, 2))}
                axes.add_patch(Circle(mark[:2], mark[2], **circle))
            if row == 0:
                axes.set_title(titles[title], pad=3)
            if column == 0:
                axes.set_ylabel(name, labelpad=2, fontsize=fs.SMALL_PT)
        axes.set_xlabel(score_text(scores.get(title)), labelpad=2, fontsize=fs.SMALL_PT)
    figure.text(0.5, 0.05 / height, footer, ha="center", va="bottom", fontsize=fs.SMALL_PT)
    return figure


def _footer(
    lesion: Mapping[str, Any],
    z_mm: float,
    index: int,
    window: tuple[float, float],
    second: str | None,
    context: str,
) -> str:
    place = f"{lesion['patient']}, lesion {lesion['lesion']}, slice {index}, z = {z_mm:.1f} mm"
    size = f"{lesion['diameter_mm']:.1f} mm across"
    scores = "PSNR / SSIM of the crop" + (" in the first window" if second else "")
    place = f"{place}, {size}".replace("-", "−")
    return f"{place}  ·  {windows_text(window, second)}  ·  {scores}  ·  {context}"


def windows_text(window: tuple[float, float], second: str | None) -> str:
    """The windows of a panel in words."""
    below = f"; lower row: {second} window {window_text(WINDOWS[second])}" if second else ""
    return f"window {window_text(window)}{below}"


def _index_html(table: pd.DataFrame, context: str, credit: str) -> str:
    """One page that lists every panel; the images lie beside it."""
    panels = []
    for stem, group in table.groupby("panel", sort=False):
        first, name = group.iloc[0], escape(str(stem))
        place = f"slice {first['slice_index']}, z = {first['z_mm']:.1f} mm"
        title = escape(f"{first['patient']}, lesion {first['lesion']}, {place}")
        panels.append(
            f'<figure id="{name}"><a href="{name}.pdf"><img src="{name}.png" alt="{title}" '
            f'loading="lazy"></a><figcaption>{title}</figcaption></figure>'
        )
    text = f"{len(panels)} panels: every annotated lesion slice of the test set. {context}."
    lines = [
        "<h1>Lesion panels</h1>",
        f'<p>{escape(text)} Scores: <a href="lesions.csv">lesions.csv</a>.</p>',
        *(panels or ["<p>No annotated lesion lies in the test slices.</p>"]),
        html_line(credit),
    ]
    style = "figure { margin: 0 0 2rem; } img { width: 100%; height: auto; }\n"
    return html_page("Lesion panels", "\n".join(lines), style)
