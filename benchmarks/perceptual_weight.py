"""Perceptual beside squared error: ratio of gradient norms on real tiles, per network and layers.

The ratio says what a published loss weight amounts to with the weights and the input normalisation
at hand, and is what `match_gradient` on a card divides by. The last figure is the gradient norm of
one tile, mean over tiles: its inverse is the weight that makes the term as strong as a Wasserstein
critic of slope 1.

    PYTHONPATH=. python benchmarks/perceptual_weight.py --volumes data/demo/volumes/L901 \\
        --tiles data/demo/tiles.npy --weights data/weights
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from ldct.common.scaling import Scaling
from ldct.data.volumes import load_volume
from ldct.devices.choice import limit_threads
from ldct.pretrained.perceptual import load_features
from ldct.training.loop import batch_reader
from ldct.training.matching import MATCHED_BATCHES, gradient_norm

THREE = ["relu1_2", "relu2_2", "relu3_3"]
FOUR = ["relu1_2", "relu2_2", "relu3_4", "relu4_4"]
CASES = [
    ("vgg19", FOUR),
    ("vgg19", ["relu5_4"]),
    ("vgg19", ["conv5_4"]),
    ("vgg19", THREE),
    ("vgg16", THREE),
    ("vgg16", ["relu5_3"]),
]


def main() -> None:
    """Print one line per network, layers and normalisation."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--volumes", type=Path, nargs="+", required=True)
    parser.add_argument("--tiles", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True, help="folder of vgg*.safetensors")
    parser.add_argument("--window", type=float, nargs=2, default=(-160, 240))
    parser.add_argument("--batch", type=int, default=8)
    options = parser.parse_args()
    limit_threads(1)
    device = torch.device("cpu")
    volumes = [load_volume(folder) for folder in options.volumes]
    stage = {"recipe": {"batch": options.batch}, "tile_size": 64, "target": "image"}
    scaling = Scaling(*options.window, clip=True)
    read = batch_reader(stage, volumes, np.load(options.tiles), scaling, [], 0, device)
    batches = [read("generator", step) for step in range(MATCHED_BATCHES)]
    tiles = [
        (low[None], normal[None]) for batch in batches for low, normal in zip(*batch, strict=True)
    ]
    mse = gradient_norm("mse", {"mse": 1.0}, batches, None)
    print(f"{MATCHED_BATCHES} batches of {options.batch} tiles; gradient norms relative to mse")
    print(f"dssim {gradient_norm('dssim', {'dssim': 1.0}, batches, None) / mse:.4g}")
    for network, layers in CASES:
        for normalisation in ("imagenet", "none"):
            settings = {
                "weight": 1.0,
                "features": network,
                "layers": layers,
                "normalisation": normalisation,
                "distance": "mse",
            }
            loss = {"perceptual": settings}
            weights = options.weights / f"{network}.safetensors"
            features = load_features(loss, weights, device, "benchmark")
            ratio = gradient_norm("perceptual", loss, batches, features) / mse
            slope = gradient_norm("perceptual", loss, tiles, features) / len(tiles)
            print(f"{network} {'+'.join(layers)} {normalisation} {ratio:.4g} {slope:.4g}")


if __name__ == "__main__":
    main()
