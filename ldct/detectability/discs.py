"""Low-contrast discs in real background: the images behind the detectability of a signal known
exactly.

A disc is inserted into the full-dose slice, then the quarter dose is simulated (`ldct.data.dose`).
Its line integrals are chords of a circle, added to those of the slice; its image is their filtered
back-projection, so that its edge is as sharp as the scanner's reconstruction and no sharper. With
and without disc the same noise is drawn: the mean difference of the two is then the signal as a
method shows it, hardly blurred by noise (common random numbers).
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import ndimage

from ldct.common.progress import track
from ldct.data.dicom.hounsfield import HIGHEST_HU, LOWEST_HU, clip_hu
from ldct.data.dose.fan_beam import FanBeamGeometry
from ldct.data.dose.modulation import WATER_PER_MM
from ldct.data.dose.projector import filtered_backproject
from ldct.data.dose.settings import DoseSettings
from ldct.data.dose.simulate import (
    line_integrals,
    noise_std,
    slice_generator,
)
from ldct.data.volumes import neighbour_mean
from ldct.metrics.tissues import SOFT_TISSUE_HU

SMOOTHING_MM = 3.0
FLAT_DIAMETERS = 3.0  # side of the flat square around the largest disc, in its diameters
LARGEST_STRUCTURE_HU = 10.0
SLICE_GAP_MM = 5.0  # neighbouring slices show the same anatomy and share some of their noise
NOISE_SEED = 4712  # any number


@dataclass(frozen=True)
class Site:
    """Where discs are put: a flat square of soft tissue.

    slice_index : row of the volume. row, column : of the disc's centre, in pixels.
    mean_hu, structure_hu : mean and standard deviation of the smoothed square.
    """

    slice_index: int
    row: int
    column: int
    mean_hu: float
    structure_hu: float


def choose_sites(
    full_hu: np.ndarray,
    info: Mapping[str, Any],
    wanted: int,
    crop: int,
    largest_mm: float,
    left_out: Sequence[int] = (),
) -> list[Site]:
    """Places for discs, by rule: flat soft tissue, crops that do not overlap.

    A place is a candidate when the square of 3 x `largest_mm` around it is soft tissue throughout
    (0 to 150 HU after smoothing by 3 mm, so that noise does not count as structure) with a
    standard deviation below 10 HU, both on the slices beside its own (`neighbour_mean`), and the
    crop around it lies in the image. In every slice the flattest candidates are taken, each a crop
    away from the others. Slices lie at least 5 mm apart; those with most places come first, as one
    simulation serves all discs of a slice.

    full_hu : [slice, row, column]; info : content of its volume.json. wanted : number of places.
    crop : side in pixels of the square that methods will see. left_out : rows not to use (lesions).
    Returns at most `wanted` places, by slice; none where the image is smaller than the crop.
    """
    if min(full_hu.shape[1:]) < crop:
        return []
    found = {
        index: _sites_of_slice(beside, index, info["pixel_mm"], crop, largest_mm)
        for index in range(len(full_hu))
        if index not in set(left_out)
        and (beside := neighbour_mean(full_hu, index, info)) is not None
    }
    order = sorted(
        (index for index, sites in found.items() if sites),
        key=lambda index: (-len(found[index]), np.mean([s.structure_hu for s in found[index]])),
    )
    taken: list[int] = []
    sites: list[Site] = []
    for index in order:
        z = info["z_mm"][index]
        if all(abs(info["z_mm"][other] - z) >= SLICE_GAP_MM for other in taken):
            taken.append(index)
            sites += found[index][: wanted - len(sites)]
        if len(sites) == wanted:
            break
    return sorted(sites, key=lambda site: (site.slice_index, site.row, site.column))


def _sites_of_slice(
    slice_hu: np.ndarray, index: int, pixel_mm: Sequence[float], crop: int, largest_mm: float
) -> list[Site]:
    """Flat places of one slice, the flattest first, each at least a crop away from the others."""
    spacing = np.asarray(pixel_mm, float)
    smooth = ndimage.gaussian_filter(np.asarray(slice_hu, np.float32), SMOOTHING_MM / spacing)
    size = np.maximum(np.rint(FLAT_DIAMETERS * largest_mm / spacing).astype(int), 3)
    tissue = (smooth > SOFT_TISSUE_HU[0]) & (smooth < SOFT_TISSUE_HU[1])
    candidate = ndimage.uniform_filter(tissue.astype(np.float32), size) > 1 - 0.5 / size.prod()
    # The crop inside the image, the disc's centre in the inner circle.
    shape, before, after = slice_hu.shape, crop // 2, crop - crop // 2
    fits = np.zeros(shape, bool)
    fits[before : shape[0] - after + 1, before : shape[1] - after + 1] = True
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    radius = np.hypot(rows - (shape[0] - 1) / 2, columns - (shape[1] - 1) / 2)
    candidate &= fits & (radius < min(shape) / 2 - crop / 2)
    if not candidate.any():
        return []
    # About a value near the tissue's: single precision would lose a small variance at 1000 HU.
    smooth -= np.float32(np.mean(SOFT_TISSUE_HU))
    mean = ndimage.uniform_filter(smooth, size)
    variance = np.maximum(ndimage.uniform_filter(smooth**2, size) - mean**2, 0)
    candidate &= variance < LARGEST_STRUCTURE_HU**2
    variance[~candidate] = np.inf
    sites = []
    while np.isfinite(lowest := variance.min()):
        row, column = (int(i) for i in np.unravel_index(np.argmin(variance), variance.shape))
        level = float(mean[row, column] + np.mean(SOFT_TISSUE_HU))
        sites.append(Site(index, row, column, level, float(np.sqrt(lowest))))
        near = (slice(max(centre - crop + 1, 0), centre + crop) for centre in (row, column))
        variance[tuple(near)] = np.inf
    return sites


def disc_chords(
    centres_mm: Sequence[tuple[float, float]], diameter_mm: float, geometry: FanBeamGeometry
) -> np.ndarray:
    """Length in mm of every ray inside discs; float32 (views, cells).

    centres_mm : (x, y) from the isocentre, x along columns, y along rows. Discs do not overlap.
    A ray that passes the centre at distance t has the chord 2 sqrt(R^2 - t^2).
    """
    views = (np.arange(geometry.views) * (2 * np.pi / geometry.views))[:, None]
    fan = (np.arange(geometry.cells) - (geometry.cells - 1) / 2) * geometry.pitch
    # From the source D (cos b, sin b) a ray runs along (-cos(b + g), -sin(b + g)).
    across = np.stack([np.sin(views + fan), -np.cos(views + fan)])
    source = geometry.source_centre_mm * np.stack([np.cos(views), np.sin(views)])
    chords = np.zeros((geometry.views, geometry.cells), np.float32)
    for x, y in centres_mm:
        distance = across[0] * (x - source[0]) + across[1] * (y - source[1])
        chords += 2 * np.sqrt(np.maximum((diameter_mm / 2) ** 2 - distance**2, 0))
    return chords


def simulate_crops(
    full_hu: np.ndarray,
    pixel_mm: float,
    sites: Sequence[Site],
    discs: tuple[float, Sequence[float]],
    crop: int,
    photons: float,
    settings: DoseSettings,
    workers: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Full- and quarter-dose crops of every site, without a disc and with each disc.

    full_hu : [slice, n, n]. pixel_mm : the same along rows and columns. discs : their contrast to
        the background in HU (negative: darker) and their diameters in mm. photons : see
        `ldct.data.dose`. workers : threads; the result is the same for any.
    Returns two int16 HU arrays (sites, 1 + discs, crop, crop): the first of each site is without
    a disc. All crops of a site hold the same noise, except that the disc changes its level.
    Raises InputError where the slices are not square or do not fit into the scanner.
    """
    size = full_hu.shape[-1]
    narrow = replace(settings, geometry=settings.geometry.narrowed(size / 2 * pixel_mm))
    shape = (len(sites), 1 + len(discs[1]), crop, crop)
    full, quarter = np.empty(shape, np.int16), np.empty(shape, np.int16)

    def simulate(index: int) -> None:
        numbers = [i for i, site in enumerate(sites) if site.slice_index == index]
        own = [sites[number] for number in numbers]
        background = np.clip(full_hu[index], LOWEST_HU, HIGHEST_HU).astype(np.float32)
        pairs = _slice_versions(background, index, pixel_mm, own, discs, photons, narrow)
        for version, (scan, low) in enumerate(pairs):
            for number, site in zip(numbers, own, strict=True):
                window = crop_window(site, crop)
                full[number, version] = clip_hu(scan[window])
                quarter[number, version] = clip_hu(low[window])

    slices = sorted({site.slice_index for site in sites})
    with ThreadPoolExecutor(workers) as pool:
        for _ in track(pool.map(simulate, slices), "discs", len(slices)):
            pass
    return full, quarter


def crop_window(site: Site, crop: int) -> tuple[slice, slice]:
    """The crop around a site; the disc's centre is pixel (crop // 2, crop // 2) of it."""
    top, left = site.row - crop // 2, site.column - crop // 2
    return slice(top, top + crop), slice(left, left + crop)


def _slice_versions(
    background: np.ndarray,
    index: int,
    pixel_mm: float,
    sites: Sequence[Site],
    discs: tuple[float, Sequence[float]],
    photons: float,
    settings: DoseSettings,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(full, quarter) of one slice: without discs, then with each disc at every site."""
    geometry = settings.geometry
    integrals = line_integrals(background, pixel_mm, settings)
    white = slice_generator(NOISE_SEED, index).standard_normal(integrals.shape, dtype=np.float32)
    centre = (background.shape[0] - 1) / 2
    centres = [((s.column - centre) * pixel_mm, (s.row - centre) * pixel_mm) for s in sites]

    def reconstruct(sinogram: np.ndarray) -> np.ndarray:
        return filtered_backproject(sinogram, pixel_mm, background.shape, geometry)

    def with_noise(scan: np.ndarray, integrals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        noise = reconstruct(white * noise_std(integrals, photons, settings))
        return scan, scan + noise * np.float32(1000 / WATER_PER_MM)

    yield with_noise(background, integrals)
    contrast_hu, diameters_mm = discs
    per_mm = np.float32(contrast_hu / 1000 * WATER_PER_MM)
    for diameter in diameters_mm:
        chords = disc_chords(centres, diameter, geometry)
        shown = np.float32(contrast_hu) * reconstruct(chords)
        yield with_noise(background + shown, integrals + per_mm * chords)
