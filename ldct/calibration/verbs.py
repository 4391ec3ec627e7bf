"""Verbs: which evaluation protocol a published Low Dose row belongs to."""

import argparse
from pathlib import Path

from ldct.common.arguments import positive_integer
from ldct.common.errors import InputError
from ldct.common.files import REPOSITORY
from ldct.common.run_files import VOLUME_FILES

GRID = REPOSITORY / "config/calibration/default.yaml"


def register(verbs: argparse._SubParsersAction) -> None:
    """Add the verbs to the parser."""
    calibrate = verbs.add_parser(
        "calibrate", help="which protocol gives a published Low Dose row on these images"
    )
    calibrate.add_argument("--test-folders", type=Path, nargs="+", required=True)
    calibrate.add_argument("--published", type=Path, help="a file like config/published.yaml")
    calibrate.add_argument("--psnr", type=float, help="printed value, dB; instead of --published")
    calibrate.add_argument("--ssim", type=float, help="printed value; instead of --published")
    calibrate.add_argument("--grid", type=Path, default=GRID, help="what is tried, YAML")
    calibrate.add_argument("--title", default="data as given", help="the data in words")
    calibrate.add_argument(
        "--simulated",
        action=argparse.BooleanOptionalAction,
        required=True,
        help="whether the dose is simulated",
    )
    calibrate.add_argument("--workers", type=positive_integer, default=1)
    calibrate.add_argument("--output", type=Path, required=True, help="folder")
    calibrate.set_defaults(run=run_calibrate)


def run_calibrate(options: argparse.Namespace) -> None:
    """Score every setting; write table, page and protocol file."""
    from ldct.calibration import solve as calibration
    from ldct.calibration.report import write_calibration
    from ldct.configuration.protocols import CALIBRATED

    row, source = _published(options)
    grid = calibration.load_grid(options.grid)
    pairs, patients = calibration.load_pairs(options.test_folders)
    chosen = calibration.evenly_spaced(pairs, grid.most_slices)
    scores = calibration.score_settings(chosen, grid, options.workers)
    settings = calibration.by_distance(scores, row)
    slices = f"{len(chosen)} of {len(pairs)} slices, evenly spaced"
    words = {
        "row": f"PSNR {row['psnr']:g} dB, SSIM {row['ssim']:g} ({source})",
        "data": f"{slices}, of {', '.join(patients)} ({options.title})",
    }
    name = f"{CALIBRATED}_simulated_dose" if options.simulated else CALIBRATED
    protocol = options.output / f"{name}.yaml"
    inputs = [options.grid, *filter(None, [options.published])]
    inputs += [folder / file for folder in options.test_folders for file in VOLUME_FILES]
    write_calibration(settings, grid, words, options.simulated, protocol, inputs)
    print(f"{protocol}: distance {settings['distance'].iloc[0]:.2f}")


def _published(options: argparse.Namespace) -> tuple[dict[str, float], str]:
    """The row's psnr (dB) and ssim, and where they are printed."""
    from ldct.common.schema import validate
    from ldct.configuration.published import read_published

    values = {"psnr": options.psnr, "ssim": options.ssim}
    missing = list(values.values()).count(None)
    if missing != (0 if options.published is None else 2):
        raise InputError("calibrate: expected either --published, or --psnr and --ssim")
    if options.published is None:
        validate({"rows": {"low_dose": {"title": "", **values}}}, "published", "calibrate")
        return values, "command line"
    content = read_published(options.published)
    row = content["rows"].get("low_dose")
    if row is None:
        raise InputError(f"{options.published}: key 'rows': missing low_dose")
    source = content.get("source", options.published.name)
    return {name: row[name] for name in values}, f"{source}, {row.get('place', 'row low_dose')}"
