"""Training of one stage, from the tile table to weights: read it top to bottom."""

import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ldct.common.errors import InputError
from ldct.common.files import read_json, write_json, write_text
from ldct.common.progress import track
from ldct.common.scaling import Scaling
from ldct.data.volumes import Volume
from ldct.devices.choice import backend_of, describe_device, is_gpu
from ldct.devices.engine import (
    Engine,
    compile_network,
    engine_settings,
    resolve_engine,
    step_settings,
)
from ldct.devices.parallel import (
    ALONE,
    WHOLE,
    Group,
    Part,
    add_up_terms,
    check_batch,
    part_of,
    with_common_statistics,
)
from ldct.networks.chain import Level
from ldct.networks.files import build_network, save_weights
from ldct.networks.trial import try_stage
from ldct.pretrained.perceptual import load_features
from ldct.training.checkpoint import (
    PREVIOUS,
    Training,
    keep_checkpoint,
    newest_checkpoint,
    random_state,
    restore,
    seed_step,
    snapshot,
    state_tensors,
    stop_on_signal,
)
from ldct.training.critics import Critic, make_critic
from ldct.training.feeding import batch_reader, held_out_rows, volumes_fit
from ldct.training.history import Observer, as_csv, check_state, outcome
from ldct.training.losses import Features
from ldct.training.matching import wants_matching, with_common_weights, with_matched_weights
from ldct.training.recipe import (
    batch_length,
    learning_rate_at,
    make_optimizer,
    set_learning_rate,
    total_steps,
)
from ldct.training.steps import Batch, adversarial_step, content_step
from ldct.training.validation import Validation, make_critic_check

WEIGHTS, RECORD = "weights.safetensors", "training.json"


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
    engine: Engine | None = None,
    validation: Validation | None = None,
    group: Group = ALONE,
) -> nn.Module:
    """Train one stage; write `weights.safetensors`, `history.csv` and `training.json` to `folder`.

    stage : as `ldct.configuration` resolves it: model, network, target, inputs, loss, recipe. In
        the weights' metadata it stands with the loss weights that were in force.
    volumes, tiles : training patients and the int [tiles, 4] table over them.
    upstream : trained levels whose output this stage takes as input; empty for a first level.
    precision : "fp32" or "bf16" (autocast).
    checkpoint_every : steps between checkpoints; a training that is stopped goes on from the last.
    fingerprint : digest of everything that defines this training.
    perceptual_weights : safetensors file of the network behind a perceptual loss.
    validation : scores on whole slices, added to the history.
    group : processes that call this function together, each with its own device. Each computes
        its part of every batch; the first one writes.
    Raises InputError on a non-finite loss, naming term and step.
    """
    engine = resolve_engine(engine or Engine(), device)
    recipe, model = stage["recipe"], stage["model"]
    total = total_steps(recipe, len(tiles))
    check_batch(recipe["batch"], group.size, model)
    try_stage(stage, {volume.quarter.shape[1:] for volume in volumes}, seed)
    with ExitStack() as stack:
        stack.enter_context(engine_settings(engine, device))
        stack.enter_context(random_state(seed, model, device))
        training = start_training(stage, seed, device, engine, group)
        on_device = engine.volumes_on_device
        if on_device == "auto":
            on_device = volumes_fit(volumes, device)
        source = (stage, volumes, tiles, scaling, upstream, seed, device)
        batches = batch_reader(*source, on_device=on_device, workers=engine.workers, group=group)
        features = load_features(stage["loss"], perceptual_weights, device, model)
        matched = wants_matching(stage["loss"])
        checkpoint = newest_checkpoint(folder, fingerprint)
        # Norms of gradients and AUCs are no means over tiles: they take the whole batches.
        whole_batches = batch_reader(*source) if group.several else batches
        if checkpoint is None:
            stage = with_matched_weights(stage, whole_batches, features)
        else:
            stage = {**stage, "loss": checkpoint["loss"]}
            restore(training, checkpoint, device)
        make_equal(training, fingerprint, group)
        stage = with_common_weights(stage, matched, group)
        held_out = int(held_out_rows(len(tiles), seed).sum())
        checks = [validation] if validation else []
        if training.critic is not None:
            critic, batch = training.critic, recipe["batch"]
            checks.append(make_critic_check(critic, whole_batches, held_out, batch, total))
        observer = Observer(training, model, recipe["batch"], total, checks, group)

        def part_of_batch(stream: str, number: int) -> Part:
            length = len(tiles) - (held_out if stream == "critic" else 0)
            return part_of(group, batch_length(length, recipe["batch"], number))

        def take_step(step: int) -> dict[str, Tensor]:
            set_learning_rate(training.optimizers, learning_rate_at(recipe, step, total))
            if group.several:
                seed_step(seed, model, step, group.rank)
            with step_settings(engine, device, precision):
                terms = train_step(
                    *(stage, training.network, training.optimizer, training.critic),
                    *(batches, step, features, part_of_batch),
                )
            return add_up_terms(terms, group)

        def save() -> None:
            observer.watch.check()
            check_state(state_tensors(training), model, training.step)
            observer.take_time()
            if group.is_first:
                keep_checkpoint(folder, snapshot(training, fingerprint, device, stage["loss"]))

        run_steps(training, model, total, checkpoint_every, take_step, observer, save, group)
        save()
    record = {
        "fingerprint": fingerprint,
        "steps": training.step,
        "seconds": round(training.seconds, 3),
        "cpu_seconds": round(training.cpu_seconds, 3),
        "restarts": training.restarts,
        "device": str(device),
        "engine": {**asdict(engine), "volumes_on_device": on_device},
        "processes": group.size,
        "devices": group.texts(describe_device(device)),
        "backend": backend_of(is_gpu(device)) if group.several else None,
        **outcome(training.history, stage["loss"]),
    }
    if group.is_first:
        write_results(folder, stage, training, record)
    return training.network


def start_training(
    stage: Mapping[str, Any],
    seed: int,
    device: torch.device,
    engine: Engine,
    group: Group = ALONE,
) -> Training:
    """Network, critic and optimisers before the first step."""
    network = build_network(stage["network"], seed, stage["model"])
    network = with_common_statistics(network, group, is_gpu(device))
    network = network.to(device, memory_format=torch.channels_last).train()
    critic = make_critic(stage, seed, device, engine.fused_optimizer, group)
    compile_network(network, engine)
    if critic is not None and critic.kind != "wasserstein":
        # The gradient penalty needs second derivatives, which compiled networks do not have.
        compile_network(critic.network, engine)
    optimizer = make_optimizer(network, stage["recipe"], engine.fused_optimizer)
    return Training(network, optimizer, critic)


def make_equal(training: Training, fingerprint: str, group: Group) -> None:
    """Give all processes the same weights; InputError where they are not at the same point."""
    digest = zlib.crc32(f"{fingerprint}/{training.step}".encode())
    group.check_same(digest, "settings, files, code or checkpoint")
    networks = [training.network] + ([training.critic.network] if training.critic else [])
    group.share_first([value for network in networks for value in network.state_dict().values()])


def run_steps(
    training: Training,
    model: str,
    total: int,
    checkpoint_every: int,
    take_step: Callable[[int], dict[str, Tensor]],
    observer: Observer,
    save: Callable[[], None],
    group: Group = ALONE,
) -> None:
    """Train from `training.step` to `total`; exits after a checkpoint where a signal says so.

    Of several processes all stop after the same step, whichever got the signal.
    """
    first = training.step
    with (
        stop_on_signal(patient=group.several) as stop,
        track(range(first, total), model, total, first, group.is_first) as progress,
    ):
        for step in progress:
            terms = take_step(step)
            training.step = step + 1
            seen = observer.see(step, terms)
            if seen is not None:
                progress.set_postfix(seen, refresh=False)
            (signal,) = group.largest([stop["signal"]])
            due = training.step % checkpoint_every == 0 and training.step < total
            if due or signal:
                save()
            if signal:
                # Until the file is whole: torchrun ends all when one has ended.
                group.largest([0])
                raise SystemExit(128 + signal)


def train_step(
    stage: Mapping[str, Any],
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    critic: Critic | None,
    batches: Callable[[str, int], Batch],
    step: int,
    features: Features | None = None,
    part_of_batch: Callable[[str, int], Part] = lambda _, __: WHOLE,
) -> dict[str, Tensor]:
    """Step number `step` (0, 1, ...) of the stage; returns its unweighted loss terms.

    part_of_batch : what of a batch, by its stream and number, `batches` gives.
    """
    batch, part = batches("generator", step), part_of_batch("generator", step)
    if critic is None:
        return content_step(network, optimizer, batch, stage["loss"], features, part)
    return adversarial_step(
        *(network, optimizer, critic, batch, partial(batches, "critic"), stage["loss"], features),
        step=step,
        part=part,
        critic_part=partial(part_of_batch, "critic"),
    )


def write_results(
    folder: Path, stage: Mapping[str, Any], training: Training, record: Mapping[str, Any]
) -> None:
    """Write history, record and, last, weights.

    Raises InputError where they cannot be written: the checkpoints stay then.
    """
    try:
        write_text(folder / "history.csv", as_csv(training.history))
        write_json(folder / RECORD, dict(record))
        save_weights(folder / WEIGHTS, training.network, stage)
    except OSError as error:
        raise InputError(
            f"{folder}: results of {stage['model']} not written: {error.strerror or error}; make "
            "room and start again: the training goes on from its last checkpoint"
        ) from None
    # The checkpoint of the last step stays: a job that fails after its training (a full disk, a
    # signal) or whose results are not taken over need not train again.
    (folder / PREVIOUS).unlink(missing_ok=True)


def is_trained(folder: Path, fingerprint: str) -> bool:
    """Whether `folder` holds the results of exactly this training."""
    if not (folder / WEIGHTS).is_file() or not (folder / RECORD).is_file():
        return False
    return read_json(folder / RECORD)["fingerprint"] == fingerprint
