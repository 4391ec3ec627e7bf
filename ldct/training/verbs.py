"""Verbs that train."""

import argparse
import hashlib
import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ldct.common.arguments import json_list, json_mapping, natural_number, positive_integer
from ldct.common.errors import InputError
from ldct.common.files import sha256_of_file
from ldct.common.held_files import alone_in
from ldct.common.provenance import recorded
from ldct.common.scaling import add_scaling, scaling_of
from ldct.configuration.code_behind import code_behind
from ldct.devices.arguments import add_device
from ldct.devices.ranks import local_rank_and_size, rank_and_size

STAGE = json_mapping("model", "network", "recipe", "loss")
SWITCH = {"true": True, "false": False}


def register(verbs: argparse._SubParsersAction) -> None:
    """Add the verbs to the parser."""
    train = verbs.add_parser("train", help="train one stage")
    train.add_argument("--stage", type=STAGE, required=True, help="resolved stage, JSON")
    train.add_argument("--upstream", type=json_list, default=[], help="resolved levels, JSON list")
    train.add_argument("--upstream-weights", type=Path, nargs="*", default=[])
    train.add_argument("--perceptual-weights", type=Path, help="made by fetch-weights")
    train.add_argument("--volumes", type=Path, nargs="+", required=True)
    train.add_argument("--tiles", type=Path, required=True)
    train.add_argument("--seed", type=natural_number, required=True)
    add_scaling(train)
    add_device(train)
    train.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    train.add_argument("--checkpoint-every", type=positive_integer, default=100, metavar="STEPS")
    train.add_argument(
        "--engine", type=json_mapping(), default={}, help="options of `engine` that may change bits"
    )
    train.add_argument(
        "--workers", type=natural_number, default=0, help="threads that gather tiles ahead"
    )
    train.add_argument("--volumes-on-device", choices=("auto", "true", "false"), default="auto")
    train.add_argument(
        "--validation", type=json_mapping(), default={}, help="patient, every, slices; JSON"
    )
    train.add_argument("--validation-protocol", type=Path)
    train.add_argument("--output", type=Path, required=True, help="folder of the trained model")
    train.set_defaults(run=run_train)


def run_train(options: argparse.Namespace) -> None:
    """Train one stage and write its folder, holding a GPU where there is one.

    As one of the processes of torchrun: together with the others.
    """
    from ldct.devices.choice import backend_of, hold_device, uses_gpu
    from ldct.devices.parallel import joined

    rank, size = rank_and_size()
    try:
        on_gpu = uses_gpu(options.device, options.gpus)
        with (
            joined(rank, size, local_rank_and_size(), backend_of(on_gpu)) as group,
            hold_device(options.device, options.gpus, options.jobs_per_gpu, group) as device,
        ):
            _train(options, device, group)
    except InputError as error:
        if size == 1:
            raise
        raise InputError(f"process {rank + 1} of {size}: {error}") from None


def _train(options: argparse.Namespace, device: Any, group: Any) -> None:
    import torch

    from ldct.data.tiles import VOLUME, read_tiles
    from ldct.data.volumes import load_volume
    from ldct.devices.choice import device_record, limit_threads
    from ldct.devices.engine import Engine, resolve_engine
    from ldct.networks.chain import load_levels
    from ldct.training.checkpoint import remove_leftovers
    from ldct.training.loop import is_trained, total_steps, train_stage

    threads = limit_threads(options.threads // group.local_size)
    wishes = Engine(
        **options.engine,
        volumes_on_device=SWITCH.get(options.volumes_on_device, "auto"),
        workers=options.workers,
    )
    engine = resolve_engine(wishes, device)
    volumes = [load_volume(folder) for folder in options.volumes]
    tiles = read_tiles(options.tiles)
    if options.validation:
        tiles = tiles[tiles[:, VOLUME] != _held_out(options)]
    levels = load_levels(options.upstream, options.upstream_weights, device)
    settings = {
        "stage": options.stage,
        "seed": options.seed,
        "window": options.window,
        "clip": options.clip,
        "precision": options.precision,
        "engine": engine.result_options(),
        "validation": options.validation,
        # Not its number: a training may go on on another GPU.
        "device": device.type,
        "threads": threads,
        "processes": group.size,
        "steps": total_steps(options.stage["recipe"], len(tiles)),
    }
    inputs = [options.tiles, *options.upstream_weights]
    inputs += [file for file in (options.perceptual_weights, options.validation_protocol) if file]
    pixels = [folder / name for folder in options.volumes for name in ("full.npy", "quarter.npy")]
    versions = {"torch": torch.__version__}
    levels_code = [level["network"]["file"] for level in options.upstream]
    unused = () if options.validation else ("_validation",)
    networks = [Path(options.stage["network"]["file"])]
    if "adversarial" in options.stage["loss"]:
        networks.append(Path(options.stage["loss"]["adversarial"]["discriminator"]["file"]))
    code = code_behind("train", *networks, *levels_code, without=unused)
    digest = hashlib.sha256(json.dumps(settings | versions, sort_keys=True).encode())
    for file in (*inputs, *pixels, *code):
        digest.update(sha256_of_file(file).encode())
    fingerprint = digest.hexdigest()
    inputs += [*pixels, *(folder / "volume.json" for folder in options.volumes)]
    inputs += networks
    outputs = [options.output / "weights.safetensors"] if group.is_first else []
    with recorded(outputs, inputs, settings), ExitStack() as stack:
        finished = False
        if group.is_first:
            waited = stack.enter_context(alone_in(options.output))
            remove_leftovers(options.output)
            finished = waited and is_trained(options.output, fingerprint)
        if not any(group.largest([finished])):
            try:
                train_stage(
                    options.stage,
                    volumes,
                    tiles,
                    scaling_of(options),
                    levels,
                    seed=options.seed,
                    device=device,
                    precision=options.precision,
                    checkpoint_every=options.checkpoint_every,
                    fingerprint=fingerprint,
                    folder=options.output,
                    perceptual_weights=options.perceptual_weights,
                    engine=engine,
                    validation=_validation(options, volumes, levels, device),
                    group=group,
                )
            except torch.OutOfMemoryError:
                raise InputError(
                    f"{options.stage['model']}: the GPU is out of memory; set jobs_per_gpu: 1 or "
                    "engine.volumes_on_device: false and start again (the training goes on from "
                    "its last checkpoint), or take a smaller recipe.batch (it begins anew)"
                ) from None
        settings |= device_record(device)


def _held_out(options: argparse.Namespace) -> int:
    """Number of the validation patient among the volumes."""
    return [folder.name for folder in options.volumes].index(options.validation["patient"])


def _validation(options: argparse.Namespace, volumes: Any, levels: Any, device: Any) -> Any:
    """What the loop calls every so many steps; None without a validation patient."""
    from ldct.metrics.protocol import load_protocol
    from ldct.training.validation import make_validation

    if not options.validation:
        return None
    return make_validation(
        volumes[_held_out(options)],
        options.validation["slices"],
        options.validation["every"],
        load_protocol(options.validation_protocol),
        scaling_of(options),
        levels,
        options.stage["target"],
        options.stage["inputs"],
        device,
        options.stage["network"],
    )
