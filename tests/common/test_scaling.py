"""HU <-> network units: the map is linear, and comes back to where it started."""

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


@given(bounds, hu_arrays)
def test_hu_come_back_everywhere_without_clipping(window, hu):
    scaling = Scaling(*window, clip=False)
    np.testing.assert_allclose(scaling.to_hu(scaling.to_unit(hu)), hu, rtol=0, atol=1e-9)


@given(bounds, hu_arrays)
def test_hu_come_back_inside_the_window_and_as_its_bounds_outside(window, hu):
    scaling = Scaling(*window, clip=True)
    unit = scaling.to_unit(hu)
    assert unit.min() >= 0 and unit.max() <= 1
    np.testing.assert_allclose(scaling.to_hu(unit), np.clip(hu, *window), rtol=0, atol=1e-9)


@given(bounds, hu_arrays)
def test_network_output_comes_back_from_hu_even_outside_the_window(window, unit):
    scaling = Scaling(*window, clip=False)
    np.testing.assert_allclose(scaling.to_unit(scaling.to_hu(unit)), unit, rtol=1e-9, atol=1e-9)


def test_the_default_window_maps_as_written_in_the_documentation():
    scaling = Scaling(-160, 240, clip=True)
    np.testing.assert_array_equal(
        scaling.to_unit(np.array([-1024, -160, 40, 240, 3071], np.int16)), [0, 0, 0.5, 1, 1]
    )
    assert scaling.to_hu(0.5) == 40
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
