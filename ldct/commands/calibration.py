"""Verbs: which evaluation protocol a published Low Dose row belongs to."""

import argparse
from pathlib import Path
from typing import Any

from ldct.errors import InputError

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
    calibrate.add_argument("--tiles", type=int, help="published number of training tiles")
    calibrate.add_argument("--tile-folders", type=Path, nargs="*", help="training volumes")
    calibrate.add_argument("--tile-size", type=int, default=64)
    calibrate.add_argument("--tile-stride", type=int, default=64)
    calibrate.add_argument("--title", default="", help="the data in words")
    calibrate.add_argument("--credit", default="", help="whom to credit for the data")
    calibrate.add_argument("--simulated", action="store_true", help="the dose is simulated")
    calibrate.add_argument(
        "--same-slices", action="store_true", help="the very slices of the published row"
    )
    calibrate.add_argument("--seed", type=int, default=0, help="of the bootstrap over slices")
    calibrate.add_argument("--workers", type=int, default=1)
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
    tiles = _tiles(options, counts)
    # A paper's own slices on its own dose: then only the protocol is unknown.
    complete = not options.simulated and counts.get("test_slices") == len(pairs)
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
        "simulated": options.simulated,
        "credit": options.credit,
    }
    name = f"{CALIBRATED}_simulated_dose" if options.simulated else CALIBRATED
    written = write_calibration(found, tiles, context, options.output, name)
    data = f"{context['title']}, {counted_slices(found)}"
    title = f"{row.source}: {printed_values(found)}. Data: {data}."
    warning = SIMULATED if options.simulated else ""
    written += draw_heatmap(found, grid, title, warning, options.output / "calibration_heatmap")
    best = found.best
    print(
        f"{options.output / f'{name}.yaml'}: window [{best['lower']:g}, {best['upper']:g}], misfit "
        f"{best['misfit']:.2f}, {best['verdict']}"
    )
    inputs = [options.grid, *filter(None, [options.published])]
    inputs += [
        folder / file
        for folder in options.test_folders
        for file in ("full.npy", "quarter.npy", "volume.json")
    ]
    settings = {
        **context,
        "row": row.values,
        "same_slices": found.same_slices,
        "seed": options.seed,
    }
    for path in written:
        provenance.write_record(path, inputs=inputs, settings=settings, started=started)


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
