"""Feeding: the same bits from files and from device memory, at any number of threads."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from training_inputs import TILE, stage_of, write_cards, write_training_data
from workflow_runs import REPOSITORY, job_environment

from ldct.data.tiles import gather_tiles, release_pages
from ldct.data.volumes import Volume, load_volume
from ldct.files import sha256_of_file
from ldct.scaling import Scaling
from ldct.training.engine import Engine
from ldct.training.feeding import batch_reader, device_cutter, host_cutter, volumes_fit
from ldct.training.loop import train_stage

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


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("on_device", [False, True])
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


@pytest.mark.parametrize(
    "engine",
    [
        Engine(workers=1),
        Engine(workers=2),
        Engine(volumes_on_device=True),
        Engine(volumes_on_device=True, workers=2),
    ],
    ids=["1 worker", "2 workers", "on device", "on device, 2 workers"],
)
@pytest.mark.parametrize("name", ["small_drl", "small_lsgan"])
def test_weights_do_not_depend_on_threads_or_place(material, tmp_path, engine, name):
    volumes, tiles, cards = material
    digests = []
    for number, options in enumerate((Engine(), engine)):
        folder = tmp_path / str(number)
        train_stage(
            *(stage_of(name, cards, 4), volumes, tiles, SCALING, []),
            seed=0,
            device=CPU,
            precision="fp32",
            checkpoint_every=1000,
            fingerprint="test",
            folder=folder,
            engine=options,
        )
        names = ("weights.safetensors", "history.csv")
        digests.append([sha256_of_file(folder / name) for name in names])
    assert digests[0] == digests[1]


def test_volumes_stay_in_files_on_a_cpu(material):
    assert not volumes_fit(material[0], CPU)


def test_released_volumes_can_be_read_again(material):
    arrays = [material[0][0].quarter, np.zeros((1, 16, 16), dtype=np.int16)]
    before = arrays[0].copy()
    release_pages(arrays)
    np.testing.assert_array_equal(arrays[0], before)


def test_failure_in_a_thread_is_not_lost(material):
    volumes, tiles, cards = material
    broken = tiles.copy()
    broken[:, 1] = 99
    stage = stage_of("small_drl", cards, 1)
    read = batch_reader(stage, volumes, broken, SCALING, [], 0, CPU, workers=1)
    with pytest.raises(IndexError):
        read("generator", 0)


MEMORY_SCRIPT = """
import resource, sys
import numpy as np, torch
from ldct.data.volumes import Volume
from ldct.training import feeding

feeding.MAPPED_BYTES = int(sys.argv[2])
paths = [f"{sys.argv[1]}/{dose}.npy" for dose in ("full", "quarter")]
shape = (600, 512, 512)
for path in paths:
    np.lib.format.open_memmap(path, mode="w+", dtype=np.int16, shape=shape)
volumes = [Volume(*(np.load(path, mmap_mode="r") for path in paths), {})]
cut = feeding.host_cutter(volumes, 64, torch.device("cpu"))

def mapped():
    with open("/proc/self/status") as status:
        return int(next(line for line in status if line.startswith("RssFile")).split()[1]) / 1024

places = [(0, s, r, c) for s in range(600) for r in (0, 192, 384) for c in (0, 448)]
before, most = mapped(), 0
for batch in np.array_split(np.array(places), 100):
    cut(batch)
    most = max(most, mapped())
print(most - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
@pytest.mark.parametrize(("limit", "least", "most"), [(2**40, 200, 700), (2**26, 0, 120)])
def test_memory_does_not_grow_with_the_data(tmp_path, limit, least, most):
    """Mapped pages of a sparse data set of 600 MB: nearly all without a limit, little with one."""
    outcome = subprocess.run(
        [sys.executable, "-c", MEMORY_SCRIPT, str(tmp_path), str(limit)],
        cwd=REPOSITORY,
        env=job_environment(),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert least <= float(outcome.stdout) <= most


def test_gathering_one_tile_at_a_time_gives_the_same(material):
    volumes, tiles, _ = material
    arrays = [volume.full for volume in volumes]
    whole = gather_tiles(arrays, tiles, TILE)
    np.testing.assert_array_equal(
        whole,
        np.concatenate([gather_tiles(arrays, tiles[i : i + 1], TILE) for i in range(len(tiles))]),
    )
