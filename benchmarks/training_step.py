"""DRL training on one CPU thread or a GPU: our loop against a plain PyTorch loop, and a ceiling.

    PYTHONPATH=. python benchmarks/training_step.py --batch 8 32 --steps 8 --rounds 2
    PYTHONPATH=. python benchmarks/training_step.py --device cuda --precision bf16 --cuda-graphs \\
        --batch 32 256 --steps 400 --rounds 3

Ours is `train_stage`: sampling, scaling and history included, start and writing of files not. The
plain loop has the same network, loss, optimiser and precision, in the default memory layout, fed by
a `DataLoader` whose data set cuts one tile pair at a time from the same volumes, under PyTorch's
own defaults: on a GPU its float32 convolutions are TF32, so compare it with ours with `--tf32`.
Each runs in a process of its own, since ours changes how memory is allocated. CPU seconds per step,
or seconds on the clock on a GPU, after some steps that are not timed; the best of the rounds, taken
in turns.

The ceiling is the fastest matrix product of the same precision; the operations of a step are those
of its convolutions, three times the forward pass. Made-up volumes, or those of `--dataset`.
"""

import argparse
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import chain, repeat
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measuring import (
    add_device_options,
    add_engine_options,
    clock,
    engine_of,
    made_up_tiles,
    made_up_volumes,
    matrix_ceiling,
    step_flops,
    unit_of,
)
from torch.utils.data import DataLoader, Dataset

from ldct.common.files import read_json
from ldct.common.scaling import Scaling
from ldct.configuration.registry import find_methods
from ldct.configuration.stages import resolve_models
from ldct.data.tiles import COLUMN, ROW, SLICE, VOLUME
from ldct.data.volumes import Volume, load_volume
from ldct.devices.choice import enter, hold_device, limit_threads
from ldct.devices.engine import Engine
from ldct.networks.files import build_network
from ldct.training.loop import train_stage
from ldct.training.recipe import make_optimizer
from ldct.training.validation import Validation

REPOSITORY = Path(__file__).parents[1]
SCALING = Scaling(-160.0, 240.0, clip=True)
SIZE = 64
MADE_UP_SLICES = (64, 64)
# Steps before the timed ones: compiling, recording of graphs, choice of kernels, frequency.
WARM_UP = {"cpu": 3, "cuda": 30}


@dataclass(frozen=True)
class Setup:
    """What both loops have in common, but for the engine, which is ours."""

    device: torch.device
    precision: str
    engine: Engine

    @property
    def warm_up(self) -> int:
        """Steps that are not timed."""
        return WARM_UP[self.device.type]


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
    """Run the benchmark and print two lines for each batch size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", type=Path, help="data folder of a run; else made-up volumes")
    parser.add_argument("--batch", type=int, nargs="+", default=[8, 32], help="tiles per step")
    parser.add_argument("--steps", type=int, default=8, help="at the smallest batch; else fewer")
    parser.add_argument("--rounds", type=int, default=2)
    add_device_options(parser)
    add_engine_options(parser)
    options = parser.parse_args()
    with (
        hold_device(options.device, torch.cuda.device_count()) as device,
        fresh_process(limit_threads) as our_pool,
        fresh_process(torch.set_num_threads) as pool,
    ):
        setup = Setup(device, options.precision, engine_of(options))
        ceiling, side = pool.submit(matrix_ceiling, device, setup.precision, setup.engine).result()
        print(
            f"{setup.precision} matrix product, best {side} x {side}: {ceiling / 1e12:.3g} TFLOP/s"
        )
        for batch in options.batch:
            steps = max(options.steps * min(options.batch) // batch, 2)
            stage = drl_stage(setup.warm_up + steps, batch)
            work = (stage, options.dataset, setup)
            rounds = [
                (
                    our_pool.submit(seconds_per_step, ours, *work).result(),
                    pool.submit(seconds_per_step, plain, *work).result(),
                )
                for _ in range(options.rounds)
            ]
            best, other = (min(column) for column in zip(*rounds, strict=True))
            print_result(batch, best, other, step_flops(stage, batch) / ceiling, device)


def print_result(
    batch: int, ours_s: float, plain_s: float, ceiling_s: float, device: torch.device
) -> None:
    """Print speeds, their ratio and what share of the ceiling our step reaches."""
    unit = unit_of(device)
    print(
        f"batch {batch:3d}: ours {ours_s:.3g} {unit} a step ({batch / ours_s:.1f} tiles a {unit}), "
        f"plain {plain_s:.3g} {unit} ({batch / plain_s:.1f}), ratio {plain_s / ours_s:.2f}\n"
        f"batch {batch:3d}: ours reaches {ceiling_s / ours_s:.1%} of the matrix product's speed, "
        f"plain {ceiling_s / plain_s:.1%}"
    )


def fresh_process(set_threads: Callable[[int], object]) -> ProcessPoolExecutor:
    """One spawned process that calls `set_threads(1)` first."""
    return ProcessPoolExecutor(1, get_context("spawn"), initializer=set_threads, initargs=(1,))


def seconds_per_step(
    train: Callable[..., list[float]],
    stage: Mapping[str, Any],
    dataset: Path | None,
    setup: Setup,
) -> float:
    """Seconds per step of one training, without its first `setup.warm_up` steps."""
    enter(setup.device)
    # Else the second batch size would be compiled for any batch.
    torch.compiler.reset()
    times = train(stage, *pixels_of(dataset), setup)
    return (times[-1] - times[0]) / (stage["recipe"]["steps"] - setup.warm_up)


def pixels_of(dataset: Path | None) -> tuple[list[Volume], np.ndarray]:
    """Volumes and tile table of a data folder; made-up ones without."""
    if dataset is None:
        volumes = made_up_volumes(MADE_UP_SLICES)
        return volumes, made_up_tiles(volumes, SIZE)
    patients = read_json(dataset / "tiles.npy.provenance.json")["settings"]["volumes"]
    volumes = [load_volume(dataset / "volumes" / patient) for patient in patients]
    return volumes, np.load(dataset / "tiles.npy")


def drl_stage(steps: int, batch: int) -> dict[str, Any]:
    """The resolved DRL stage for some steps of a batch size."""
    methods = find_methods([REPOSITORY / "methods"])
    models, _ = resolve_models(["drl"], methods, {"steps": steps}, SIZE)
    stage = models["drl"]
    return {**stage, "recipe": {**stage["recipe"], "batch": batch}}


def ours(
    stage: Mapping[str, Any], volumes: Sequence[Volume], tiles: np.ndarray, setup: Setup
) -> list[float]:
    """The suite's training of one stage, in a temporary folder; when its timed steps began and
    ended, and moments between."""
    times: list[float] = []

    def note_time(_network: torch.nn.Module) -> dict[str, float]:
        times.append(clock(setup.device))
        return {}

    with tempfile.TemporaryDirectory() as name:
        train_stage(
            stage,
            volumes,
            tiles,
            SCALING,
            [],
            seed=0,
            device=setup.device,
            precision=setup.precision,
            checkpoint_every=10**6,
            fingerprint="benchmark",
            folder=Path(name),
            engine=setup.engine,
            validation=Validation(setup.warm_up, note_time),
        )
    return times


def plain(
    stage: Mapping[str, Any], volumes: Sequence[Volume], tiles: np.ndarray, setup: Setup
) -> list[float]:
    """A training loop as most tutorials write it; when its timed steps began and ended."""
    recipe, device = stage["recipe"], setup.device
    network = build_network(stage["network"], 0, "plain").to(device).train()
    optimizer = make_optimizer(network, recipe)
    loader = DataLoader(PatchPairs(volumes, tiles), recipe["batch"], shuffle=True)
    batches = chain.from_iterable(repeat(loader))
    times = []
    for step in range(recipe["steps"]):
        if step == setup.warm_up:
            times.append(clock(device))
        low, normal = (tensor.to(device) for tensor in next(batches))
        with torch.autocast(device.type, torch.bfloat16, enabled=setup.precision == "bf16"):
            loss = torch.nn.functional.mse_loss(network(low), normal)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return [*times, clock(device)]


if __name__ == "__main__":
    main()
