"""DRL training on one CPU thread: our loop against a plain PyTorch loop with a DataLoader.

    PYTHONPATH=. python benchmarks/training_step.py --steps 8 --rounds 2

Needs the demo volumes and `data/demo/tiles.npy`. Ours is `train_stage`, sampling, scaling, history
and writing of the weights included. The plain loop has the same network, loss and optimiser, in
the default memory layout, fed by a `DataLoader` whose data set cuts one tile pair at a time from
the same memory-mapped volumes. Each runs in a process of its own, since ours changes how memory is
allocated. CPU seconds per step; the best of the rounds, taken in turns.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from ldct.data.tiles import COLUMN, ROW, SLICE, VOLUME
from ldct.data.volumes import Volume, load_volume
from ldct.files import read_json
from ldct.registry import find_methods
from ldct.scaling import Scaling
from ldct.stages import resolve_models
from ldct.training.devices import limit_threads
from ldct.training.loop import train_stage
from ldct.training.networks import build_network
from ldct.training.recipe import make_optimizer

REPOSITORY = Path(__file__).parents[1]
SCALING = Scaling(-160.0, 240.0, clip=True)
SIZE = 64
BATCHES = (8, 32)


class PatchPairs(Dataset):
    """One (LDCT, NDCT) tile pair at a time, float32 network units [1, 64, 64]."""

    def __init__(self, volumes: Sequence[Volume], tiles: np.ndarray) -> None:
        self.volumes = volumes
        self.tiles = tiles

    def __len__(self) -> int:
        return len(self.tiles)

    def __getitem__(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        tile = self.tiles[number]
        volume, row, column = self.volumes[tile[VOLUME]], tile[ROW], tile[COLUMN]
        window = np.s_[tile[SLICE], row : row + SIZE, column : column + SIZE]
        low, normal = (
            SCALING.to_unit(torch.from_numpy(array[window].astype(np.float32)))[None]
            for array in (volume.quarter, volume.full)
        )
        return low, normal


def main() -> None:
    """Run the benchmark and print one line for each batch size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", type=Path, default=Path("data/demo"), help="data folder")
    parser.add_argument("--steps", type=int, default=8, help="steps at batch 8; fewer at 32")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    with fresh_process(limit_threads) as our_pool, fresh_process(torch.set_num_threads) as pool:
        for batch in BATCHES:
            stage = drl_stage(max(options.steps * min(BATCHES) // batch, 2), batch)
            rounds = [
                (
                    our_pool.submit(seconds_per_step, ours, stage, options.dataset).result(),
                    pool.submit(seconds_per_step, plain, stage, options.dataset).result(),
                )
                for _ in range(options.rounds)
            ]
            best, other = (min(column) for column in zip(*rounds, strict=True))
            print(
                f"batch {batch:2d}: ours {best:.2f} CPU-s a step ({batch / best:.1f} tiles a "
                f"CPU-s), plain {other:.2f} CPU-s ({batch / other:.1f}), ratio {other / best:.2f}"
            )


def fresh_process(set_threads: Callable[[int], object]) -> ProcessPoolExecutor:
    """One spawned process that calls `set_threads(1)` first."""
    return ProcessPoolExecutor(1, get_context("spawn"), initializer=set_threads, initargs=(1,))


def seconds_per_step(
    train: Callable[[Mapping[str, Any], Sequence[Volume], np.ndarray], None],
    stage: Mapping[str, Any],
    dataset: Path,
) -> float:
    """CPU seconds per step of one training on the data set's tiles."""
    tiles = np.load(dataset / "tiles.npy")
    patients = read_json(dataset / "tiles.npy.provenance.json")["settings"]["volumes"]
    volumes = [load_volume(dataset / "volumes" / patient) for patient in patients]
    started = time.process_time()
    train(stage, volumes, tiles)
    return (time.process_time() - started) / stage["recipe"]["steps"]


def drl_stage(steps: int, batch: int) -> dict[str, Any]:
    """The resolved DRL stage for some steps of a batch size."""
    methods = find_methods([REPOSITORY / "methods"])
    models, _ = resolve_models(["drl"], methods, {"steps": steps}, SIZE)
    stage = models["drl"]
    return {**stage, "recipe": {**stage["recipe"], "batch": batch}}


def ours(stage: Mapping[str, Any], volumes: Sequence[Volume], tiles: np.ndarray) -> None:
    """The suite's training of one stage, in a temporary folder."""
    with tempfile.TemporaryDirectory() as name:
        train_stage(
            stage,
            volumes,
            tiles,
            SCALING,
            [],
            seed=0,
            device=torch.device("cpu"),
            precision="fp32",
            checkpoint_every=10**6,
            fingerprint="benchmark",
            folder=Path(name),
        )


def plain(stage: Mapping[str, Any], volumes: Sequence[Volume], tiles: np.ndarray) -> None:
    """A training loop as most tutorials write it."""
    recipe = stage["recipe"]
    network = build_network(stage["network"], 0, "plain").train()
    optimizer = make_optimizer(network, recipe)
    loader = iter(DataLoader(PatchPairs(volumes, tiles), recipe["batch"], shuffle=True))
    for _ in range(recipe["steps"]):
        low, normal = next(loader)
        loss = torch.nn.functional.mse_loss(network(low), normal)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


if __name__ == "__main__":
    main()
