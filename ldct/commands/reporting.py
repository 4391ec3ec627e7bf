"""Verbs that draw."""

import argparse
from pathlib import Path

from ldct.commands.arguments import json_list, json_mapping
from ldct.errors import InputError
from ldct.files import write_text
from ldct.inputs import open_array, read_volume_info


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


def add_panels(parser: argparse.ArgumentParser) -> None:
    """Add the options of figures that show slices."""
    parser.add_argument("--test-folders", type=Path, nargs="+", required=True)
    parser.add_argument("--predictions", type=Path, nargs="*", default=[])
    parser.add_argument("--titles", type=json_list, required=True, help="[[method, title], ...]")
    parser.add_argument("--protocol", type=Path, required=True)
    parser.add_argument("--note", required=True, help="data, dose and budget in words")
    parser.add_argument("--output", type=Path, required=True)


def run_save_config(options: argparse.Namespace) -> None:
    """Write the resolved configuration as YAML."""
    import yaml

    write_text(options.output, yaml.safe_dump(options.settings, sort_keys=False))


def run_draw_cascade(options: argparse.Namespace) -> None:
    """Draw the network of the last level (Fig. 1) and the cascade (Fig. 2)."""
    from ldct.reporting.cascade_diagram import draw_cascade
    from ldct.reporting.network_diagram import draw_network
    from ldct.training.networks import build_network

    network = options.models[-1]["network"]
    draw_network(build_network(network, 0, "figure"), network["name"].upper(), options.output[0])
    draw_cascade(options.title, options.models, options.output[1])


def predictions_by_patient(
    predictions: list[Path], titles: list[tuple[str, str]]
) -> dict[str, dict[str, Path]]:
    """Patient to {title: file}, in the order of `titles`.

    predictions : paths `.../<method>/<seed>/<patient>.npy`; those without a title are left out.
    Raises InputError where a file is missing.
    """
    for path in predictions:
        if not path.is_file():
            raise InputError(f"{path}: not found; make this prediction first")
    found: dict[str, dict[str, Path]] = {}
    for method, title in titles:
        for path in predictions:
            if path.parent.parent.name == method:
                found.setdefault(path.stem, {})[title] = path
    return found


def run_draw_comparison(options: argparse.Namespace) -> None:
    """Draw Fig. 3: the largest lesion, or the middle of the first patient where there is none."""
    from ldct.reporting.lesion_panels import largest_lesion, lesion_roi

    infos = {folder: read_volume_info(folder) for folder in options.test_folders}
    found = largest_lesion(options.lesions, list(infos.values()))
    if found is None:
        _draw_region(options, *central_region(options.test_folders[0]))
        return
    lesion, row = found
    folder = next(name for name, info in infos.items() if info["patient"] == lesion["patient"])
    shape = open_array(folder / "full.npy").shape[1:]
    _draw_region(options, folder, row, lesion_roi(lesion, infos[folder], shape))


def run_draw_texture(options: argparse.Namespace) -> None:
    """Draw Fig. 4: texture in the flattest square of soft tissue of the first test patient.

    Where no square of 96 pixels is all soft tissue, half and a quarter of it are tried, then the
    next patient, and last the middle of the first.
    """
    from ldct.evaluation.regions import flattest_soft_tissue

    for folder in options.test_folders:
        for side in (96, 48, 24):
            found = flattest_soft_tissue(open_array(folder / "full.npy"), side)
            if found is not None:
                _draw_region(options, folder, *found)
                return
    _draw_region(options, *central_region(options.test_folders[0]))


def _draw_region(
    options: argparse.Namespace, folder: Path, row: int, roi: tuple[int, int, int, int]
) -> None:
    from ldct.evaluation.metrics import slice_scores
    from ldct.evaluation.protocol import load_protocol
    from ldct.reporting.comparison import draw_comparison, load_slice

    protocol = load_protocol(options.protocol)
    predictions = predictions_by_patient(options.predictions, options.titles).get(folder.name, {})
    images = load_slice(folder, predictions, row)
    scores = {
        title: slice_scores(image, images["NDCT"], protocol)
        for title, image in images.items()
        if title != "NDCT"
    }
    draw_comparison(
        folder, predictions, row, roi, protocol.window, scores, options.note, options.output
    )


def central_region(folder: Path) -> tuple[Path, int, tuple[int, int, int, int]]:
    """The folder, its middle slice, and the middle quarter of it (top, bottom, left, right)."""
    slices, rows, columns = open_array(folder / "full.npy").shape
    top, left = (rows - rows // 4) // 2, (columns - columns // 4) // 2
    return folder, slices // 2, (top, top + rows // 4, left, left + columns // 4)
