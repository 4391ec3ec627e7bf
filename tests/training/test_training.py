"""Training: the loss falls, the same seed gives the same bits, and what is recorded is right."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from training_inputs import (
    TILE,
    killed_at_step,
    stage_of,
    train_arguments,
    train_here,
    write_cards,
    write_training_data,
)

from ldct.cli import main
from ldct.common.errors import InputError
from ldct.common.files import read_json, sha256_of_file
from ldct.common.provenance import of_no_machine
from ldct.training import loop
from ldct.training.checkpoint import newest_checkpoint
from ldct.training.loop import is_trained


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    volumes, tiles = write_training_data(folder)
    return volumes, tiles, write_cards(folder / "cards")


def train(material, folder: Path, name="small_drl", steps=2, **changes) -> Path:
    """Train a stage of training_inputs.CARDS; changes : of it, its recipe, or the training."""
    volumes, tiles, cards = material
    stage = stage_of(name, cards, steps)
    for key in set(changes) & set(stage["recipe"]):
        stage["recipe"][key] = changes.pop(key)
    stage |= {key: changes.pop(key) for key in set(changes) & set(stage)}
    return train_here(stage, volumes, tiles, folder, **changes)


def history(folder: Path) -> list[dict[str, float]]:
    rows = csv.DictReader((folder / "history.csv").read_text().splitlines())
    return [{name: float(value) for name, value in row.items()} for row in rows]


def weights(folder: Path) -> str:
    return sha256_of_file(folder / "weights.safetensors")


def test_loss_falls(material, tmp_path):
    rows = history(train(material, tmp_path, steps=31, batch=8))
    assert np.mean([row["mse"] for row in rows[-2:]]) < 0.75 * rows[0]["mse"]


def test_history_has_every_tenth_and_the_last_step(material, tmp_path):
    rows = history(train(material, tmp_path, steps=24))
    assert [row["step"] for row in rows] == [0, 10, 20, 23]
    assert set(rows[0]) == {"step", "mse"}


@pytest.mark.parametrize("target", ["image", "residual"])
def test_first_loss_is_the_noise_of_the_tiles(material, tmp_path, target):
    """A start at the identity (image) or at zero (residual) leaves exactly quarter minus full.

    One batch holds all tiles here, so the loss is known without training code.
    """
    volumes, tiles, _ = material
    count = len(np.load(tiles))
    units = {
        dose: np.stack(
            [(np.clip(np.load(v / f"{dose}.npy"), -160, 240) + 160) / 400.0 for v in volumes]
        )
        for dose in ("quarter", "full")
    }
    cut = [(v, s, slice(r, r + TILE), slice(c, c + TILE)) for v, s, r, c in np.load(tiles).tolist()]
    noise = np.mean([np.mean((units["quarter"][i] - units["full"][i]) ** 2) for i in cut])
    start = {"image": "identity", "residual": "zero"}[target]
    stage = stage_of("small_drl", material[2], 1)
    network = stage["network"] | {"options": {"start": start}}
    folder = train(material, tmp_path, steps=1, batch=count, target=target, network=network)
    assert history(folder)[0]["mse"] == pytest.approx(noise, rel=1e-4)


@pytest.mark.parametrize("name", ["small_drl", "small_lsgan"])
def test_same_seed_same_bits_and_other_seed_other_bits(material, tmp_path, name):
    first, again, other = (
        train(material, tmp_path / str(number), name, seed=seed)
        for number, seed in enumerate((3, 3, 4))
    )
    assert weights(first) == weights(again)
    assert weights(first) != weights(other)


def test_bf16_trains_to_finite_float32_weights(material, tmp_path):
    from safetensors.torch import load_file

    gentle = {"learning_rate": 1e-5, "critic_steps": 5}
    folder = train(material, tmp_path, "small_lsgan", precision="bf16", **gentle)
    state = load_file(folder / "weights.safetensors")
    assert all(tensor.isfinite().all() for tensor in state.values())
    assert state["conv1.weight"].dtype == torch.float32
    exact = train(material, tmp_path / "fp32", "small_lsgan", **gentle)
    assert weights(folder) != weights(exact)
    # Over six seeds rounding alone moves a term by up to 4 %; the fault looked for, updates that
    # come too late, by half and more.
    assert history(folder)[0] == pytest.approx(history(exact)[0], rel=0.06)


def test_loss_that_is_not_finite_names_term_first_step_and_remedy(material, tmp_path):
    """The loss overflows at step 1, after the first update; it is noticed at the next log."""
    problem = r"small_drl: loss term 'mse' is not finite from step 1 on;.*learning"
    with pytest.raises(InputError, match=problem):
        train(material, tmp_path, steps=30, learning_rate=1e25)
    assert not (tmp_path / "weights.safetensors").exists()


@pytest.mark.parametrize(("checkpoint_every", "kept"), [(1, 4), (3, 3)])
def test_values_that_are_not_finite_get_into_no_checkpoint(
    material, tmp_path, monkeypatch, checkpoint_every, kept
):
    """Step 4 breaks a weight: the checkpoints of steps 5 and 6 must not be written."""
    real_step = loop.train_step

    def breaking_step(*arguments):
        terms = real_step(*arguments)
        if arguments[5] == 4:
            with torch.no_grad():
                next(arguments[1].parameters()).view(-1)[0] = float("nan")
        return terms

    monkeypatch.setattr(loop, "train_step", breaking_step)
    with pytest.raises(InputError, match=r"step [45].*last good step"):
        train(material, tmp_path, steps=9, checkpoint_every=checkpoint_every)
    state = newest_checkpoint(tmp_path, "test")
    assert state["step"] == kept
    assert all(tensor.isfinite().all() for tensor in state["network"].values())


def test_history_has_means_since_the_row_before(material, tmp_path, monkeypatch):
    seen = []
    real_step = loop.train_step

    def watched(*arguments):
        terms = real_step(*arguments)
        seen.append(terms["mse"].item())
        return terms

    monkeypatch.setattr(loop, "train_step", watched)
    rows = history(train(material, tmp_path, steps=14))
    means = [seen[0], np.mean(seen[1:11]), np.mean(seen[11:])]
    assert [row["mse"] for row in rows] == pytest.approx(means, rel=1e-6)


def test_resumed_training_takes_its_matched_weights_from_the_checkpoint(
    material, tmp_path, monkeypatch
):
    """Measured again, they would differ in the last bits on a GPU."""
    loss = {"mse": 1.0, "dssim": {"match_gradient": 0.5}}
    whole = weights(train(material, tmp_path / "whole", steps=4, loss=loss))
    resumed = tmp_path / "resumed"
    with killed_at_step(3):
        train(material, resumed, steps=4, loss=loss, checkpoint_every=2)
    assert newest_checkpoint(resumed, "test")["loss"]["dssim"] > 0
    # Nothing is measured any more.
    monkeypatch.delattr(loop, "with_matched_weights")
    assert weights(train(material, resumed, steps=4, loss=loss)) == whole


def test_record_tells_steps_time_and_options(material, tmp_path):
    record = read_json(train(material, tmp_path, steps=3) / "training.json")
    assert record["steps"] == 3
    assert record["restarts"] == 0
    assert record["cpu_seconds"] > 0
    assert record["engine"]["fused_optimizer"] is False
    assert record["engine"]["volumes_on_device"] is False
    assert is_trained(tmp_path, "test")
    assert not is_trained(tmp_path, "other")
    (tmp_path / "weights.safetensors").unlink()
    assert not is_trained(tmp_path, "test")


@pytest.mark.parametrize("threads", [1, 2])
def test_provenance_names_threads_steps_and_inputs(material, tmp_path, monkeypatch, threads):
    import os

    volumes, tiles, cards = material
    before = torch.get_num_threads()
    arguments = train_arguments(
        stage_of("small_drl", cards, 1), volumes, tiles, tmp_path, "--threads", str(threads)
    )
    try:
        assert main(arguments) == 0
    finally:
        torch.set_num_threads(before)
    record = read_json(tmp_path / "weights.safetensors.provenance.json")
    assert record["settings"]["threads"] == min(threads, len(os.sched_getaffinity(0)))
    assert record["settings"]["steps"] == 1
    assert record["settings"]["seed"] == 0
    assert record["settings"]["stage"]["loss"] == {"mse": 1.0}
    assert record["inputs"][of_no_machine(str(tiles))] == {"sha256": sha256_of_file(tiles)}


def test_stage_stands_in_the_weights_metadata(material, tmp_path):
    from safetensors import safe_open

    with safe_open(train(material, tmp_path) / "weights.safetensors", framework="pt") as stored:
        stage = json.loads(stored.metadata()["stage"])
    assert stage["model"] == "small_drl"
    assert stage["recipe"]["steps"] == 2
