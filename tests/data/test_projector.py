"""The projectors against closed forms, and against scikit-image."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.transform import radon

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


def rays(geometry: FanBeamGeometry) -> tuple[np.ndarray, np.ndarray]:
    """Direction angle and signed distance from the isocentre of every ray, (views, cells)."""
    view = 2 * np.pi * np.arange(geometry.views)[:, None] / geometry.views
    fan = (np.arange(geometry.cells) - (geometry.cells - 1) / 2) * geometry.pitch
    return view + fan, np.broadcast_to(
        geometry.source_centre_mm * np.sin(fan), (len(view), len(fan))
    )


def distances(x_mm: float, y_mm: float, geometry: FanBeamGeometry) -> np.ndarray:
    """Distance of every ray from a point, in mm; (views, cells)."""
    direction, _ = rays(geometry)
    view = 2 * np.pi * np.arange(geometry.views)[:, None] / geometry.views
    source_x = geometry.source_centre_mm * np.cos(view)
    source_y = geometry.source_centre_mm * np.sin(view)
    return np.abs((x_mm - source_x) * np.sin(direction) - (y_mm - source_y) * np.cos(direction))


def chords(x_mm: float, y_mm: float, radius_mm: float, geometry: FanBeamGeometry) -> np.ndarray:
    """Length of each ray inside a disc, in mm."""
    return 2 * np.sqrt(np.maximum(radius_mm**2 - distances(x_mm, y_mm, geometry) ** 2, 0))


@settings(max_examples=15, deadline=None)
@given(x_mm=st.floats(-40, 40), y_mm=st.floats(-40, 40), radius_mm=st.floats(20, 60))
def test_line_integrals_of_a_smooth_disc_follow_the_closed_form(x_mm, y_mm, radius_mm):
    x, y = grid()
    square = ((x - x_mm) ** 2 + (y - y_mm) ** 2) / radius_mm**2
    projected = forward_project(WATER * np.maximum(1 - square, 0) ** 2, PIXEL_MM, GEOMETRY)
    half_chord = chords(x_mm, y_mm, radius_mm, GEOMETRY) / 2
    expected = WATER * 16 / 15 * half_chord**5 / radius_mm**4
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


def test_line_integrals_agree_with_the_parallel_beam_of_scikit_image():
    image = disc(30, 10, 40) + 0.5 * disc(-40, -50, 25) + disc(0, 60, 8)
    fan = forward_project(image, PIXEL_MM, GEOMETRY)
    degrees = np.arange(0, 180, 0.5)
    # radon turns the image about pixel SIZE // 2; an odd size makes that the centre.
    padded = np.pad(image, ((0, 1), (0, 1)))
    shifted = (
        padded + np.roll(padded, 1, 0) + np.roll(padded, 1, 1) + np.roll(padded, 1, (0, 1))
    ) / 4
    parallel = radon(shifted, degrees, circle=True) * PIXEL_MM
    direction, distance = rays(GEOMETRY)
    # radon's line at angle a runs along (sin a, cos a), its columns along (cos a, -sin a).
    theta = np.degrees(np.pi / 2 - direction) % 360
    column = np.where(theta < 180, distance, -distance) / PIXEL_MM + SIZE // 2
    row = np.round((theta % 180) / 0.5).astype(int)
    exact = (
        (np.abs((theta % 180) / 0.5 - row) < 0.1) & (row < len(degrees)) & (np.abs(distance) < 120)
    )
    left = np.floor(column).astype(int)[exact]
    part = column[exact] - left
    expected = parallel[left, row[exact]] * (1 - part) + parallel[left + 1, row[exact]] * part
    difference = fan[exact] - expected
    assert exact.sum() > 5000
    assert np.sqrt(np.mean(difference**2)) < 0.01 * fan.max()


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
