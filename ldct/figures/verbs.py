"""Verbs that draw."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ldct.common.arguments import add_panels, json_list, json_mapping
from ldct.common.files import write_text
from ldct.common.inputs import open_array, read_volume_info
from ldct.common.provenance import of_no_machine

if TYPE_CHECKING:
    from ldct.rendering.slices import Roi


def register(verbs: argparse._SubParsersAction) -> None:
    """Add the verbs to the parser."""
    config = verbs.add_parser("save-config", help="write the resolved configuration of a run")
    config.add_argument("--settings", type=json_mapping(), required=True)
    config.add_argument("--output", type=Path, required=True)
    config.set_defaults(run=run_save_config)

    cascade = verbs.add_parser("draw-cascade", help="Figs. 1 and 2, from a cascade's definition")
    cascade.add_argument("--title", required=True, help="of the cascade")
    cascade.add_argument("--models", type=json_list, required=True, help="its levels, JSON")
    cascade.add_argument("--output", type=Path, nargs=2, required=True, help="without suffixes")
    cascade.set_defaults(run=run_draw_cascade)

    comparison = verbs.add_parser("draw-comparison", help="Fig. 3, the largest lesion")
    add_panels(comparison)
    comparison.add_argument("--lesions", type=Path, required=True)
    comparison.set_defaults(run=run_draw_comparison)

    texture = verbs.add_parser("draw-texture", help="Fig. 4, the flattest soft tissue")
    add_panels(texture)
    texture.set_defaults(run=run_draw_texture)

    curves = verbs.add_parser("draw-loss-curves", help="loss curves of all trained stages")
    curves.add_argument("--histories", type=Path, nargs="+", required=True, help="history.csv")
    curves.add_argument("--titles", type=json_list, required=True, help="one for each history")
    curves.add_argument("--note", default="", help="data set and budget")
    curves.add_argument("--output", type=Path, required=True, help="figure, without suffix")
    curves.set_defaults(run=run_draw_loss_curves)


def run_save_config(options: argparse.Namespace) -> None:
    """Write the resolved configuration as YAML."""
    import yaml

    write_text(options.output, yaml.safe_dump(of_no_machine(options.settings), sort_keys=False))


def run_draw_cascade(options: argparse.Namespace) -> None:
    """Draw the network of the last level (Fig. 1) and the cascade (Fig. 2)."""
    from ldct.figures.cascade import draw_cascade
    from ldct.figures.network import draw_network
    from ldct.networks.files import build_network

    network = options.models[-1]["network"]
    built, name = build_network(network, 0, "figure"), network["name"].upper()
    draw_network(built, name, options.output[0], network)
    draw_cascade(options.title, options.models, options.output[1])


def run_draw_comparison(options: argparse.Namespace) -> None:
    """Draw Fig. 3: the largest lesion, or the middle of the first patient where there is none."""
    from ldct.lesions.panels import lesion_roi
    from ldct.lesions.places import largest_lesion

    infos = {folder: read_volume_info(folder) for folder in options.test_folders}
    found = largest_lesion(options.lesions, list(infos.values()))
    if found is None:
        _draw_middle(options, "no annotated lesion in the test slices")
        return
    lesion, row = found
    folder = next(name for name, info in infos.items() if info["patient"] == lesion["patient"])
    shape = open_array(folder / "full.npy").shape[1:]
    roi = lesion_roi(lesion, infos[folder], shape)
    _draw_region(options, folder, row, roi, "largest annotated lesion")


def run_draw_texture(options: argparse.Namespace) -> None:
    """Draw Fig. 4: texture in the flattest square of soft tissue of the first test patient.

    Where no square of 96 pixels is all soft tissue, half and a quarter of it are tried, then the
    next patient, and last the middle of the first.
    """
    from ldct.rendering.slices import different_rows
    from ldct.texture.regions import flattest_soft_tissue

    for folder in options.test_folders:
        rows = different_rows(folder)
        for side in (96, 48, 24):
            found = flattest_soft_tissue(open_array(folder / "full.npy")[rows], side)
            if found is not None:
                what = "flattest square of soft tissue"
                _draw_region(options, folder, rows[found[0]], found[1], what)
                return
    _draw_middle(options, "no square of soft tissue in the test slices")


def _draw_middle(options: argparse.Namespace, why: str) -> None:
    from ldct.rendering.slices import central_region

    folder, row, roi = central_region(options.test_folders[0])
    _draw_region(options, folder, row, roi, f"{why}: the middle of the first patient")


def _draw_region(
    options: argparse.Namespace, folder: Path, row: int, roi: "Roi", what: str
) -> None:
    from ldct.figures.comparison import draw_comparison
    from ldct.metrics.pixelwise import pair_scores
    from ldct.metrics.protocol import load_protocol
    from ldct.rendering.slices import load_slice, predictions_by_patient

    protocol = load_protocol(options.protocol)
    predictions = predictions_by_patient(options.predictions, options.titles).get(folder.name, {})
    images = load_slice(folder, predictions, row)
    scores = {
        title: pair_scores(image, images["LDCT"], images["NDCT"], protocol)
        for title, image in images.items()
        if title != "NDCT"
    }
    context = f"{what}  ·  {options.note}"
    draw_comparison(folder, predictions, row, roi, protocol.window, scores, context, options.output)


def run_draw_loss_curves(options: argparse.Namespace) -> None:
    """Draw the loss curves."""
    from ldct.common.provenance import recorded
    from ldct.figures.loss_curves import draw_loss_curves, read_histories
    from ldct.rendering.figure_style import save_figure

    written: list[Path] = []
    settings = {"titles": options.titles, "note": options.note}
    with recorded(written, options.histories, settings):
        figure = draw_loss_curves(read_histories(options.titles, options.histories), options.note)
        written += save_figure(figure, options.output)
