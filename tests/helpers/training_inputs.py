"""A few tiles of two tiny patients, and stages resolved from cards, for tests of training."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from made_up_volumes import write_doses
from scipy.ndimage import gaussian_filter

from ldct.common.scaling import Scaling
from ldct.configuration.registry import find_methods
from ldct.configuration.stages import resolve_models
from ldct.data.tiles import write_tiles
from ldct.data.volumes import load_volume
from ldct.training import loop

DISCRIMINATOR = """
import torch
from torch import nn
class Judge(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(2, 3, 4, 4), nn.Tanh(), nn.Conv2d(3, 1, 4))
    def forward(self, candidate, condition):
        return self.body(torch.cat([candidate, condition], dim=1)).flatten(1)
def build():
    return Judge()
"""
STATEFUL_NETWORK = """
from torch import nn
def build():
    first = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2))
    return nn.Sequential(first, nn.Dropout(0.1), nn.Conv2d(2, 1, 3, padding=1))
"""
METHODS = Path(__file__).resolve().parents[2] / "methods"
TILE = 16
# The committed networks, with a batch and a number of critic steps that a test can afford.
RECIPE = {"learning_rate": 1e-3, "betas": [0.5, 0.999], "batch": 4, "epochs": 1}
CARDS: dict[str, dict[str, Any]] = {
    "small_drl": {"kind": "network", "network": "drl", "loss": {"mse": 1.0}, "recipe": RECIPE},
    "small_lsgan": {
        "kind": "network",
        "network": "drl",
        "loss": {
            "mae": 100.0,
            "adversarial": {
                "weight": 1.0,
                "discriminator": "lsgan",
                "targets": {"real": -1.0, "fake": 1.0, "generator": -1.0},
            },
        },
        "recipe": RECIPE | {"critic_steps": 2},
    },
}


def write_volume(folder: Path, seed: int, shape: tuple[int, int, int] = (3, 64, 64)) -> Path:
    """Write a volume folder: smooth tissue, and 30 HU of noise in the quarter dose."""
    rng = np.random.default_rng(seed)
    full = 60 * gaussian_filter(rng.standard_normal(shape), (0, 3, 3)) * 8 + 40
    return write_doses(folder, full, full + rng.normal(0, 30, shape))


def write_training_data(folder: Path) -> tuple[list[Path], Path]:
    """Write two training volumes and their tile table; returns (volume folders, tile file)."""
    volumes = [write_volume(folder / name, seed) for seed, name in enumerate(("L001", "L002"))]
    write_tiles(volumes, TILE, TILE, -500, folder / "tiles.npy")
    return volumes, folder / "tiles.npy"


def write_cards(folder: Path) -> Path:
    """Write the cards above as method folders into `folder`."""
    for name, card in CARDS.items():
        place = folder / name
        place.mkdir(parents=True)
        about = {"title": name, "source": "test", "in_paper": False, "departures": []}
        (place / "method.yaml").write_text(yaml.safe_dump(about | card))
    return folder


def stage_of(name: str, cards: Path, steps: int) -> dict[str, Any]:
    """One stage as the workflow resolves it."""
    models, _ = resolve_models([name], find_methods([METHODS, cards]), {"steps": steps}, TILE)
    return models[name]


def train_here(
    stage: dict[str, Any], volumes: list[Path], tiles: Path, folder: Path, **options: Any
) -> Path:
    """Train a first level in this process, on the CPU; returns `folder`."""
    usual = {"seed": 0, "device": torch.device("cpu"), "precision": "fp32", "fingerprint": "test"}
    loop.train_stage(
        *(stage, [load_volume(path) for path in volumes], np.load(tiles)),
        *(Scaling(-160.0, 240.0, clip=True), []),
        **{**usual, "checkpoint_every": 1000, "folder": folder, **options},
    )
    return folder


@contextmanager
def killed_at_step(number: int) -> Iterator[None]:
    """Let trainings end as by Ctrl-C before step `number`, for one block."""
    real_step = loop.train_step

    def step(*arguments):
        if arguments[5] == number:
            raise KeyboardInterrupt
        return real_step(*arguments)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(loop, "train_step", step)
        yield


def train_arguments(
    stage: dict[str, Any], volumes: list[Path], tiles: Path, output: Path, *more: str
) -> list[str]:
    """Arguments of `python -m ldct` that train one stage on the CPU."""
    return [
        "train",
        *("--stage", json.dumps(stage)),
        *("--volumes", *map(str, volumes)),
        *("--tiles", str(tiles)),
        *("--seed", "0", "--window", "-160", "240", "--clip", "--device", "cpu"),
        *("--checkpoint-every", "3"),
        *("--output", str(output)),
        *more,
    ]
