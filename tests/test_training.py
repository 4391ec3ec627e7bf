"""Training: the loss falls, the same seed gives the same bits, and what is recorded is right."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from training_inputs import TILE, stage_of, train_arguments, write_cards, write_training_data

from ldct.cli import main
from ldct.data.volumes import load_volume
from ldct.errors import InputError
from ldct.files import read_json, sha256_of_file
from ldct.scaling import Scaling
from ldct.training.checkpoint import load_checkpoint, save_checkpoint
from ldct.training.critics import Critic
from ldct.training.loop import train_stage
from ldct.training.steps import adversarial_step


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    volumes, tiles = write_training_data(folder)
    return volumes, tiles, write_cards(folder / "cards")


def train(material, folder: Path, name="small_drl", steps=2, seed=0, precision="fp32", **changes):
    """Train a stage of training_inputs.CARDS with changes to it or to its recipe."""
    volumes, tiles, cards = material
    stage = stage_of(name, cards, steps)
    recipe = {key: changes.pop(key) for key in list(changes) if key in stage["recipe"]}
    stage = stage | changes | {"recipe": stage["recipe"] | recipe}
    train_stage(
        stage,
        [load_volume(path) for path in volumes],
        np.load(tiles),
        Scaling(-160.0, 240.0, clip=True),
        [],
        seed=seed,
        device=torch.device("cpu"),
        precision=precision,
        checkpoint_every=1000,
        fingerprint="test",
        folder=folder,
    )
    return folder


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


def test_history_of_lsgan_has_all_its_terms(material, tmp_path):
    rows = history(train(material, tmp_path, "small_lsgan"))
    assert set(rows[0]) == {"step", "mae", "adversarial", "critic_real", "critic_fake"}


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

    folder = train(material, tmp_path, "small_lsgan", precision="bf16")
    state = load_file(folder / "weights.safetensors")
    assert all(tensor.isfinite().all() for tensor in state.values())
    assert state["conv1.weight"].dtype == torch.float32
    assert weights(folder) != weights(train(material, tmp_path / "fp32", "small_lsgan"))


def test_loss_that_is_not_finite_names_term_step_and_remedy(material, tmp_path):
    with pytest.raises(InputError, match=r"small_drl: loss term 'mse' is .* at step 10;.*learning"):
        train(material, tmp_path, steps=11, learning_rate=1e25)
    assert not (tmp_path / "weights.safetensors").exists()


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
    assert record["inputs"][str(tiles)] == {"sha256": sha256_of_file(tiles)}


class Gain(nn.Module):
    """G(x) = gain x."""

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(gain))

    def forward(self, image):
        return self.gain * image


class Judge(nn.Module):
    """D(candidate, condition) = a mean(candidate) + b mean(condition) + c."""

    def __init__(self, a: float, b: float, c: float) -> None:
        super().__init__()
        self.abc = nn.Parameter(torch.tensor([a, b, c]))

    def forward(self, candidate, condition):
        means = [image.mean(dim=(1, 2, 3)) for image in (candidate, condition)]
        return (self.abc[0] * means[0] + self.abc[1] * means[1] + self.abc[2])[:, None]


@pytest.mark.parametrize("critic_steps", [1, 3])
def test_lsgan_step_follows_the_written_out_formulas(critic_steps):
    """Gradient descent by hand on constant tiles: critic on real, critic on fake, generator."""
    rate, rate_generator, weight, mae = 0.05, 0.01, 0.7, 10.0
    real_aim, fake_aim, generator_aim = -1.0, 1.0, -0.8
    x, y = np.array([0.2, 0.5, 0.9]), np.array([0.3, 0.4, 0.7])
    gain, abc = 0.8, np.array([0.4, -0.3, 0.1])

    def tiles(values):
        return torch.tensor(values, dtype=torch.float32)[:, None, None, None].expand(3, 1, 16, 16)

    generator, judge = Gain(gain), Judge(*abc)
    critic = Critic(
        network=judge,
        optimizer=torch.optim.SGD(judge.parameters(), lr=rate),
        weight=weight,
        targets={"real": real_aim, "fake": fake_aim, "generator": generator_aim},
        steps=critic_steps,
    )
    batch = (tiles(x), tiles(y))
    terms = adversarial_step(
        generator,
        torch.optim.SGD(generator.parameters(), lr=rate_generator),
        critic,
        batch,
        lambda number: batch,
        {"mae": mae, "adversarial": {}},
    )

    for _ in range(critic_steps):
        for candidate, aim, term in (
            (y, real_aim, "critic_real"),
            (gain * x, fake_aim, "critic_fake"),
        ):
            features = np.stack([candidate, x, np.ones(3)])
            error = abc @ features - aim
            expected = {term: np.mean(error**2)}
            abc = abc - rate * (2 * error * features).mean(axis=1)
            last = terms[term].item() if _ == critic_steps - 1 else expected[term]
            assert last == pytest.approx(expected[term], rel=1e-5)
    error = abc @ np.stack([gain * x, x, np.ones(3)]) - generator_aim
    assert terms["adversarial"].item() == pytest.approx(np.mean(error**2), rel=1e-5)
    assert terms["mae"].item() == pytest.approx(np.mean(np.abs(gain * x - y)), rel=1e-5)
    slope = mae * np.mean(np.sign(gain * x - y) * x) + weight * np.mean(2 * error * abc[0] * x)
    assert generator.gain.item() == pytest.approx(gain - rate_generator * slope, rel=1e-5)
    np.testing.assert_allclose(judge.abc.detach().numpy(), abc, rtol=1e-5)


def test_generator_step_leaves_the_critic_alone():
    """After the step the critic trains on: its gradients are on and it is in training mode."""
    judge = Judge(0.4, -0.3, 0.1)
    critic = Critic(
        judge,
        torch.optim.SGD(judge.parameters(), lr=0.0),
        1.0,
        {"real": -1.0, "fake": 1.0, "generator": -1.0},
        1,
    )
    generator = Gain(0.5)
    batch = (torch.rand(2, 1, 16, 16), torch.rand(2, 1, 16, 16))
    optimizer = torch.optim.SGD(generator.parameters(), lr=0.1)
    adversarial_step(generator, optimizer, critic, batch, lambda _: batch, {"mae": 1.0})
    assert judge.training
    assert all(parameter.requires_grad for parameter in judge.parameters())
    assert generator.training


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("checkpoint") / "checkpoint.pt"
    save_checkpoint(path, {"fingerprint": "f", "step": 3, "network": {"w": torch.rand(40)}})
    return path.read_bytes()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_checkpoint_is_no_checkpoint(checkpoint, tmp_path_factory, data):
    """Cut anywhere, changed in any byte, or replaced by anything: no state and no exception."""
    kind = data.draw(st.sampled_from(["cut", "garbage", "changed"]))
    if kind == "cut":
        content = checkpoint[: data.draw(st.integers(0, len(checkpoint) - 1))]
    elif kind == "garbage":
        content = data.draw(st.binary(max_size=200))
    else:
        place = data.draw(st.integers(0, len(checkpoint) - 1))
        changed = checkpoint[place] ^ data.draw(st.integers(1, 255))
        content = checkpoint[:place] + bytes([changed]) + checkpoint[place + 1 :]
    path = tmp_path_factory.mktemp("damaged") / "checkpoint.pt"
    path.write_bytes(content)
    assert load_checkpoint(path, "f") is None


def test_checkpoint_comes_back_as_it_was(tmp_path):
    state = {
        "fingerprint": "f",
        "step": 3,
        "network": {"w": torch.rand(4)},
        "history": [{"a": 1.0}],
    }
    save_checkpoint(tmp_path / "checkpoint.pt", state)
    loaded = load_checkpoint(tmp_path / "checkpoint.pt", "f")
    assert torch.equal(loaded.pop("network")["w"], state.pop("network")["w"])
    assert loaded == state


def test_checkpoint_of_another_training_or_with_code_is_no_checkpoint(tmp_path):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"fingerprint": "old"})
    assert load_checkpoint(path, "new") is None
    assert load_checkpoint(path, "old") == {"fingerprint": "old"}
    torch.save({"fingerprint": "old", "call": Gain}, path)
    assert load_checkpoint(path, "old") is None
    assert load_checkpoint(tmp_path / "missing.pt", "old") is None


def test_stage_stands_in_the_weights_metadata(material, tmp_path):
    from safetensors import safe_open

    with safe_open(train(material, tmp_path) / "weights.safetensors", framework="pt") as stored:
        stage = json.loads(stored.metadata()["stage"])
    assert stage["model"] == "small_drl"
    assert stage["recipe"]["steps"] == 2


def test_weights_are_as_readable_as_other_files(material, tmp_path):
    """On a shared machine a colleague can read them."""
    folder = train(material, tmp_path)
    modes = {(folder / name).stat().st_mode for name in ("weights.safetensors", "history.csv")}
    assert len(modes) == 1
