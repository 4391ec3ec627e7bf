"""Verbs that measure and foretell cost: time, memory, size of every method and stage."""

import argparse
from pathlib import Path
from typing import Any

from ldct.commands.arguments import json_mapping, natural_number, positive_integer
from ldct.commands.training import add_device
from ldct.errors import InputError

SETTINGS = json_mapping("run", "dataset", "models", "budget_text")
REPOSITORY = Path(__file__).resolve().parents[2]


def register(verbs: argparse._SubParsersAction) -> None:
    """Add the verbs to the parser."""
    micro = verbs.add_parser("micro-benchmark", help="cost of loss terms and levels, as ratios")
    micro.add_argument("--plan", type=Path, required=True, help="YAML file of variants and pairs")
    micro.add_argument(
        "--settings",
        type=json_mapping("models", "batch", "side", "rounds"),
        required=True,
        help="resolved stages and how they are timed, JSON",
    )
    add_device(micro)
    micro.add_argument("--output", type=Path, required=True, help="JSON file")
    micro.set_defaults(run=run_micro)

    cost = verbs.add_parser("cost", help="cost of every stage and method of a run")
    cost.add_argument("--settings", type=SETTINGS, required=True, help="of the run, JSON")
    cost.add_argument("--run-folder", type=Path, required=True)
    cost.add_argument("--micro", type=Path, required=True, help="written by micro-benchmark")
    cost.add_argument("--output", type=Path, required=True, help="folder")
    cost.set_defaults(run=run_cost)

    plan = verbs.add_parser("plan", help="hours and memory a configuration will need here")
    plan.add_argument(
        "--config",
        type=Path,
        nargs="*",
        default=[],
        metavar="FILE",
        help="overlays, as for snakemake --configfile; none is the default run",
    )
    plan.add_argument(
        "--cores", type=positive_integer, help="of snakemake --cores; default: all of the machine"
    )
    plan.add_argument("--gpus", type=natural_number, default=1, help="GPUs that the run may use")
    plan.add_argument("--json", type=Path, help="also write the plan to this file")
    plan.set_defaults(run=run_plan)


def run_micro(options: argparse.Namespace) -> None:
    """Write the ratios of the paired micro-benchmark."""
    import time

    from ldct import provenance
    from ldct.files import write_json
    from ldct.micro_benchmark import Setup, measure_pairs, read_plan
    from ldct.training.devices import device_record, hold_device, limit_threads
    from ldct.training.engine import Engine, resolve_engine

    started = time.perf_counter()
    limit_threads(options.threads)
    settings = dict(options.settings)
    models, rounds = settings.pop("models"), settings.pop("rounds")
    with hold_device(options.device, options.gpus, options.jobs_per_gpu) as device:
        engine = resolve_engine(Engine(**settings.pop("engine", {})), device)
        setup = Setup(device=device, engine=engine, **settings)
        write_json(options.output, measure_pairs(read_plan(options.plan), models, setup, rounds))
        how = {"rounds": rounds, **settings, "engine": engine.result_options()}
        provenance.write_record(
            options.output,
            inputs=[options.plan],
            settings={**how, **device_record(device)},
            started=started,
        )


def run_plan(options: argparse.Namespace) -> None:
    """Print what a configuration will cost on this machine, holding a GPU where it has one."""
    from ldct.configuration import resolve_run
    from ldct.files import write_json
    from ldct.plan import make_plan
    from ldct.reporting.plan_text import plan_text
    from ldct.training.devices import hold_device, usable_cores

    settings = resolve_run(merged_configuration(options.config), REPOSITORY)
    with hold_device(settings["device"], options.gpus, settings["jobs_per_gpu"]) as device:
        plan = make_plan(
            settings,
            Path("data", settings["dataset"]["name"]),
            cores=options.cores or usable_cores(),
            gpus=options.gpus,
            device=device,
        )
    if options.json is not None:
        write_json(options.json, plan)
    print(plan_text(plan))


def merged_configuration(overlays: list[Path]) -> dict[str, Any]:
    """The default configuration with overlays over it, merged as Snakemake does."""
    from snakemake.utils import update_config

    from ldct.files import read_yaml

    config: dict[str, Any] = read_yaml(REPOSITORY / "config/config.yaml")
    for path in overlays:
        if not path.is_file():
            raise InputError(f"--config: no file {path}; expected a YAML file")
        overlay = read_yaml(path) or {}
        if not isinstance(overlay, dict):
            raise InputError(f"--config: {path}: found no mapping; expected configuration keys")
        update_config(config, overlay)
    return config


def run_cost(options: argparse.Namespace) -> None:
    """Write cost.json and the tables made from it."""
    import time

    from ldct import provenance
    from ldct.evaluation.cost import collect_cost
    from ldct.files import write_json
    from ldct.inputs import read_mapping
    from ldct.probes import stage_facts
    from ldct.reporting.bench_tables import write_tables
    from ldct.reporting.cost_formats import NOTES, cost_frame, cost_tables

    started = time.perf_counter()
    settings, path = options.settings, options.output / "cost.json"
    cost = collect_cost(settings, options.run_folder, stage_facts(settings["models"]))
    cost["micro"] = read_mapping(options.micro)
    write_json(path, cost)
    provenance.write_record(path, inputs=[options.micro], settings={}, started=started)
    caption = (
        f"Networks as configured for {settings['dataset']['title']}, {settings['budget_text']}; "
        "a dash marks what does not apply or was not recorded."
    )
    write_tables(
        path.with_suffix(""),
        f"Cost of run {settings['run']}",
        cost_tables(cost),
        cost_frame(cost),
        NOTES,
        [options.micro],
        [caption],
    )
