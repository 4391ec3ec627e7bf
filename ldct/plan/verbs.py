"""The verb `plan`."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ldct.common.arguments import add_overlays, json_mapping, natural_number, positive_integer
from ldct.common.errors import InputError
from ldct.common.files import REPOSITORY


def register(verbs: argparse._SubParsersAction) -> None:
    """Add the verbs to the parser."""
    plan = verbs.add_parser("plan", help="hours and memory a configuration will need here")
    add_overlays(plan)
    plan.add_argument(
        "--cores", type=positive_integer, help="of snakemake --cores; default: all of the machine"
    )
    plan.add_argument("--gpus", type=natural_number, default=1, help="GPUs that the run may use")
    plan.add_argument("--json", type=Path, help="also write the plan to this file")
    plan.set_defaults(run=run_plan)

    ahead = verbs.add_parser("time-ahead", help="about how long waiting jobs will take")
    ahead.add_argument("--cores", type=positive_integer, required=True, help="of the run")
    ahead.add_argument("--gpus", type=natural_number, required=True, help="of the run")
    ahead.set_defaults(run=run_ahead)


def run_plan(options: argparse.Namespace) -> None:
    """Print what a configuration will cost on this machine, holding a GPU where it has one."""
    from ldct.common.files import write_json
    from ldct.configuration.resolve import resolve_run
    from ldct.devices.choice import hold_device, usable_cores
    from ldct.plan.estimate import make_plan
    from ldct.plan.text import plan_text

    settings = resolve_run(merged_configuration(options.configfile, options.config), REPOSITORY)
    with hold_device(settings["device"], options.gpus, settings["jobs_per_gpu"]) as device:
        plan = make_plan(
            settings,
            Path("data", settings["dataset"]["folder"]),
            cores=options.cores or usable_cores(),
            gpus=options.gpus,
            device=device,
        )
    if options.json is not None:
        write_json(options.json, plan)
    print(plan_text(plan))


def run_ahead(options: argparse.Namespace) -> None:
    """Print as JSON the seconds of the jobs on standard input: resolved settings and names."""
    import json
    import sys

    from ldct.devices.choice import hold_device
    from ldct.plan.ahead import plan_ahead

    try:
        given = json_mapping("settings", "jobs")(sys.stdin.read())
    except argparse.ArgumentTypeError as error:
        raise InputError(f"standard input: {error}") from None
    settings, how = given["settings"], {"cores": options.cores, "gpus": options.gpus}
    data = Path("data", settings["dataset"]["folder"])
    with hold_device(settings["device"], options.gpus, settings["jobs_per_gpu"]) as device:
        total, jobs = plan_ahead(settings, given["jobs"], data, device=device, **how)
    print(json.dumps({"seconds": total, "jobs": jobs}))


def merged_configuration(overlays: Sequence[Path], settings: Sequence[str] = ()) -> dict[str, Any]:
    """The default configuration with overlays and KEY=VALUE over it, merged as Snakemake does."""
    from snakemake.cli import parse_config
    from snakemake.utils import update_config

    from ldct.common.files import read_yaml

    config: dict[str, Any] = read_yaml(REPOSITORY / "config/config.yaml")
    for path in overlays:
        if not path.is_file():
            raise InputError(f"--configfile: no file {path}; expected a YAML file")
        overlay = read_yaml(path) or {}
        if not isinstance(overlay, dict):
            raise InputError(f"--configfile: {path}: found no mapping; expected configuration keys")
        update_config(config, overlay)
    try:
        update_config(config, parse_config(settings))
    except ValueError as error:
        raise InputError(f"--config: {error}") from None
    return config
