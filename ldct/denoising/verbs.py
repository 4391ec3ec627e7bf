"""Verbs that write predictions."""

import argparse
from pathlib import Path

from ldct.common.arguments import json_list, json_mapping, positive_integer
from ldct.common.scaling import add_scaling, scaling_of
from ldct.devices.arguments import add_device


def register(verbs: argparse._SubParsersAction) -> None:
    """Add the verbs to the parser."""
    identity = verbs.add_parser("denoise-identity", help="the quarter dose itself as prediction")
    identity.set_defaults(run=run_identity)

    network = verbs.add_parser("denoise-network", help="apply trained levels to a test patient")
    network.add_argument(
        "--tile", type=tile_size, default="auto", help="pixels of a tile's side, or auto"
    )
    network.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    network.add_argument("--memory-mb", type=float, help="what the job may use on a CPU")
    network.set_defaults(run=run_network)

    tune = verbs.add_parser("tune-classical", help="choose parameters on training patients")
    tune.add_argument(
        "--settings", type=json_mapping(), default={}, help="JSON mapping from the card"
    )
    tune.add_argument("--volumes", type=Path, nargs="*", required=True)
    tune.set_defaults(run=run_tune)

    finetuned = verbs.add_parser("denoise-finetuned", help="a denoise.py on trained levels")
    finetuned.set_defaults(run=run_finetuned)

    classical = verbs.add_parser("denoise-classical", help="apply a classical method")
    classical.add_argument("--workers", type=positive_integer, default=1)
    classical.set_defaults(run=run_classical)

    given = verbs.add_parser("take-predictions", help="check images made elsewhere, as a row")
    given.add_argument("--given", type=Path, required=True, help="folder of the predictions")
    given.add_argument("--patient", required=True)
    given.add_argument("--slice-order", choices=("ascending", "descending"), default="ascending")
    given.add_argument("--volume", type=Path, required=True, help="folder of all slices")
    given.set_defaults(run=run_given)

    for parser in (network, finetuned):
        parser.add_argument("--levels", type=json_list, required=True, help="resolved levels, JSON")
        parser.add_argument("--weights", type=Path, nargs="+", required=True)
        add_scaling(parser)
        add_device(parser)
    for parser in (tune, finetuned, classical):
        parser.add_argument("--method", type=Path, required=True, help="folder of the method")
    for parser in (finetuned, classical):
        parser.add_argument("--parameters", type=Path, required=True)
    for parser in (identity, network, finetuned, classical, given):
        parser.add_argument("--test-folder", type=Path, required=True)
    for parser in (identity, network, tune, finetuned, classical, given):
        parser.add_argument("--output", type=Path, required=True)


def tile_size(text: str) -> int | str:
    """Value of `--tile`."""
    return text if text == "auto" else positive_integer(text)


def run_identity(options: argparse.Namespace) -> None:
    """Write the Low Dose row's predictions."""
    from ldct.denoising.network import copy_low_dose

    copy_low_dose(options.test_folder, options.output)


def run_given(options: argparse.Namespace) -> None:
    """Write predictions that another program made, where they are HU of this patient."""
    from ldct.denoising.given import take_predictions

    take_predictions(
        options.given,
        options.patient,
        options.slice_order,
        options.volume,
        options.test_folder,
        options.output,
    )


def run_network(options: argparse.Namespace) -> None:
    """Write the predictions of a network or cascade."""
    from ldct.denoising.network import denoise_with_networks
    from ldct.devices.choice import hold_device, limit_threads
    from ldct.networks.chain import load_levels

    scaling = scaling_of(options)
    limit_threads(options.threads)
    with hold_device(options.device, options.gpus, options.jobs_per_gpu) as device:
        denoise_with_networks(
            options.test_folder,
            load_levels(options.levels, options.weights, device),
            options.weights,
            scaling,
            device,
            options.output,
            tile=options.tile,
            precision=options.precision,
            memory_mb=options.memory_mb,
        )


def run_tune(options: argparse.Namespace) -> None:
    """Write the parameters of a classical method."""
    from ldct.denoising.classical import tune_classical

    tune_classical(options.method, options.settings, options.volumes, options.output)


def run_finetuned(options: argparse.Namespace) -> None:
    """Write the predictions of a method that adapts trained levels to each slice."""
    from ldct.denoising.finetuned import denoise_finetuned
    from ldct.devices.choice import hold_device, limit_threads
    from ldct.networks.chain import load_levels

    limit_threads(options.threads)
    with hold_device(options.device, options.gpus, options.jobs_per_gpu) as device:
        denoise_finetuned(
            options.method,
            options.parameters,
            load_levels(options.levels, options.weights, device),
            options.weights,
            options.test_folder,
            scaling_of(options),
            device,
            options.output,
        )


def run_classical(options: argparse.Namespace) -> None:
    """Write the predictions of a classical method."""
    from ldct.denoising.classical import denoise_classical

    denoise_classical(
        options.method, options.parameters, options.test_folder, options.output, options.workers
    )
