"""Training of one stage, from the tile table to weights: read it top to bottom."""

import csv
import io
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ldct.data.tiles import gather_tiles
from ldct.data.volumes import Volume
from ldct.errors import InputError
from ldct.files import write_text
from ldct.progress import track
from ldct.scaling import Scaling
from ldct.training.chain import Level, apply_levels, stack_inputs
from ldct.training.checkpoint import load_checkpoint, save_checkpoint
from ldct.training.critics import Critic
from ldct.training.losses import Features, weight_of
from ldct.training.matching import MATCHED_BATCHES, match_gradients, wants_matching
from ldct.training.networks import build_network, save_weights
from ldct.training.perceptual import load_features
from ldct.training.sampling import BatchSampler, steps_per_epoch
from ldct.training.steps import Batch, adversarial_step, content_step
from ldct.training.stopping import stop_on_signal

LOG_EVERY = 10


def train_stage(
    stage: Mapping[str, Any],
    volumes: Sequence[Volume],
    tiles: np.ndarray,
    scaling: Scaling,
    upstream: Sequence[Level],
    *,
    seed: int,
    device: torch.device,
    precision: str,
    checkpoint_every: int,
    fingerprint: str,
    folder: Path,
    perceptual_weights: Path | None = None,
) -> nn.Module:
    """Train one stage and write `weights.safetensors` and `history.csv` into `folder`.

    stage : resolved by `ldct.stages`: model, network, target, inputs, loss, recipe, tile_size. In
        the weights' metadata it stands with the loss weights that were in force.
    volumes, tiles : training patients and the int [tiles, 4] table over them.
    upstream : trained levels whose output this stage takes as input; empty for a first level.
    precision : "fp32" or "bf16" (autocast).
    checkpoint_every : steps between checkpoints; a training that is stopped goes on from the last.
    fingerprint : digest of everything that defines this training.
    perceptual_weights : safetensors file of the network behind a perceptual loss.
    Raises InputError on a non-finite loss, naming term and step.
    """
    recipe = stage["recipe"]
    network = build_network(stage["network"], seed, stage["model"])
    network = network.to(device, memory_format=torch.channels_last).train()
    optimizer = make_optimizer(network, recipe)
    critic = make_critic(stage, seed, device)
    batches = batch_reader(stage, volumes, tiles, scaling, upstream, seed, device)
    features = load_features(stage["loss"], perceptual_weights, device, stage["model"])
    stage = with_matched_weights(stage, batches, features)
    total = total_steps(recipe, len(tiles))
    history: list[dict[str, float]] = []

    checkpoint = folder / "checkpoint.pt"
    first = restore(checkpoint, fingerprint, network, optimizer, critic, history)
    started = time.perf_counter()
    steps = track(range(first, total), stage["model"], total, first)
    with stop_on_signal() as stop, steps as progress:
        for step in progress:
            set_learning_rate(optimizer, critic, learning_rate_at(recipe, step, total))
            with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
                terms = train_step(stage, network, optimizer, critic, batches, step, features)
            if step % LOG_EVERY == 0 or step == total - 1:
                row = {name: float(value) for name, value in terms.items()}
                check_finite(row, stage["model"], step)
                history.append({"step": step, **row})
                progress.set_postfix(
                    {name: f"{value:.3g}" for name, value in row.items()}
                    | {"tiles/s": f"{tiles_per_second(step + 1 - first, recipe, started):.0f}"},
                    refresh=False,
                )
            due = (step + 1) % checkpoint_every == 0 and step + 1 < total
            if due or stop["signal"]:
                save_checkpoint(
                    checkpoint,
                    snapshot(fingerprint, step + 1, network, optimizer, critic, history),
                )
            if stop["signal"]:
                raise SystemExit(128 + stop["signal"])

    write_text(folder / "history.csv", as_csv(history))
    save_weights(folder / "weights.safetensors", network, stage)
    checkpoint.unlink(missing_ok=True)
    return network


def train_step(
    stage: Mapping[str, Any],
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    critic: Critic | None,
    batches: Callable[[str, int], Batch],
    step: int,
    features: Features | None = None,
) -> dict[str, Tensor]:
    """Step number `step` (0, 1, ...) of the stage; returns its unweighted loss terms."""
    batch = batches("generator", step)
    if critic is None:
        return content_step(network, optimizer, batch, stage["loss"], features)
    return adversarial_step(
        network,
        optimizer,
        critic,
        batch,
        lambda number: batches("critic", step * critic.steps + number),
        stage["loss"],
        features,
        first_critic_step=step * critic.steps,
    )


def with_matched_weights(
    stage: Mapping[str, Any], batches: Callable[[str, int], Batch], features: Features | None
) -> Mapping[str, Any]:
    """The stage with numbers for its `match_gradient` weights, measured on its first batches."""
    names = wants_matching(stage["loss"])
    if not names:
        return stage
    first = [batches("generator", step) for step in range(MATCHED_BATCHES)]
    pairs = [(inputs[:, :1], target) for inputs, target in first]
    loss = match_gradients(stage["loss"], pairs, features)
    for name in names:
        print(f"{stage['model']}: weight of {name} is {weight_of(loss, name):.4g}", file=sys.stderr)
    return {**stage, "loss": loss}


def batch_reader(
    stage: Mapping[str, Any],
    volumes: Sequence[Volume],
    tiles: np.ndarray,
    scaling: Scaling,
    upstream: Sequence[Level],
    seed: int,
    device: torch.device,
) -> Callable[[str, int], Batch]:
    """Make the function (stream, step) -> (network input, training target) in network units.

    The input is the LDCT tile, or what the upstream levels make of it; the target is the NDCT tile,
    or input minus NDCT where the stage predicts the residual (docs/methods.md, readings 1 and 14).
    """
    batch_size, size = stage["recipe"]["batch"], stage["tile_size"]
    samplers = {
        stream: BatchSampler(len(tiles), batch_size, seed, stream)
        for stream in ("generator", "critic")
    }
    quarter = [volume.quarter for volume in volumes]
    full = [volume.full for volume in volumes]

    def read(stream: str, step: int) -> Batch:
        rows = tiles[samplers[stream].rows(step)]
        low = to_tensor(gather_tiles(quarter, rows, size), scaling, device)
        normal = to_tensor(gather_tiles(full, rows, size), scaling, device)
        with torch.no_grad():
            previous = apply_levels(upstream, low)
        target = previous - normal if stage["target"] == "residual" else normal
        return stack_inputs(stage.get("inputs", ("previous",)), previous, low), target

    return read


def to_tensor(tiles_hu: np.ndarray, scaling: Scaling, device: torch.device) -> Tensor:
    """int16 HU [batch, row, column] to float32 network units [batch, 1, row, column] on device."""
    return scaling.to_unit(torch.from_numpy(tiles_hu).to(device).float()).unsqueeze(1)


def total_steps(recipe: Mapping[str, Any], tiles: int) -> int:
    """Generator steps of a recipe: `steps` where given, else `epochs` over all tiles."""
    if "steps" in recipe:
        return recipe["steps"]
    return recipe["epochs"] * steps_per_epoch(tiles, recipe["batch"])


def make_optimizer(network: nn.Module, recipe: Mapping[str, Any]) -> torch.optim.Optimizer:
    """Adam with the recipe's learning rate and betas, and Keras' epsilon of the time, 1e-8."""
    return torch.optim.Adam(
        network.parameters(), lr=recipe["learning_rate"], betas=tuple(recipe["betas"]), eps=1e-8
    )


def learning_rate_at(recipe: Mapping[str, Any], step: int, total: int) -> float:
    """Learning rate of one step: the recipe's, times `factor` after the fraction `after` of all."""
    drop = recipe.get("learning_rate_drop")
    if drop is None or step < drop["after"] * total:
        return recipe["learning_rate"]
    return recipe["learning_rate"] * drop["factor"]


def set_learning_rate(
    optimizer: torch.optim.Optimizer, critic: Critic | None, learning_rate: float
) -> None:
    """Set the rate of the network's optimiser and of its critic's."""
    for one in [optimizer] if critic is None else [optimizer, critic.optimizer]:
        for group in one.param_groups:
            group["lr"] = learning_rate


def make_critic(stage: Mapping[str, Any], seed: int, device: torch.device) -> Critic | None:
    """The discriminator that a stage's adversarial loss names; None for a stage without one."""
    adversarial = stage["loss"].get("adversarial")
    if adversarial is None:
        return None
    network = build_network(adversarial["discriminator"], seed, stage["model"] + "/critic")
    network = network.to(device, memory_format=torch.channels_last).train()
    return Critic(
        network=network,
        optimizer=make_optimizer(network, stage["recipe"]),
        weight=adversarial["weight"],
        targets=adversarial.get("targets", {}),
        steps=stage["recipe"]["critic_steps"],
        kind=adversarial.get("kind", "least_squares"),
        gradient_penalty=adversarial.get("gradient_penalty", 0.0),
        seed=seed,
    )


def snapshot(
    fingerprint: str,
    step: int,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    critic: Critic | None,
    history: list[dict[str, float]],
) -> dict[str, Any]:
    """All state after `step` steps. Batches need none: they are a function of seed and step."""
    state = {
        "fingerprint": fingerprint,
        "step": step,
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "history": history,
    }
    if critic is not None:
        state["critic"] = critic.network.state_dict()
        state["critic_optimizer"] = critic.optimizer.state_dict()
    return state


def restore(
    checkpoint: Path,
    fingerprint: str,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    critic: Critic | None,
    history: list[dict[str, float]],
) -> int:
    """Load a checkpoint of the same training into the given objects; returns the first step."""
    state = load_checkpoint(checkpoint, fingerprint)
    if state is None:
        return 0
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    if critic is not None:
        critic.network.load_state_dict(state["critic"])
        critic.optimizer.load_state_dict(state["critic_optimizer"])
    history.extend(state["history"])
    return state["step"]


def check_finite(row: Mapping[str, float], model: str, step: int) -> None:
    """Raise InputError where a loss term is not finite."""
    for name, value in row.items():
        if not math.isfinite(value):
            raise InputError(
                f"{model}: loss term '{name}' is {value} at step {step}; expected a finite number; "
                "lower recipe.learning_rate or use precision fp32 (the last checkpoint is kept)"
            )


def tiles_per_second(steps: int, recipe: Mapping[str, Any], started: float) -> float:
    """Training tiles per second of wall time since `started`."""
    return steps * recipe["batch"] / max(time.perf_counter() - started, 1e-9)


def as_csv(history: list[dict[str, float]]) -> str:
    """Rows of one table as CSV text."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=list(history[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    return stream.getvalue()
