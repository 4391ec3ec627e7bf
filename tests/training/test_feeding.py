"""Feeding: the same bits from files and from device memory, at any number of threads."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from training_inputs import METHODS, stage_of, train_here, write_cards, write_training_data

from ldct.common.files import sha256_of_file
from ldct.common.scaling import Scaling
from ldct.data.volumes import Volume, load_volume
from ldct.devices.engine import Engine
from ldct.networks.chain import Level, apply_levels
from ldct.networks.files import build_network
from ldct.training.feeding import (
    BatchSampler,
    batch_reader,
    device_cutter,
    held_out_rows,
    host_cutter,
)
from ldct.training.recipe import steps_per_epoch

CPU = torch.device("cpu")
SCALING = Scaling(-160.0, 240.0, clip=True)


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    folder = tmp_path_factory.mktemp("feeding")
    volumes, tiles = write_training_data(folder)
    return [load_volume(path) for path in volumes], np.load(tiles), write_cards(folder / "cards")


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([8, 16]))
def test_device_gather_has_the_bits_of_host_gather_and_of_slicing(seed, size):
    """Volumes of different sizes, one flat array per dose."""
    rng = np.random.default_rng(seed)
    shapes = [(2, 20, 30), (20, 33, 17), (1, 16, 16)]
    volumes = [
        Volume(*(rng.integers(-1024, 3071, shape, dtype=np.int16) for _ in range(2)), {})
        for shape in shapes
    ]
    rows = []
    for _ in range(12):
        volume = int(rng.integers(len(shapes)))
        slices, height, width = shapes[volume]
        corner = (
            rng.integers(slices),
            rng.integers(height - size + 1),
            rng.integers(width - size + 1),
        )
        rows.append([volume, *corner])
    rows = np.array(rows, dtype=np.int32)
    host, device = (make(volumes, size, CPU)(rows) for make in (host_cutter, device_cutter))
    for dose, one, other in zip(("quarter", "full"), host, device, strict=True):
        assert one.dtype == torch.int16
        assert torch.equal(one, other)
        cut = [
            getattr(volumes[v], dose)[s, r : r + size, c : c + size] for v, s, r, c in rows.tolist()
        ]
        np.testing.assert_array_equal(one.numpy(), np.stack(cut))


@pytest.mark.parametrize(("workers", "on_device"), [(1, False), (2, True)])
def test_batches_do_not_depend_on_threads_or_place(material, workers, on_device):
    """Three epochs, both streams, and a jump back as after a restart."""
    volumes, tiles, cards = material
    stage = stage_of("small_lsgan", cards, 1)
    plain = batch_reader(stage, volumes, tiles, SCALING, [], 3, CPU)
    read = batch_reader(
        stage, volumes, tiles, SCALING, [], 3, CPU, on_device=on_device, workers=workers
    )
    for number in [*range(25), 4, 5, 6]:
        for stream in ("generator", "critic"):
            for one, other in zip(read(stream, number), plain(stream, number), strict=True):
                assert torch.equal(one, other)


def test_weights_do_not_depend_on_threads_or_place(material, tmp_path):
    volumes, tiles = write_training_data(tmp_path)
    stage = stage_of("small_lsgan", material[2], 2)
    digests = []
    for number, engine in enumerate((Engine(), Engine(volumes_on_device=True, workers=2))):
        folder = train_here(stage, volumes, tiles, tmp_path / str(number), engine=engine)
        names = ("weights.safetensors", "history.csv")
        digests.append([sha256_of_file(folder / name) for name in names])
    assert digests[0] == digests[1]


def test_failure_in_a_thread_is_not_lost(material):
    volumes, tiles, cards = material
    broken = tiles.copy()
    broken[:, 1] = 99
    stage = stage_of("small_drl", cards, 1)
    read = batch_reader(stage, volumes, broken, SCALING, [], 0, CPU, workers=1)
    with pytest.raises(IndexError):
        read("generator", 0)


@given(st.integers(1, 200), st.integers(1, 50), st.integers(0, 5))
def test_each_tile_once_per_epoch(tiles, batch, epoch):
    sampler = BatchSampler(tiles, batch, seed=3, stream="generator")
    steps = steps_per_epoch(tiles, batch)
    seen = np.concatenate([sampler.rows(epoch * steps + step) for step in range(steps)])
    assert sorted(seen) == list(range(tiles))


def test_any_step_can_be_drawn_without_the_ones_before():
    one, other = (BatchSampler(100, 8, seed=1, stream="generator") for _ in range(2))
    walked = [one.rows(step) for step in range(40)]
    for step in (39, 0, 17):
        np.testing.assert_array_equal(other.rows(step), walked[step])


def test_epochs_seeds_and_streams_differ():
    def order(seed, stream, epoch):
        return BatchSampler(64, 64, seed, stream).rows(epoch).tolist()

    orders = [order(0, "generator", 0), order(0, "generator", 1), order(1, "generator", 0)]
    orders.append(order(0, "critic", 0))
    assert len({tuple(found) for found in orders}) == 4


@pytest.mark.parametrize(("name", "sides"), [("drl", (128, 150)), ("unet", (224, 256))])
def test_level_two_sees_what_level_one_makes_of_the_whole_slice(name, sides):
    """Also at the slice's edge, in volumes of different sizes, and with pooling in level 1."""
    rng = np.random.default_rng(0)
    volumes = [
        Volume(*(rng.integers(-300, 400, (1, side, side), dtype=np.int16) for _ in range(2)), {})
        for side in sides
    ]
    edge = sides[1] - 64
    tiles = np.array([[0, 0, 0, 0], [0, 0, 64, 32], [1, 0, edge, 0], [1, 0, 32, edge]], np.int32)
    network = build_network({"file": str(METHODS / name / "network.py")}, 0, "level 1").eval()
    for parameter in network.parameters():
        parameter.data += 0.02 * torch.randn(parameter.shape, generator=torch.Generator())
    levels = [Level(network.requires_grad_(False), "image")]
    stage = {"recipe": {"batch": 4}, "tile_size": 64, "target": "residual"}
    inputs, target = batch_reader(stage, volumes, tiles, SCALING, levels, 0, CPU)("generator", 0)
    order = BatchSampler(4, 4, 0, "generator").rows(0)
    for place, (volume, _, row, column) in enumerate(tiles[order].tolist()):
        low, normal = (
            SCALING.to_unit(torch.from_numpy(dose[0].astype(np.float32)))[None, None]
            for dose in (volumes[volume].quarter, volumes[volume].full)
        )
        here = (..., slice(row, row + 64), slice(column, column + 64))
        expected = apply_levels(levels, low)[here]
        assert (expected - low[here]).abs().max() > 0.01
        torch.testing.assert_close(inputs[place : place + 1], expected, atol=1e-5, rtol=0)
        residual = expected - normal[here]
        torch.testing.assert_close(target[place : place + 1], residual, atol=1e-5, rtol=0)


def test_critic_never_trains_on_the_tiles_that_it_is_judged_on():
    """One tile of one value in each slice, so that a tile tells where it is from."""
    slices = np.broadcast_to(np.arange(40, dtype=np.int16)[:, None, None], (40, 16, 16))
    tiles = np.array([[0, number, 0, 0] for number in range(40)], np.int32)
    stage = {"recipe": {"batch": 3}, "tile_size": 16, "target": "image"}
    read = batch_reader(stage, [Volume(slices, slices, {})], tiles, SCALING, [], 3, CPU)

    def epoch(stream: str, count: int) -> list[int]:
        found = [read(stream, number)[1][:, 0, 0, 0] for number in range(-(-count // 3))]
        return sorted((torch.cat(found) * 400 - 160).round().int().tolist())

    held_out = held_out_rows(40, 3)
    assert epoch("held_out", 4) == np.flatnonzero(held_out).tolist()
    assert epoch("critic", 36) == np.flatnonzero(~held_out).tolist()
    assert epoch("generator", 40) == list(range(40))
    assert not held_out_rows(9, 3).any()
