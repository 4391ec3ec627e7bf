"""Verbs on sets of trained models."""

import argparse
from pathlib import Path


def register(verbs: argparse._SubParsersAction) -> None:
    """Add the verbs to the parser."""
    export = verbs.add_parser("export-weights", help="a set of trained models from a finished run")
    export.add_argument("run_folder", type=Path, metavar="RUN", help="results/<run>")
    export.add_argument("--training", help="of several, its folder's name: 0, or fold3-0")
    export.add_argument("--licence", help="of the set; left out, the suite's")
    export.add_argument("--output", type=Path, required=True, metavar="FOLDER")
    export.set_defaults(run=run_export)

    take = verbs.add_parser("take-weights", help="one stage of a set in place of its training")
    take.add_argument("--set", type=Path, required=True, metavar="FOLDER")
    take.add_argument("--stage", required=True, help="its name in weights.json")
    take.add_argument("--output", type=Path, required=True, help="folder of the trained model")
    take.set_defaults(run=run_take)

    parameters = verbs.add_parser("take-parameters", help="tuned parameters out of a set")
    parameters.add_argument("--set", type=Path, required=True, metavar="FOLDER")
    parameters.add_argument("--method", required=True)
    parameters.add_argument("--output", type=Path, required=True)
    parameters.set_defaults(run=run_parameters)

    check = verbs.add_parser("check-scores", help="hold a run's scores against committed values")
    check.add_argument("run_folder", type=Path, metavar="RUN", help="results/<run>")
    file = check.add_mutually_exclusive_group(required=True)
    file.add_argument("--expected", type=Path, metavar="CSV", help="fail where one is off")
    file.add_argument("--write", type=Path, metavar="CSV", help="make that file from the run")
    check.set_defaults(run=run_check)


def run_export(options: argparse.Namespace) -> None:
    """Write a set of weights."""
    from ldct.weights.export import LICENCE, export_weights

    licence = options.licence or LICENCE
    export_weights(options.run_folder, options.training, options.output, licence)


def run_take(options: argparse.Namespace) -> None:
    """Write the folder of a trained stage out of a set."""
    from ldct.weights.take import take_stage

    take_stage(options.set, options.stage, options.output)


def run_parameters(options: argparse.Namespace) -> None:
    """Write the parameters of a tuned method out of a set."""
    from ldct.weights.take import take_parameters

    take_parameters(options.set, options.method, options.output)


def run_check(options: argparse.Namespace) -> None:
    """Print each score beside its expected value, or write the file of expected values."""
    from ldct.common.errors import InputError
    from ldct.weights.expected import TOLERANCE, compare_values, write_values

    if options.write is not None:
        write_values(options.run_folder, options.write)
        return
    pair, beyond = compare_values(options.run_folder, options.expected)
    print(pair.to_string(index=False, float_format="{:.5f}".format))
    limits = " and ".join(f"{limit:g} ({metric})" for metric, limit in TOLERANCE.items())
    if beyond:
        raise InputError(f"{options.expected}: not within {limits}: {'; '.join(beyond)}")
    print(f"All {len(pair)} rows within {limits}.")
