"""The projectors against closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ldct.common.errors import InputError
from ldct.data.dose.fan_beam import FanBeamGeometry
from ldct.data.dose.projector import filtered_backproject, forward_project

SIZE = 128
PIXEL_MM = 2.0
# A coarser detector than the default, fine enough for pixels of 2 mm.
GEOMETRY = FanBeamGeometry(cells=368, cell_mm=2 * 1.2858, views=360)
WATER = 0.0192


def grid(size: int = SIZE, pixel_mm: float = PIXEL_MM) -> tuple[np.ndarray, np.ndarray]:
    axis = (np.arange(size) - (size - 1) / 2) * pixel_mm
    return np.meshgrid(axis, axis)


def disc(x_mm: float, y_mm: float, radius_mm: float, fine: int = 4) -> np.ndarray:
    """A disc of water with anti-aliased edges, in 1/mm."""
    x, y = grid(SIZE * fine, PIXEL_MM / fine)
    inside = np.hypot(x - x_mm, y - y_mm) <= radius_mm
    return inside.reshape(SIZE, fine, SIZE, fine).mean(axis=(1, 3)).astype(np.float32) * WATER


def half_chords(x_mm: float, y_mm: float, radius_mm: float) -> np.ndarray:
    """Half the length of each ray inside a disc, in mm; (views, cells)."""
    view = 2 * np.pi * np.arange(GEOMETRY.views)[:, None] / GEOMETRY.views
    fan = (np.arange(GEOMETRY.cells) - (GEOMETRY.cells - 1) / 2) * GEOMETRY.pitch
    # Distance of the centre from the ray, which starts at the source.
    x = x_mm - GEOMETRY.source_centre_mm * np.cos(view)
    y = y_mm - GEOMETRY.source_centre_mm * np.sin(view)
    distance = x * np.sin(view + fan) - y * np.cos(view + fan)
    return np.sqrt(np.maximum(radius_mm**2 - distance**2, 0))


@settings(max_examples=15, deadline=None)
@given(x_mm=st.floats(-40, 40), y_mm=st.floats(-40, 40), radius_mm=st.floats(20, 60))
def test_line_integrals_of_a_smooth_disc_follow_the_closed_form(x_mm, y_mm, radius_mm):
    x, y = grid()
    square = ((x - x_mm) ** 2 + (y - y_mm) ** 2) / radius_mm**2
    projected = forward_project(WATER * np.maximum(1 - square, 0) ** 2, PIXEL_MM, GEOMETRY)
    expected = WATER * 16 / 15 * half_chords(x_mm, y_mm, radius_mm) ** 5 / radius_mm**4
    # Linear interpolation errs by at most pixel^2 / 8 times the second derivative, 8 / radius^2,
    # along a chord of at most two radii.
    assert np.abs(projected - expected).max() < WATER * 2 * PIXEL_MM**2 / radius_mm
    assert projected.mean() == pytest.approx(expected.mean(), rel=2e-3)


def test_reconstruction_returns_the_attenuation_of_a_disc():
    image = disc(24, -16, 60)
    x, y = grid()
    inside = np.hypot(x - 24, y + 16) < 50
    outside = (np.hypot(x - 24, y + 16) > 70) & (np.hypot(x, y) < 128)
    sinogram = forward_project(image, PIXEL_MM, GEOMETRY)
    result = filtered_backproject(sinogram, PIXEL_MM, image.shape, GEOMETRY)
    assert result[inside].mean() == pytest.approx(WATER, rel=5e-4)
    assert abs(result[outside].mean()) < 5e-4 * WATER


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (lambda: FanBeamGeometry(views=1150), "multiple of 4"),
        (lambda: FanBeamGeometry(cells=2000), "half fan"),
        (lambda: forward_project(np.zeros((8, 9)), 1.0, GEOMETRY), "square"),
        (lambda: forward_project(np.zeros((512, 512)), 1.5, GEOMETRY), "field of view"),
        (lambda: filtered_backproject(np.zeros((4, 4)), 1.0, (8, 8), GEOMETRY), "views, cells"),
    ],
)
def test_bad_input_is_named(action, words):
    with pytest.raises(InputError, match=words):
        action()
