"""Forward projection of one slice and filtered back-projection, on the CPU.

Why it is fast: a turn of the tube by 90 degrees is a turn of the image, so four views share one
computation of positions and weights; positions are computed in loops without gathers, which the
compiler vectorises, and the gathers read four neighbouring numbers. Every function runs on one
thread without the interpreter lock: simulate many slices in threads.
"""

import math

import numpy as np
from numba import njit
from scipy import fft

from ldct.common.errors import InputError
from ldct.data.dose.fan_beam import QUARTER_TURNS, FanBeamGeometry, checked_size, filter_response

# Samples per cell after filtering. Interpolated exactly by a zero-padded FFT, so that the linear
# interpolation in the back-projection leaves the kernel alone: at half the cells' Nyquist frequency
# it costs 5 % of the amplitude, against 19 % without.
OVERSAMPLING = 2
# arctan(u) = u (a + b u^2 + ...) for |u| <= 0.5 (LARGEST_HALF_FAN), least squares on 2001 points:
# within 7e-8 rad, where a cell is 1e-3 rad wide.
ARCTAN = (0.9999996, -0.33329752, 0.19911133, -0.13372003, 0.06785254)


def forward_project(image: np.ndarray, pixel_mm: float, geometry: FanBeamGeometry) -> np.ndarray:
    """Line integrals of a slice along every ray of the fan (Joseph's method, 1982).

    image : (n, n), attenuation in 1/mm, zero outside.
    pixel_mm : pixel pitch in mm, the same along rows and columns.
    Returns float32 (views, cells), no unit. Raises `InputError` when the image is not square or
    its inscribed circle does not fit into the field of view.
    """
    size = checked_size(image.shape, pixel_mm, geometry)
    turned = np.zeros((size, size + 3, QUARTER_TURNS), np.float32)
    for turn in range(QUARTER_TURNS):
        turned[:, 1:-2, turn] = np.rot90(image, turn)
    return _march(
        turned, pixel_mm, geometry.source_centre_mm, geometry.pitch, geometry.views, geometry.cells
    )


def filtered_backproject(
    sinogram: np.ndarray,
    pixel_mm: float,
    shape: tuple[int, int],
    geometry: FanBeamGeometry,
    kernel: str = "body",
) -> np.ndarray:
    """Filtered back-projection of fan or parallel rays (Kak and Slaney, 1988, 3.4.1 and 3.3).

    sinogram : (views, cells) line integrals, rebinned where the geometry is parallel.
    shape : (n, n) of the image; pixel_mm : its pixel pitch in mm. kernel : see `kernels`.
    Returns float32 (n, n) in 1/mm; zero outside the field of view. Raises `InputError` when the
    shapes do not fit the geometry or the image is not square.
    """
    size = checked_size(shape, pixel_mm, geometry)
    if sinogram.shape != (geometry.views, geometry.cells):
        raise InputError(
            f"sinogram of shape {sinogram.shape}; the geometry has (views, cells) = "
            f"{(geometry.views, geometry.cells)}"
        )
    # The views a quarter turn apart side by side: (views / 4, samples, 4).
    views = _filtered_views(sinogram, geometry, kernel)
    quarters = views.reshape(QUARTER_TURNS, len(views) // QUARTER_TURNS, -1)
    views = np.ascontiguousarray(quarters.transpose(1, 2, 0))
    radius, middle = geometry.field_radius_mm, (geometry.cells - 1) / 2
    if geometry.parallel:
        turned = _smear_parallel(views, size, pixel_mm, radius, geometry.spacing_mm, middle)
    else:
        source = geometry.source_centre_mm
        turned = _smear(views, size, pixel_mm, source, radius, geometry.pitch, middle)
    return sum(np.rot90(turned[..., turn], -turn) for turn in range(QUARTER_TURNS))


def _filtered_views(sinogram: np.ndarray, geometry: FanBeamGeometry, kernel: str) -> np.ndarray:
    """Every view weighted, convolved with ramp and kernel, and scaled for the back-projection.

    Returns float32 (views, OVERSAMPLING x cells); sample `OVERSAMPLING * c` lies on the centre of
    cell c. Summed over the views it gives the image in 1/mm; those of a fan are multiplied by
    1 / L^2 (L: distance of pixel and source in mm) before.
    """
    response = filter_response(geometry, kernel)
    length = 2 * (response.size - 1)
    angles = (np.arange(geometry.cells) - (geometry.cells - 1) / 2) * geometry.pitch
    fan = 1.0 if geometry.parallel else np.cos(angles) * geometry.source_centre_mm
    weights = fan * (2 * math.pi / geometry.views)
    spectrum = fft.rfft((sinogram * weights).astype(np.float32), length, axis=1)
    spectrum *= (OVERSAMPLING * response).astype(np.float32)
    return fft.irfft(spectrum, OVERSAMPLING * length, axis=1)[:, : OVERSAMPLING * geometry.cells]


# error_model="numpy": the check for a zero divisor would keep the loops from being vectorised.
_compiled = njit(nogil=True, fastmath=True, cache=True, error_model="numpy")


@_compiled
def _march(turned, pixel_mm, source_centre_mm, pitch, views, cells):
    """Sum each ray over the rows of four turned images.

    turned : (n, n + 3, 4), with one zero column on the left and two on the right.
    A ray closer to the rows' direction is taken a quarter turn back, where it is steep.
    """
    size = turned.shape[0]
    centre = (size - 1) / 2
    quarter = views // 4
    source = source_centre_mm / pixel_mm
    sinogram = np.empty((views, cells), np.float32)
    start = np.empty(cells, np.float32)
    slope = np.empty(cells, np.float32)
    length_mm = np.empty(cells, np.float32)
    back = np.empty(cells, np.int64)
    left = np.empty(cells, np.int32)
    part = np.empty(cells, np.float32)
    total = np.empty((cells, 4), np.float32)
    for view in range(quarter):
        for cell in range(cells):
            place = 2 * math.pi * view / views
            angle = place + (cell - (cells - 1) / 2) * pitch
            back[cell] = 0 if abs(math.sin(angle)) >= abs(math.cos(angle)) else 1
            place -= back[cell] * math.pi / 2
            angle -= back[cell] * math.pi / 2
            tangent = math.cos(angle) / math.sin(angle)
            first_row = -centre - source * math.sin(place)
            start[cell] = source * math.cos(place) + tangent * first_row + centre + 1
            slope[cell] = tangent
            length_mm[cell] = pixel_mm / abs(math.sin(angle))
        total[:] = 0
        for row in range(size):
            _locate_rays(start, slope, row, np.float32(size + 1), left, part)
            _sum_rays(turned[row], left, part, total)
        for cell in range(cells):
            for turn in range(4):
                target = (view + (turn - back[cell]) * quarter) % views
                sinogram[target, cell] = total[cell, turn] * length_mm[cell]
    return sinogram


@_compiled
def _locate_rays(start, slope, row, last, left, part):
    """Column left of each ray in a row, and how far the ray is past it."""
    step = np.float32(row)
    for cell in range(left.size):
        column = min(max(start[cell] + slope[cell] * step, np.float32(0)), last)
        left[cell] = np.int32(column)
        part[cell] = column - np.float32(left[cell])


@_compiled
def _sum_rays(line, left, part, total):
    for cell in range(left.size):
        # Unsigned: no check for indices that count from the end.
        k = np.uint64(left[cell])
        for turn in range(4):
            here = line[k, turn]
            total[cell, turn] += here + part[cell] * (line[k + np.uint64(1), turn] - here)


@_compiled
def _smear(views, size, pixel_mm, source_centre_mm, radius_mm, pitch, middle):
    """Back-project interleaved views (views / 4, samples, 4) onto four turned images (n, n, 4)."""
    quarter = views.shape[0]
    centre = (size - 1) / 2
    image = np.zeros((size, size, 4), np.float32)
    left = np.empty(size, np.int32)
    part = np.empty(size, np.float32)
    weight = np.empty(size, np.float32)
    for row in range(size):
        y = (row - centre) * pixel_mm
        reach = math.sqrt(max(radius_mm**2 - y**2, 0.0)) / pixel_mm
        first = max(math.ceil(centre - reach), 0)
        count = min(math.floor(centre + reach), size - 1) + 1 - first
        if count <= 0:
            continue
        x = (first - centre) * pixel_mm
        for view in range(quarter):
            angle = math.pi / 2 * view / quarter
            across = math.sin(angle)
            along = math.cos(angle)
            _locate_pixels(
                np.float32(across * x - along * y),
                np.float32(across * pixel_mm),
                np.float32(source_centre_mm - along * x - across * y),
                np.float32(-along * pixel_mm),
                np.float32(OVERSAMPLING / pitch),
                np.float32(OVERSAMPLING * middle),
                left[:count],
                part[:count],
                weight[:count],
            )
            _sum_pixels(views[view], left[:count], part[:count], weight[:count], image[row, first:])
    return image


@_compiled
def _locate_pixels(side, side_step, depth, depth_step, per_rad, middle, left, part, weight):
    """Detector sample left of each pixel of a row, how far past it, and the weight 1 / L^2.

    side, depth : of the first pixel, across and along the central ray from the source, in mm.
    """
    for column in range(left.size):
        index = np.float32(column)
        a = side + side_step * index
        b = depth + depth_step * index
        squared = a * a + b * b
        inverse = np.float32(1) / (b * squared)  # one division for 1 / b and 1 / L^2
        u = a * squared * inverse
        u2 = u * u
        angle = np.float32(ARCTAN[4])
        angle = angle * u2 + np.float32(ARCTAN[3])
        angle = angle * u2 + np.float32(ARCTAN[2])
        angle = angle * u2 + np.float32(ARCTAN[1])
        angle = angle * u2 + np.float32(ARCTAN[0])
        sample = max(angle * u * per_rad + middle, np.float32(0))
        left[column] = np.int32(sample)
        part[column] = sample - np.float32(left[column])
        weight[column] = b * inverse


@_compiled
def _smear_parallel(views, size, pixel_mm, radius_mm, spacing_mm, middle):
    """As `_smear`, for parallel rays: a pixel's sample is linear in its column, its weight one."""
    quarter = views.shape[0]
    centre = (size - 1) / 2
    image = np.zeros((size, size, 4), np.float32)
    left = np.empty(size, np.int32)
    part = np.empty(size, np.float32)
    weight = np.ones(size, np.float32)
    for row in range(size):
        y = (row - centre) * pixel_mm
        reach = math.sqrt(max(radius_mm**2 - y**2, 0.0)) / pixel_mm
        first = max(math.ceil(centre - reach), 0)
        count = min(math.floor(centre + reach), size - 1) + 1 - first
        if count <= 0:
            continue
        x = (first - centre) * pixel_mm
        for view in range(quarter):
            angle = math.pi / 2 * view / quarter
            per_mm = OVERSAMPLING / spacing_mm
            begin = (math.sin(angle) * x - math.cos(angle) * y) * per_mm + OVERSAMPLING * middle
            step = np.float32(math.sin(angle) * pixel_mm * per_mm)
            for column in range(count):
                sample = max(np.float32(begin) + step * np.float32(column), np.float32(0))
                left[column] = np.int32(sample)
                part[column] = sample - np.float32(left[column])
            _sum_pixels(views[view], left[:count], part[:count], weight[:count], image[row, first:])
    return image


@_compiled
def _sum_pixels(line, left, part, weight, image):
    for column in range(left.size):
        k = np.uint64(left[column])
        for turn in range(4):
            here = line[k, turn]
            value = here + part[column] * (line[k + np.uint64(1), turn] - here)
            image[column, turn] += weight[column] * value
