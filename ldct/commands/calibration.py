"""Verbs: which evaluation protocol a published Low Dose row belongs to."""

import argparse
from pathlib import Path
from typing import Any

from ldct.commands.arguments import natural_number, positive_integer
from ldct.commands.data import VOLUME_FILES
from ldct.errors import InputError
from ldct.files import read_yaml
from ldct.inputs import read_volume_info

GRID = Path(__file__).resolve().parents[2] / "config" / "calibration" / "default.yaml"


def register(verbs: argparse._SubParsersAction) -> None:
    """Add the verbs to the parser."""
    calibrate = verbs.add_parser(
        "calibrate", help="which protocol gives a published Low Dose row on these images"
    )
    calibrate.add_argument("--test-folders", type=Path, nargs="+", required=True)
    calibrate.add_argument("--published", type=Path, help="YAML or JSON with psnr, ssim, rmse_hu")
    calibrate.add_argument("--row", default="low_dose", help="row of --published")
    for name, what in (("psnr", "dB"), ("ssim", "-1 to 1"), ("rmse", "HU")):
        calibrate.add_argument(f"--{name}", help=f"printed value, {what}; instead of --published")
    calibrate.add_argument("--grid", type=Path, default=GRID, help="what is tried, YAML")
    calibrate.add_argument(
        "--tiles", type=positive_integer, help="published number of training tiles"
    )
    calibrate.add_argument("--tile-folders", type=Path, nargs="*", help="training volumes")
    calibrate.add_argument("--tile-size", type=positive_integer, default=64)
    calibrate.add_argument("--tile-stride", type=positive_integer, default=64)
    calibrate.add_argument("--title", default="", help="the data in words")
    calibrate.add_argument("--credit", default="", help="whom to credit for the data")
    calibrate.add_argument(
        "--simulated",
        action=argparse.BooleanOptionalAction,
        help="the dose is (not) simulated; left out: as the config.yaml of the folders' run says",
    )
    calibrate.add_argument(
        "--same-slices", action="store_true", help="the very slices of the published row"
    )
    calibrate.add_argument(
        "--seed", type=natural_number, default=0, help="of the bootstrap over slices"
    )
    calibrate.add_argument("--workers", type=positive_integer, default=1)
    calibrate.add_argument("--output", type=Path, required=True, help="folder")
    calibrate.set_defaults(run=run_calibrate)


def run_calibrate(options: argparse.Namespace) -> None:
    """Find the protocol; write table, page, heat map and protocol file."""
    import time

    from ldct import provenance
    from ldct.configuration import CALIBRATED
    from ldct.evaluation.calibration import solve
    from ldct.evaluation.calibration_grid import load_grid
    from ldct.evaluation.calibration_scores import load_pairs
    from ldct.reporting.calibration_figure import draw_heatmap
    from ldct.reporting.calibration_report import SIMULATED, write_calibration
    from ldct.reporting.calibration_sections import counted_slices, printed_values

    started = time.perf_counter()
    row, counts = _published(options)
    grid = load_grid(options.grid)
    pairs, patients = load_pairs(options.test_folders)
    simulated = _simulated(options)
    tiles = _tiles(options, counts)
    # A paper's own slices on its own dose: then only the protocol is unknown.
    complete = not simulated and counts.get("test_slices") == len(pairs)
    found = solve(
        pairs,
        row,
        grid,
        patients=patients,
        same_slices=options.same_slices or complete,
        seed=options.seed,
        workers=options.workers,
    )
    context = {
        "title": options.title or "data as given",
        "patients": list(dict.fromkeys(patients)),
        "simulated": simulated,
        "credit": options.credit,
    }
    name = f"{CALIBRATED}_simulated_dose" if simulated else CALIBRATED
    written = write_calibration(found, tiles, context, options.output, name)
    data = f"{context['title']}, {counted_slices(found)}"
    title = f"{row.source}: {printed_values(found)}. Data: {data}."
    warning = SIMULATED if simulated else ""
    written += draw_heatmap(found, grid, title, warning, options.output / "calibration_heatmap")
    best = found.best
    print(
        f"{options.output / f'{name}.yaml'}: window [{best['lower']:g}, {best['upper']:g}], misfit "
        f"{best['misfit']:.2f}, {best['verdict']}"
    )
    inputs = [options.grid, *filter(None, [options.published])]
    folders = [*options.test_folders, *(options.tile_folders or [])]
    inputs += [folder / file for folder in folders for file in VOLUME_FILES]
    settings = {
        **context,
        "row": row.values,
        "same_slices": found.same_slices,
        "seed": options.seed,
        "tiles": tiles and {key: getattr(tiles, key) for key in ("published", "size", "stride")},
    }
    for path in written:
        provenance.write_record(path, inputs=inputs, settings=settings, started=started)


def _simulated(options: argparse.Namespace) -> bool:
    """Whether the dose is simulated: as the option says, else as the run of each folder says."""
    if options.simulated is not None:
        return options.simulated
    told = {folder: _simulated_in_run(folder) for folder in options.test_folders}
    if True in told.values():
        return True
    silent = [str(folder) for folder, simulated in told.items() if simulated is None]
    if silent:
        raise InputError(
            f"calibrate: {silent[0]}: found no config.yaml of its run that says whether the dose "
            "is simulated; give --simulated or --no-simulated"
        )
    return False


def _simulated_in_run(test_folder: Path) -> bool | None:
    """What the configuration saved beside `test/<patient>` says of its data set; None: nothing."""
    saved = test_folder.resolve().parent.parent / "config.yaml"
    settings = read_yaml(saved) if saved.is_file() else None
    dataset = settings.get("dataset") if isinstance(settings, dict) else None
    name = read_volume_info(test_folder).get("dataset")
    # Any program may have a config.yaml.
    if not isinstance(dataset, dict) or dataset.get("name") != name:
        return None
    return dataset.get("simulated")


def _published(options: argparse.Namespace) -> tuple[Any, dict[str, int]]:
    from ldct.evaluation.calibration_grid import load_published, published_row

    values = {"psnr": options.psnr, "ssim": options.ssim, "rmse_hu": options.rmse}
    printed = {name: text for name, text in values.items() if text is not None}
    if options.published is None:
        return published_row(printed, "command line", "calibrate"), {}
    if printed:
        raise InputError(
            "calibrate: found --published beside --psnr, --ssim or --rmse; give one or the other"
        )
    return load_published(options.published, options.row)


def _tiles(options: argparse.Namespace, counts: dict[str, int]) -> Any:
    from ldct.evaluation.calibration_tiles import count_tiles

    published = options.tiles if options.tiles is not None else counts.get("training_tiles")
    if not options.tile_folders:
        if options.tiles is not None:
            raise InputError(
                "calibrate: found --tiles without --tile-folders; name the training volumes"
            )
        return None
    if published is None:
        raise InputError(
            "calibrate: found --tile-folders without a published number of tiles; give --tiles"
        )
    return count_tiles(options.tile_folders, published, options.tile_size, options.tile_stride)
