"""Verbs that train."""

import argparse
import hashlib
import json
import time
from pathlib import Path

from ldct import provenance
from ldct.files import sha256_of_file
from ldct.scaling import Scaling


def register(verbs: argparse._SubParsersAction) -> None:
    """Add the verbs to the parser."""
    train = verbs.add_parser("train", help="train one stage")
    train.add_argument("--stage", type=json.loads, required=True, help="resolved stage, JSON")
    train.add_argument("--upstream", type=json.loads, default=[], help="resolved levels, JSON list")
    train.add_argument("--upstream-weights", type=Path, nargs="*", default=[])
    train.add_argument("--perceptual-weights", type=Path, help="made by fetch-weights")
    train.add_argument("--volumes", type=Path, nargs="+", required=True)
    train.add_argument("--tiles", type=Path, required=True)
    train.add_argument("--seed", type=int, required=True)
    add_scaling(train)
    add_device(train)
    train.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    train.add_argument("--checkpoint-every", type=int, default=100, metavar="STEPS")
    train.add_argument("--output", type=Path, required=True, help="folder of the trained model")
    train.set_defaults(run=run_train)

    fetch = verbs.add_parser(
        "fetch-weights", help="pretrained VGG weights for perceptual losses (60 or 90 MB, checked)"
    )
    fetch.add_argument("--network", choices=("vgg16", "vgg19"), required=True)
    source = fetch.add_mutually_exclusive_group()
    source.add_argument("--archives", type=Path, default=Path("data/weights/archives"))
    source.add_argument("--file", type=Path, help="a torchvision state dict instead of the archive")
    fetch.add_argument("--output", type=Path, required=True, help="safetensors file")
    fetch.set_defaults(run=run_fetch_weights)


def add_scaling(parser: argparse.ArgumentParser) -> None:
    """Add the options that `scaling_of` reads."""
    parser.add_argument("--window", type=float, nargs=2, required=True, metavar="HU")
    parser.add_argument("--clip", action="store_true", help="clip network input to the window")


def scaling_of(options: argparse.Namespace) -> Scaling:
    """The scaling that `--window` and `--clip` describe."""
    return Scaling(options.window[0], options.window[1], options.clip)


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where networks run."""
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--gpus", type=int, default=1, help="GPUs granted; 0 forces the CPU")
    parser.add_argument("--threads", type=int, default=1)


def run_train(options: argparse.Namespace) -> None:
    """Train one stage and write its folder."""
    import numpy as np

    from ldct.data.volumes import load_volume
    from ldct.training.chain import load_levels
    from ldct.training.devices import choose_device, limit_threads
    from ldct.training.loop import total_steps, train_stage

    started = time.perf_counter()
    device = choose_device(options.device, options.gpus)
    threads = limit_threads(options.threads)
    volumes = [load_volume(folder) for folder in options.volumes]
    tiles = np.load(options.tiles, mmap_mode="r")
    settings = {
        "stage": options.stage,
        "seed": options.seed,
        "window": options.window,
        "clip": options.clip,
        "precision": options.precision,
        "device": str(device),
        "threads": threads,
        "steps": total_steps(options.stage["recipe"], len(tiles)),
    }
    inputs = [options.tiles, *options.upstream_weights]
    if options.perceptual_weights is not None:
        inputs.append(options.perceptual_weights)
    train_stage(
        options.stage,
        volumes,
        tiles,
        scaling_of(options),
        load_levels(options.upstream, options.upstream_weights, device),
        seed=options.seed,
        device=device,
        precision=options.precision,
        checkpoint_every=options.checkpoint_every,
        fingerprint=_fingerprint(settings, [*inputs, *_code(options.stage)]),
        folder=options.output,
        perceptual_weights=options.perceptual_weights,
    )
    provenance.write_record(
        options.output / "weights.safetensors", inputs=inputs, settings=settings, started=started
    )


def run_fetch_weights(options: argparse.Namespace) -> None:
    """Write pretrained weights, from the published archive or from a file of the user."""
    from ldct.data.weights_archives import SOURCES, convert_weights, fetch_weights

    started = time.perf_counter()
    if options.file is not None:
        convert_weights(options.network, options.file, options.output)
        inputs = [options.file]
    else:
        fetch_weights(options.network, options.archives, options.output)
        inputs = [options.archives / SOURCES[options.network].archive.filename]
    provenance.write_record(
        options.output, inputs=inputs, settings={"network": options.network}, started=started
    )


def _code(stage: dict) -> list[Path]:
    """Python files that define the training: the network's and the training package's."""
    package = Path(__file__).resolve().parent.parent / "training"
    adversarial = stage["loss"].get("adversarial")
    critic = [Path(adversarial["discriminator"]["file"])] if adversarial else []
    return [Path(stage["network"]["file"]), *critic, *sorted(package.glob("*.py"))]


def _fingerprint(settings: dict, files: list[Path]) -> str:
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for file in files:
        digest.update(sha256_of_file(file).encode())
    return digest.hexdigest()
