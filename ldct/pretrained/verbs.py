"""Verbs that fetch pretrained weights."""

import argparse
from pathlib import Path

from ldct.common.provenance import recorded


def register(verbs: argparse._SubParsersAction) -> None:
    """Add the verbs to the parser."""
    fetch = verbs.add_parser("fetch-lpips-weights", help="weights of LPIPS (64 MB, checked)")
    fetch.add_argument("--network", choices=("alex", "vgg"), required=True)
    fetch.add_argument("--archives", type=Path, default=Path("data/weights/archives"))
    fetch.add_argument("--output", type=Path, required=True, help="safetensors file")
    fetch.set_defaults(run=run_fetch)

    fetch = verbs.add_parser(
        "fetch-weights", help="pretrained VGG weights for perceptual losses (60 or 90 MB, checked)"
    )
    fetch.add_argument("--network", choices=("vgg16", "vgg19"), required=True)
    source = fetch.add_mutually_exclusive_group()
    source.add_argument("--archives", type=Path, default=Path("data/weights/archives"))
    source.add_argument("--file", type=Path, help="a torchvision state dict instead of the archive")
    fetch.add_argument("--output", type=Path, required=True, help="safetensors file")
    fetch.set_defaults(run=run_fetch_weights)


def run_fetch_weights(options: argparse.Namespace) -> None:
    """Write pretrained weights, from the published archive or from a file of the user."""
    from ldct.pretrained.vgg_weights import SOURCES, convert_weights, fetch_weights

    given = options.file or options.archives / SOURCES[options.network].archive.filename
    with recorded([options.output], [given], {"network": options.network}):
        if options.file:
            convert_weights(options.network, options.file, options.output)
        else:
            fetch_weights(options.network, options.archives, options.output)


def run_fetch(options: argparse.Namespace) -> None:
    """Fetch LPIPS weights."""
    from ldct.pretrained.lpips_weights import fetch_lpips_weights

    fetch_lpips_weights(options.network, options.archives, options.output)
