"""The operators of `ldct.data.projector` in torch: batches of slices on the device of the input.

Same conventions, same arithmetic; the two agree to single precision (tested). On a CPU the numba
projector is many times faster.
"""

import math

import torch

from ldct.data.fan_beam import FanBeamGeometry, checked_size, filter_response
from ldct.data.projector import OVERSAMPLING
from ldct.errors import InputError


def forward_project(
    images: torch.Tensor, pixel_mm: float, geometry: FanBeamGeometry, views_at_once: int = 8
) -> torch.Tensor:
    """Line integrals of slices along every ray (Joseph's method).

    images : (slices, n, n), attenuation in 1/mm, zero outside.
    pixel_mm : pixel pitch in mm.
    views_at_once : views held in memory together; 2 x views x cells x n numbers.
    Returns float32 (slices, views, cells). Raises `InputError` as the numba projector does.
    """
    size = checked_size(tuple(images.shape[1:]), pixel_mm, geometry)
    # Slices as channels: all of them share the coordinates of the rays.
    stack = images.to(torch.float32)[None]
    angles = _fan_angles(geometry, images.device)
    chunks = []
    for places in _view_angles(geometry, images.device).split(views_at_once):
        grid, length_mm = _ray_points(places, angles, size, pixel_mm, geometry.source_centre_mm)
        samples = torch.nn.functional.grid_sample(
            stack, grid[None], mode="bilinear", padding_mode="zeros", align_corners=True
        )
        sums = samples[0].sum(dim=-1).reshape(len(images), len(places), geometry.cells)
        chunks.append(sums * length_mm)
    return torch.cat(chunks, dim=1)


def filtered_backproject(
    sinograms: torch.Tensor,
    pixel_mm: float,
    shape: tuple[int, int],
    geometry: FanBeamGeometry,
    kernel: str,
) -> torch.Tensor:
    """Fan-beam filtered back-projection of sinograms (slices, views, cells).

    Returns float32 (slices, n, n) in 1/mm; zero outside the field of view. Raises `InputError` as
    the numba projector does.
    """
    size = checked_size(shape, pixel_mm, geometry)
    if tuple(sinograms.shape[1:]) != (geometry.views, geometry.cells):
        raise InputError(
            f"sinograms of shape {tuple(sinograms.shape)}; the geometry has (slices, views, cells) "
            f"= (any, {geometry.views}, {geometry.cells})"
        )
    filtered = _filtered_views(sinograms.to(torch.float32), geometry, kernel)
    middle = (geometry.cells - 1) / 2
    axis = (torch.arange(size, device=sinograms.device) - (size - 1) / 2) * pixel_mm
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    inside = torch.hypot(x, y) <= geometry.field_radius_mm
    x, y = x[inside], y[inside]
    values = torch.zeros(len(sinograms), len(x), device=sinograms.device)
    for view, place in enumerate(_view_angles(geometry, "cpu").tolist()):
        side = math.sin(place) * x - math.cos(place) * y
        depth = geometry.source_centre_mm - math.cos(place) * x - math.sin(place) * y
        sample = OVERSAMPLING * (torch.atan2(side, depth) / geometry.pitch + middle)
        sample = sample.clamp(min=0)
        left = sample.to(torch.int64)
        line = filtered[:, view]
        value = torch.lerp(line[:, left], line[:, left + 1], sample - left)
        values += value / (side.square() + depth.square())
    images = torch.zeros(len(sinograms), size, size, device=sinograms.device)
    images[:, inside] = values
    return images


def _view_angles(geometry: FanBeamGeometry, device: torch.device | str) -> torch.Tensor:
    steps = torch.arange(geometry.views, dtype=torch.float64, device=device)
    return steps * (2 * math.pi / geometry.views)


def _fan_angles(geometry: FanBeamGeometry, device: torch.device) -> torch.Tensor:
    cells = torch.arange(geometry.cells, dtype=torch.float64, device=device)
    return (cells - (geometry.cells - 1) / 2) * geometry.pitch


def _ray_points(
    places: torch.Tensor, angles: torch.Tensor, size: int, pixel_mm: float, source_mm: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Where each ray crosses the rows (steep rays) or columns (flat rays) of the image.

    Returns grid_sample coordinates (views x cells, n, 2) and the length of one step (views, cells)
    in mm.
    """
    centre = (size - 1) / 2
    place = places[:, None].expand(-1, len(angles))
    direction = place + angles
    cosine, sine = torch.cos(direction), torch.sin(direction)
    source_x = source_mm / pixel_mm * torch.cos(place)
    source_y = source_mm / pixel_mm * torch.sin(place)
    steep = sine.abs() >= cosine.abs()
    start = torch.where(steep, source_x, source_y)[..., None]
    origin = torch.where(steep, source_y, source_x)[..., None]
    slope = torch.where(steep, cosine / sine, sine / cosine)[..., None]
    marched = torch.arange(size, dtype=torch.float64, device=places.device) - centre
    crossed = start + slope * (marched - origin)
    marched = marched.expand_as(crossed)
    x = torch.where(steep[..., None], crossed, marched)
    y = torch.where(steep[..., None], marched, crossed)
    grid = torch.stack([x, y], dim=-1).flatten(0, 1) / centre
    length_mm = pixel_mm / torch.where(steep, sine, cosine).abs()
    return grid.to(torch.float32), length_mm.to(torch.float32)


def _filtered_views(
    sinograms: torch.Tensor, geometry: FanBeamGeometry, kernel: str
) -> torch.Tensor:
    """`ldct.data.projector.filtered_views` for a batch: (slices, views, OVERSAMPLING x cells)."""
    device = sinograms.device
    response = torch.from_numpy(filter_response(geometry, kernel))
    length = 2 * (len(response) - 1)
    scale = geometry.source_centre_mm * 2 * math.pi / geometry.views
    weights = (torch.cos(_fan_angles(geometry, device)) * scale).to(torch.float32)
    spectrum = torch.fft.rfft(sinograms * weights, length)
    spectrum *= (OVERSAMPLING * response).to(device, torch.float32)
    return torch.fft.irfft(spectrum, OVERSAMPLING * length)[..., : OVERSAMPLING * geometry.cells]
