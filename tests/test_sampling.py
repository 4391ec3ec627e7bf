"""Batches: exact epochs, reproducible at any step, independent streams."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ldct.training.sampling import BatchSampler, steps_per_epoch


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
