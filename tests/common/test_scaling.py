"""HU to network units, and what a network changes in an image."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ldct.common.scaling import Scaling

bounds = st.tuples(st.integers(-2000, 3000), st.integers(1, 5000)).map(
    lambda b: (b[0], b[0] + b[1])
)
hu_arrays = hnp.arrays(
    np.float64, hnp.array_shapes(max_dims=3, max_side=5), elements=st.floats(-5000, 5000)
)


# Changes in network units, as large as a bad network makes them.
changes = st.floats(-2, 2)


@given(bounds, hu_arrays, changes)
def test_inside_the_window_an_image_becomes_what_the_network_returns(window, hu, change):
    scaling = Scaling(*window, clip=True)
    hu = np.clip(hu, *window)
    found = scaling.improved(hu, lambda unit: np.cos(unit) + change)
    returned = np.cos((hu - scaling.lower) / scaling.width) + change
    np.testing.assert_allclose(found, returned * scaling.width + scaling.lower, rtol=0, atol=1e-8)


@given(bounds, hu_arrays, changes)
def test_what_lies_outside_the_window_stays_outside_by_as_much(window, hu, change):
    scaling, at_bound = Scaling(*window, clip=True), np.clip(hu, *window)

    def improve(unit):
        assert unit.min() >= 0 and unit.max() <= 1
        return unit * 0.5 + change

    beyond = scaling.improved(hu, improve) - scaling.improved(at_bound, improve)
    np.testing.assert_allclose(beyond, hu - at_bound, rtol=0, atol=1e-8)


@given(bounds, hu_arrays, st.booleans())
def test_identity_returns_the_image_to_the_last_bit(window, hu, clip):
    np.testing.assert_array_equal(Scaling(*window, clip).improved(hu, lambda unit: unit), hu)


@given(bounds, hu_arrays, changes)
def test_without_clipping_the_network_sees_and_makes_all_hu(window, hu, change):
    scaling = Scaling(*window, clip=False)
    found = scaling.improved(hu, lambda unit: 0.5 * unit + change)
    half = 0.5 * (hu - scaling.lower) + change * scaling.width + scaling.lower
    np.testing.assert_allclose(found, half, rtol=0, atol=1e-8)


def test_the_default_window_maps_as_written_in_the_documentation():
    scaling = Scaling(-160, 240, clip=True)
    np.testing.assert_array_equal(
        scaling.to_unit(np.array([-1024, -160, 40, 240, 3071], np.int16)), [0, 0, 0.5, 1, 1]
    )
    assert scaling.width == 400


def test_float32_arrays_and_tensors_keep_their_type_and_agree():
    torch = pytest.importorskip("torch")
    hu = np.linspace(-300, 300, 7, dtype=np.float32)
    scaling = Scaling(-160, 240, clip=True)
    unit = scaling.to_unit(torch.from_numpy(hu))
    assert unit.dtype == torch.float32
    assert scaling.to_unit(hu).dtype == np.float32
    np.testing.assert_allclose(unit.numpy(), scaling.to_unit(hu), rtol=0, atol=1e-6)


@pytest.mark.parametrize("window", [(240, -160), (40, 40)])
def test_a_window_without_width_is_refused(window):
    with pytest.raises(ValueError, match="lower must be below upper"):
        Scaling(*window, clip=True)
