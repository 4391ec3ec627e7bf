"""How the quick budget was chosen: trainings on one training patient, judged on the other.

No test patient is read. Each line of the output is one training: its settings, and PSNR and SSIM of
the held-out patient at its end. A line that is there is not made again. docs/methods.md, "Budgets",
says what was chosen and by which rule.

    PYTHONPATH=. python benchmarks/quick_budget.py --data data --output quick_budget.csv
"""

import argparse
import copy
import csv
import hashlib
import itertools
import json
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ldct.common.errors import InputError
from ldct.common.files import read_json, write_text
from ldct.common.held_files import alone_in
from ldct.common.scaling import Scaling
from ldct.configuration.registry import find_methods
from ldct.configuration.stages import resolve_models
from ldct.data.tiles import VOLUME
from ldct.data.volumes import Volume, load_volume
from ldct.devices.choice import limit_threads
from ldct.metrics.protocol import load_protocol
from ldct.networks.chain import Level, load_levels
from ldct.training import feeding
from ldct.training.critics import critic_step, make_critic
from ldct.training.feeding import batch_reader, held_out_rows
from ldct.training.history import as_csv
from ldct.training.loop import is_trained, train_stage
from ldct.training.recipe import learning_rate_at, set_learning_rate
from ldct.training.validation import make_critic_check, make_validation

TRAINED_ON, HELD_OUT = "L901", "L902"
IN_PLACE = feeding.surroundings
PROTOCOL = Path("config/protocols/abdomen.yaml")
SCALING = Scaling(-160, 240, clip=True)
SLICES = 8
SEEDS = (0, 1, 2)
DROP = {"after": 0.75, "factor": 0.1}
# Equal numbers of tiles, hence about equal times.
SHAPES = ((900, 2), (450, 4), (225, 8))
WEIGHTS = (0.5, 0.2, 0.1, 0.05)
LONG = (600, 32)
RATES = (2e-4, 5e-4, 1e-3, 2e-3)
CRITICS = {
    "authors": {},
    "no batch norm": {"batch_norm": False},
    "difference": {"difference": True},
    "difference, no batch norm": {"difference": True, "batch_norm": False},
}
LEVEL_2 = {
    "zero": {"start": "zero"},
    "zero, no skip": {"start": "zero", "global_skip": False},
    "keras": {"start": "keras"},
    "keras, no skip": {"start": "keras", "global_skip": False},
}


def trainings() -> Iterator[dict[str, Any]]:
    """What is trained: question, label, model, recipe, and further settings."""
    middle = SHAPES[1]
    for seed in SEEDS:
        # 1. Which critic learns the easiest task, low dose against normal dose?
        for (name, options), rate in itertools.product(CRITICS.items(), (2e-4, 1e-3)):
            yield run("critic", name, "lsgan", middle, rate, seed, critic=options)
        # 2. At which rate and weight does a GAN with it train? A weight of 0.2 undoes the factor of
        # 5 with which the candidate enters it.
        for weight in WEIGHTS:
            more = {"critic": CRITICS["difference, no batch norm"], "weight": weight}
            yield run("gan", f"weight {weight}", "lsgan", middle, 2e-4, seed, **more)
            yield run("gan", f"SAGAN, weight {weight}", "sagan", middle, 2e-4, seed, weight=weight)
        for weight in WEIGHTS[::2]:
            more = {"critic": CRITICS["difference, no batch norm"], "weight": weight}
            yield run(
                "gan",
                f"weight {weight}, one critic step",
                "lsgan",
                middle,
                2e-4,
                seed,
                critic_steps=1,
                **more,
            )
        for name, rate in itertools.product(("authors", "difference, no batch norm"), RATES[:3]):
            yield run("gan", name, "lsgan", middle, rate, seed, critic=CRITICS[name])
        yield run("gan", "SAGAN", "sagan", middle, 2e-4, seed)
        # 3. Steps, batch and rate of a stage without a critic.
        for shape, rate in itertools.product(SHAPES, RATES):
            yield run("content", "drl", "drl", shape, rate, seed)
        yield run("content", "drl", "drl", middle, 1e-4, seed)
        yield run("content", "drl, start keras", "drl", middle, 1e-3, seed, {"start": "keras"})
        yield run("content", "drl, 100 x absolute error", "drl", middle, 2e-4, seed, mae=100.0)
        yield run("content", "drl, 100 x absolute error", "drl", middle, 1e-3, seed, mae=100.0)
        for method, rate in itertools.product(("fc_aide", "drlp"), RATES):
            yield run("content", method, method, middle, rate, seed)
        # 4. Start and rate of the second level, and what it sees of level 1.
        for (name, options), rate in itertools.product(LEVEL_2.items(), (2e-4, 1e-3)):
            for model in ("proposed_level2", "drl_drl_level2"):
                yield run("level 2", name, model, middle, rate, seed, options)
        yield run("level 2", "zero", "drl_drl_level2", middle, 1e-4, seed, LEVEL_2["zero"])
        for model in ("proposed_level2", "drl_drl_level2"):
            yield run("level 2", "zero, tiles alone", model, middle, 1e-3, seed, bare=True)
    # 5. Needs a GPU: do the authors' critics learn in the paper's batches?
    for name in ("authors", "difference, no batch norm"):
        for question in ("long gan", "long critic"):
            yield run(question, name, "lsgan", LONG, 2e-4, 0, critic=CRITICS[name])


def run(
    question: str,
    label: str,
    model: str,
    shape: tuple[int, int],
    rate: float,
    seed: int,
    options: Mapping[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """One training as plain data."""
    steps, batch = shape
    recipe = {"steps": steps, "batch": batch, "learning_rate": rate, "learning_rate_drop": DROP}
    about = {"question": question, "label": label, "model": model, "seed": seed}
    return {**about, "recipe": recipe, "options": dict(options or {}), **more}


def identity(one: Any) -> str:
    """What tells a training from the others."""
    return json.dumps(one, sort_keys=True)


def stage_of(one: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The stage of a training with its changes, and all models of the suite under `quick`."""
    methods = find_methods(["methods"])
    names = ["lsgan", "sagan", "drl", "fc_aide", "drlp", "proposed", "drl_drl"]
    models, _ = resolve_models(names, methods, "quick", 64)
    stage = copy.deepcopy(models[one["model"]])
    stage["recipe"] |= one["recipe"]
    stage["network"]["options"] |= one["options"]
    if "critic" in one:
        options = {"tile_size": 64, **one["critic"]}
        stage["loss"]["adversarial"]["discriminator"]["options"] = options
    if "weight" in one:
        stage["loss"]["adversarial"]["weight"] = one["weight"]
    if "critic_steps" in one:
        stage["recipe"]["critic_steps"] = one["critic_steps"]
    if "mae" in one:
        stage["loss"] = {"mae": one["mae"]}
        stage["recipe"]["betas"] = [0.5, 0.999]
    return stage, models


def carry_out(one: Mapping[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """Do one training; returns what was measured."""
    limit_threads(1)
    device = torch.device(options.device)
    volumes = [load_volume(options.data / "demo" / "volumes" / TRAINED_ON)]
    tiles = np.load(options.data / "demo" / "tiles.npy")
    tiles = tiles[tiles[:, VOLUME] == 0]
    stage, models = stage_of(one)
    started = time.perf_counter()
    if one["question"].endswith("critic"):
        return {"curve": json.dumps(critic_alone(stage, volumes, tiles, one["seed"], device))}
    held_out = load_volume(options.data / "demo" / "volumes" / HELD_OUT)
    levels: list[Level] = []
    digest = ""
    for name in [*stage["upstream"], one["model"]]:
        own = stage if name == one["model"] else models[name]
        bare = one.get("bare") and name == one["model"]
        # With the level before: a change there trains this one anew.
        settings = identity([own, one["seed"], bare, digest])
        digest = hashlib.sha256(settings.encode()).hexdigest()[:16]
        folder = options.output.with_suffix(".models") / digest
        check = (held_out, SLICES, own["recipe"]["steps"], load_protocol(PROTOCOL), SCALING)
        with alone_in(folder):
            if not is_trained(folder, digest):
                if bare:
                    feeding.surroundings = bare_tiles
                train_stage(
                    *(own, volumes, tiles, SCALING, levels),
                    seed=one["seed"],
                    device=device,
                    precision="fp32",
                    checkpoint_every=10**6,
                    fingerprint=digest,
                    folder=folder,
                    perceptual_weights=options.data / "weights" / "vgg19.safetensors",
                    validation=make_validation(
                        *check, levels, own["target"], own["inputs"], device
                    ),
                )
        feeding.surroundings = IN_PLACE
        levels += load_levels([own], [folder / "weights.safetensors"], device)
    rows = list(csv.DictReader((folder / "history.csv").open()))
    record = read_json(folder / "training.json")
    return {
        "val_psnr": round(float(rows[-1]["val_psnr"]), 4),
        "val_ssim": round(float(rows[-1]["val_ssim"]), 5),
        "curve": json.dumps(
            [round(float(row["critic_auc"]), 3) for row in rows if row.get("critic_auc")]
        ),
        "shares": json.dumps(record["loss_shares"]),
        "seconds": round(time.perf_counter() - started, 1),
    }


def bare_tiles(volumes: list[Volume], _: Any, tile: int, __: Any) -> feeding.Surroundings:
    """Level 1 sees a tile alone, with its own zero padding."""
    shapes = np.array([volume.quarter.shape[1:] for volume in volumes])
    return feeding.Surroundings(tile, tile, 1, shapes - tile)


def critic_alone(
    stage: Mapping[str, Any],
    volumes: list[Volume],
    tiles: np.ndarray,
    seed: int,
    device: torch.device,
) -> list[float]:
    """AUC of a critic that learns to tell normal-dose from low-dose tiles, ten times."""
    critic = make_critic(stage, seed, device)
    batches = batch_reader(stage, volumes, tiles, SCALING, [], seed, device)
    recipe, held_out = stage["recipe"], int(held_out_rows(len(tiles), seed).sum())
    check = make_critic_check(critic, batches, held_out, recipe["batch"], recipe["steps"])
    found = []
    for step in range(recipe["steps"]):
        set_learning_rate([critic.optimizer], learning_rate_at(recipe, step, recipe["steps"]))
        for number in range(step * critic.steps, (step + 1) * critic.steps):
            low, normal = batches("critic", number)
            critic_step(critic, normal, low, low, number)
        if (step + 1) % check.every == 0:
            found.append(round(check.score(nn.Identity())["critic_auc"], 3))
    return found


def main() -> None:
    """Make the trainings that the output lacks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="`data` of a finished demo run")
    parser.add_argument(
        "--output", type=Path, required=True, help="a CSV file; trainings beside it"
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--questions", nargs="+", help="such as critic, gan, content")
    options = parser.parse_args()
    done = []
    if options.output.is_file():
        done = list(csv.DictReader(options.output.open()))
    known = {line["training"] for line in done}
    wanted = [one for one in trainings() if identity(one) not in known]
    if options.questions:
        wanted = [one for one in wanted if one["question"] in options.questions]
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(carry_out, one, options): one for one in wanted}
        for place, finished in enumerate(as_completed(running), start=1):
            one = running[finished]
            try:
                found = finished.result()
            except InputError as error:
                found = {"error": str(error)}
            about = {name: one[name] for name in ("question", "label", "model", "seed")}
            shape = {name: one["recipe"][name] for name in ("steps", "batch", "learning_rate")}
            done.append({**about, **shape, **found, "training": identity(one)})
            write_text(options.output, as_csv(done))
            print(f"{place}/{len(wanted)}", about, shape, found, flush=True)


if __name__ == "__main__":
    main()
