"""Verbs that measure and foretell cost: time, memory, size of every method and stage."""

import argparse
from pathlib import Path

from ldct.common.arguments import json_mapping
from ldct.devices.arguments import add_device

SETTINGS = json_mapping("run", "dataset", "models", "budget_text")


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
    cost.add_argument("--data-folder", type=Path, required=True, help="of the data set")
    cost.add_argument("--micro", type=Path, nargs="*", default=[], help="by micro-benchmark")
    cost.add_argument("--output", type=Path, required=True, help="folder")
    cost.set_defaults(run=run_cost)


def run_micro(options: argparse.Namespace) -> None:
    """Write the ratios of the paired micro-benchmark."""
    from ldct.common.files import write_json
    from ldct.common.provenance import recorded
    from ldct.cost.micro_benchmark import Setup, measure_pairs, read_plan
    from ldct.devices.choice import device_record, hold_device, limit_threads
    from ldct.devices.engine import Engine, resolve_engine

    limit_threads(options.threads)
    settings = dict(options.settings)
    models, rounds = settings.pop("models"), settings.pop("rounds")
    with hold_device(options.device, options.gpus, options.jobs_per_gpu) as device:
        engine = resolve_engine(Engine(**settings.pop("engine", {})), device)
        setup = Setup(device=device, engine=engine, **settings)
        how = {"rounds": rounds, **settings, "engine": engine.result_options()}
        with recorded([options.output], [options.plan], how):
            pairs = measure_pairs(read_plan(options.plan), models, setup, rounds)
            write_json(options.output, pairs)
            how |= device_record(device)


def run_cost(options: argparse.Namespace) -> None:
    """Write cost.json and the tables made from it."""
    from ldct.common.files import write_json
    from ldct.common.inputs import read_mapping
    from ldct.common.provenance import recorded
    from ldct.cost.collect import all_jobs, collect_cost
    from ldct.cost.probes import stage_facts
    from ldct.cost.table import all_jobs_note, cost_frame, cost_tables, notes_of
    from ldct.rendering.numbers import write_tables

    settings, path = options.settings, options.output / "cost.json"
    with recorded([path], options.micro, {}):
        cost = collect_cost(settings, options.run_folder, stage_facts(settings["models"]))
        cost["all_jobs"] = all_jobs([options.run_folder, options.data_folder], cost["stages"])
        cost["micro"] = {k: v for file in options.micro for k, v in read_mapping(file).items()}
        write_json(path, cost)
    caption = (
        f"Networks as configured for {settings['dataset']['title']}, {settings['budget_text']}; "
        "a dash marks what does not apply or was not recorded."
    )
    write_tables(
        path.with_suffix(""),
        f"Cost of run {settings['run']}",
        cost_tables(cost),
        cost_frame(cost),
        notes_of(cost["stages"]),
        options.micro,
        [all_jobs_note(cost["all_jobs"]), caption],
    )
