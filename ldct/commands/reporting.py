"""Verbs that draw."""

import argparse
from pathlib import Path

from ldct.commands.arguments import json_list, json_mapping, positive_integer
from ldct.errors import InputError
from ldct.files import write_text
from ldct.inputs import open_array, read_volume_info


def register(verbs: argparse._SubParsersAction) -> None:
    """Add the verbs to the parser."""
    config = verbs.add_parser("save-config", help="write the resolved configuration of a run")
    config.add_argument("--settings", type=json_mapping(), required=True)
    config.add_argument("--output", type=Path, required=True)
    config.set_defaults(run=run_save_config)

    network = verbs.add_parser("draw-network", help="Fig. 1, from the network's definition")
    network.add_argument(
        "--network", type=json_mapping("name", "file"), required=True, help="file, options, JSON"
    )
    network.add_argument("--output", type=Path, required=True, help="path without suffix")
    network.set_defaults(run=run_draw_network)

    cascade = verbs.add_parser("draw-cascade", help="Fig. 2, from the cascade's card")
    cascade.add_argument("--card", type=json_mapping("title"), required=True)
    cascade.add_argument("--models", type=json_list, required=True)
    cascade.add_argument("--output", type=Path, required=True, help="path without suffix")
    cascade.set_defaults(run=run_draw_cascade)

    comparison = verbs.add_parser("draw-comparison", help="Fig. 3, the largest lesion")
    add_panels(comparison)
    comparison.add_argument("--lesions", type=Path, required=True)
    comparison.set_defaults(run=run_draw_comparison)

    texture = verbs.add_parser("draw-texture", help="Fig. 4, the flattest soft tissue")
    texture.add_argument(
        "--side", type=positive_integer, default=96, help="side of the region in pixels"
    )
    add_panels(texture)
    texture.set_defaults(run=run_draw_texture)

    panels = verbs.add_parser("draw-lesion-panels", help="a panel for every lesion slice")
    add_panels(panels)
    panels.add_argument("--lesions", type=Path, required=True)
    panels.add_argument("--credit", default="", help="whom to credit for the data")
    panels.set_defaults(run=run_draw_lesion_panels)


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


def run_draw_network(options: argparse.Namespace) -> None:
    """Draw Fig. 1."""
    from ldct.reporting.network_diagram import draw_network
    from ldct.training.networks import build_network

    network = build_network(options.network, 0, "figure")
    draw_network(network, options.network["name"].upper(), options.output)


def run_draw_cascade(options: argparse.Namespace) -> None:
    """Draw Fig. 2."""
    from ldct.denoising.network_facts import count_parameters
    from ldct.reporting.cascade_diagram import draw_cascade
    from ldct.training.networks import build_network

    stages = []
    for model in options.models:
        adversarial = model["loss"].get("adversarial")
        network = model["network"]
        stage = {
            "name": model["title"],
            "network": network["name"].upper(),
            "target": model["target"],
            "loss": model["loss"],
            "parameters": count_parameters(build_network(network, 0, "figure")),
        }
        if adversarial:
            critic = build_network(adversarial["discriminator"], 0, "figure")
            conditional = adversarial["kind"] == "least_squares" and adversarial["discriminator"][
                "options"
            ].get("conditional", True)
            given = " given X" if conditional else ""
            stage["discriminator"] = f"D{given}, {count_parameters(critic):,} parameters"
        stages.append(stage)
    draw_cascade(options.card, stages, options.output)


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
    folder = options.test_folders[0]
    if found is None:
        shape = slice_shape(folder)
        _draw_region(options, folder, len(infos[folder]["z_mm"]) // 2, central_region(shape))
        return
    lesion, row = found
    folder = next(name for name, info in infos.items() if info["patient"] == lesion["patient"])
    _draw_region(options, folder, row, lesion_roi(lesion, infos[folder], slice_shape(folder)))


def run_draw_texture(options: argparse.Namespace) -> None:
    """Draw Fig. 4: texture in the flattest square of soft tissue of the first test patient.

    Where no square of the asked size is all soft tissue, half and a quarter of it are tried, then
    the next patient, and last the middle of the first.
    """
    from ldct.evaluation.regions import flattest_soft_tissue

    for folder in options.test_folders:
        for side in (options.side, options.side // 2, options.side // 4):
            found = flattest_soft_tissue(open_array(folder / "full.npy"), side)
            if found is not None:
                _draw_region(options, folder, *found)
                return
    folder = options.test_folders[0]
    row = len(read_volume_info(folder)["z_mm"]) // 2
    _draw_region(options, folder, row, central_region(slice_shape(folder)))


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


def slice_shape(folder: Path) -> tuple[int, int]:
    """Rows and columns of the slices in a test-set folder."""
    return open_array(folder / "full.npy").shape[1:]


def central_region(shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """The middle quarter of an image (top, bottom, left, right), where no lesion is annotated."""
    rows, columns = shape[0] // 4, shape[1] // 4
    top, left = (shape[0] - rows) // 2, (shape[1] - columns) // 2
    return top, top + rows, left, left + columns


def run_draw_lesion_panels(options: argparse.Namespace) -> None:
    """Draw a panel for every lesion slice of the test set, and an index of them."""
    from ldct.evaluation.protocol import load_protocol
    from ldct.files import atomic_folder
    from ldct.reporting.lesion_panels import render_lesion_panels

    found = predictions_by_patient(options.predictions, options.titles)
    cases = [(folder, found.get(folder.name, {})) for folder in options.test_folders]
    with atomic_folder(options.output) as temporary:
        render_lesion_panels(
            cases,
            options.lesions,
            load_protocol(options.protocol),
            options.note,
            temporary,
            options.credit,
        )
