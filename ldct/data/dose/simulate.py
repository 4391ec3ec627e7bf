"""Quarter dose by physics: the scan as it is, plus the reconstructed noise of fewer photons.

The line integrals p of the full-dose slice say how many photons reach each cell. Going from N0 to
f N0 photons adds zero-mean noise to them with the variance

    (1/f - 1) exp(p) / N0  +  (1/f^2 - 1) s^2 exp(2 p) / N0^2

(quantum and electronic noise of the log transform at first order: Yu et al., J Comput Assist Tomogr
36 (2012) 477; Zabic et al., Med Phys 40 (2013) 031102). That noise alone is reconstructed and
added: no structure of the image passes through the projector. N0 is fitted to each scan, so that
the noise in soft tissue grows by a chosen factor.

Not modelled: the bow-tie filter and tube current modulation (one N0 for the whole scan), scatter,
the spectrum, helical interpolation (slices are independent of each other), and the part of the
patient that lies outside the image.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy import optimize

from ldct.common.errors import InputError
from ldct.common.progress import track
from ldct.data.dicom.hounsfield import HIGHEST_HU, LOWEST_HU, clip_hu
from ldct.data.dose.fan_beam import FanBeamGeometry
from ldct.data.dose.projector import filtered_backproject, forward_project
from ldct.data.noise import NOISE_PERCENTILE, local_covariance, soft_tissue, soft_tissue_noise

AIR_HU = -1000.0
WATER_PER_MM = 0.0192  # attenuation of water near 70 keV
CALIBRATION_SLICES = 5
CALIBRATION_KEY = 20  # any number; the calibration draws the same noise every time
FIRST_PHOTONS = 1e6


@dataclass(frozen=True)
class DoseSettings:
    """How the low dose is simulated.

    dose_fraction : photons of the low dose over those of the scan, between 0 and 1.
    noise_ratio : std of the noise in soft tissue, low dose over scan, above 1 (AAPM data: 1.7-2.1).
    electronic_noise : std of a reading without any X-rays, in photons.
    view_step : line integrals are computed for every view_step-th view (four times this divides the
        number of views) and interpolated between;
        it changes the noise by less than 1 % (tested), since the noise level varies slowly.
    geometry : the scanner.

    Raises `InputError` when the first or the second is out of range.
    """

    dose_fraction: float = 0.25
    noise_ratio: float = 2.0
    electronic_noise: float = 3.0
    view_step: int = 4
    geometry: FanBeamGeometry = field(default_factory=FanBeamGeometry)

    def __post_init__(self) -> None:
        if not 0 < self.dose_fraction < 1:
            raise InputError(f"dose_fraction: {self.dose_fraction}; expected between 0 and 1")
        if self.noise_ratio <= 1:
            raise InputError(f"noise_ratio: {self.noise_ratio}; expected a number above 1")


def added_noise(
    full_hu: np.ndarray,
    pixel_mm: float,
    photons: float,
    settings: DoseSettings,
    rng: np.random.Generator,
) -> np.ndarray:
    """Noise that the lower dose adds to one slice, in HU.

    full_hu : (n, n) in HU, any lowest value.
    photons : N0, photons of an unattenuated ray to one cell in one view of the scan.
    Returns float32 (n, n), zero outside the scanner's field of view.
    """
    geometry = settings.geometry
    std = noise_std(line_integrals(full_hu, pixel_mm, settings), photons, settings)
    noise = rng.standard_normal(std.shape, dtype=np.float32) * std
    per_mm = filtered_backproject(noise, pixel_mm, full_hu.shape, geometry)
    return per_mm * np.float32(1000 / WATER_PER_MM)


def line_integrals(full_hu: np.ndarray, pixel_mm: float, settings: DoseSettings) -> np.ndarray:
    """Attenuation of a slice (n, n) in HU along every ray; float32 (views, cells), no unit."""
    step = settings.view_step
    clipped = np.clip(full_hu, AIR_HU, HIGHEST_HU).astype(np.float32)
    per_mm = (clipped - AIR_HU) * np.float32(WATER_PER_MM / 1000)
    sparse = replace(settings.geometry, views=settings.geometry.views // step)
    integrals = forward_project(per_mm, pixel_mm, sparse)
    ahead = np.roll(integrals, -1, axis=0) - integrals
    between = (np.arange(step, dtype=np.float32) / step)[:, None]
    dense = integrals[:, None] + between * ahead[:, None]
    return dense.reshape(settings.geometry.views, settings.geometry.cells)


def noise_std(integrals: np.ndarray, photons: float, settings: DoseSettings) -> np.ndarray:
    """Std of the noise that the lower dose adds to line integrals; see the head of this module.

    >>> settings = DoseSettings(electronic_noise=0)  # of a quarter of the dose
    >>> noise_std(np.array([0.0]), 300.0, settings)  # the root of 3 / 300
    array([0.1])
    """
    fraction = settings.dose_fraction
    per_photon = np.exp(integrals) / np.float32(photons)
    quantum = np.float32(1 / fraction - 1)
    electronic = np.float32((1 / fraction**2 - 1) * settings.electronic_noise**2)
    return np.sqrt(per_photon * (quantum + electronic * per_photon))


def calibration_slices(count: int) -> np.ndarray:
    """At most five rows of a volume of `count` slices, spread evenly, without the ends.

    >>> calibration_slices(13).tolist()
    [2, 4, 6, 8, 10]
    """
    chosen = np.unique(np.linspace(0, count - 1, CALIBRATION_SLICES + 2).round().astype(int))
    return chosen[1:-1] if len(chosen) > 2 else chosen


def calibrate_photons(volume_hu: np.ndarray, pixel_mm: float, settings: DoseSettings) -> float:
    """N0 of a scan at which its noise in soft tissue grows by `settings.noise_ratio`.

    Noise is drawn at a first N0 on five slices spread over the volume; the factor that gives the
    wanted ratio is found on those images, and N0 follows, as noise goes with 1 / sqrt(N0). A second
    pass corrects for the electronic noise. Deterministic.
    volume_hu : (slices, n, n) in HU. Raises `InputError` when these slices hold no soft tissue, or
    no noise in it.
    """
    chosen = calibration_slices(len(volume_hu))
    full = np.clip(volume_hu[chosen], LOWEST_HU, HIGHEST_HU).astype(np.float32)
    tissue = soft_tissue(full)
    target = settings.noise_ratio * soft_tissue_noise(full, tissue)
    if target <= 0:
        raise InputError("no noise in soft tissue: expected that of a scan, which is to grow")
    narrow = _fitted(settings, volume_hu, pixel_mm)
    photons = FIRST_PHOTONS
    for _ in range(2):
        noise = np.stack(
            [
                added_noise(hu, pixel_mm, photons, narrow, slice_generator(CALIBRATION_KEY, index))
                for hu, index in zip(full, chosen, strict=True)
            ]
        )
        photons /= _factor(full, noise, tissue, target) ** 2
    return float(photons)


def simulate_patient(
    volume_hu: np.ndarray, pixel_mm: Sequence[float], simulate: Mapping[str, Any], workers: int = 1
) -> tuple[np.ndarray, float]:
    """Quarter dose of a full-dose scan, int16 HU of its shape, and the photons it was made with.

    volume_hu : (slices, rows, columns) in HU. pixel_mm : (row, column) spacing.
    simulate : `dose_fraction`, `noise_ratio`, `seed` of a data set's description.
    Raises `InputError` where pixels are not square, and as `calibrate_photons`.
    """
    row_mm, column_mm = pixel_mm
    if not np.isclose(row_mm, column_mm):
        raise InputError(f"pixels of {row_mm:g} x {column_mm:g} mm; expected square ones")
    settings = DoseSettings(simulate["dose_fraction"], simulate["noise_ratio"])
    seen, part, place = _square(volume_hu, int(2 * settings.geometry.field_radius_mm / row_mm))
    photons = calibrate_photons(seen, row_mm, settings)
    simulated = simulate_quarter_dose(seen, row_mm, photons, settings, simulate["seed"], workers)
    if seen is volume_hu:
        return simulated, photons
    quarter = clip_hu(volume_hu)
    quarter[part] = simulated[place]
    return quarter, photons


def simulate_quarter_dose(
    volume_hu: np.ndarray,
    pixel_mm: float,
    photons: float,
    settings: DoseSettings,
    seed: int,
    workers: int = 1,
) -> np.ndarray:
    """Low-dose volume: int16 HU in [-1024, 3071], shape of `volume_hu`.

    Every slice draws from its own generator keyed on (seed, slice), so the result does not depend
    on the number of threads. Padding (at or below -1024 HU in every slice) and pixels outside the
    scanner's field of view get no noise.
    volume_hu : (slices, n, n) in HU. photons : see `calibrate_photons`.
    """
    padding = _padding(volume_hu)
    narrow = _fitted(settings, volume_hu, pixel_mm)

    def simulate(index: int) -> np.ndarray:
        full = np.clip(volume_hu[index], LOWEST_HU, HIGHEST_HU)
        noise = added_noise(full, pixel_mm, photons, narrow, slice_generator(seed, index))
        noise[padding] = 0
        return clip_hu(full + noise)

    quarter = np.empty(volume_hu.shape, np.int16)
    with ThreadPoolExecutor(workers) as pool:
        slices: Iterator[np.ndarray] = pool.map(simulate, range(len(volume_hu)))
        for index, hu in enumerate(track(slices, "quarter dose", total=len(volume_hu))):
            quarter[index] = hu
    return quarter


def slice_generator(seed: int, index: int) -> np.random.Generator:
    """The random numbers of one slice: a counter-based generator keyed on (seed, slice)."""
    return np.random.Generator(np.random.Philox(key=np.array([seed, index], np.uint64)))


def _square(volume_hu: np.ndarray, largest: int) -> tuple[np.ndarray, tuple, tuple]:
    """Slices as the scanner sees them: squares of at most `largest` pixels about the same centre.

    Padded where they are narrower, cut where they are wider. Also where in the given volume, and
    where in the squares, the pixels lie that both have.
    """
    _, *sides = volume_hu.shape
    size = min(max(sides), largest)
    if sides == [size, size]:
        return volume_hu, (), ()
    part, place = [slice(None)], [slice(None)]
    for side in sides:
        kept = min(side, size)
        for whole, found in ((side, part), (size, place)):
            start = (whole - kept) // 2
            found.append(slice(start, start + kept))
    part, place = tuple(part), tuple(place)
    square = np.full((len(volume_hu), size, size), LOWEST_HU, volume_hu.dtype)
    square[place] = volume_hu[part]
    return square, part, place


def _padding(volume_hu: np.ndarray) -> np.ndarray:
    """Pixels that no slice ever filled: the exterior of the reconstruction circle."""
    return np.max(volume_hu, axis=0) <= LOWEST_HU


def _fitted(settings: DoseSettings, volume_hu: np.ndarray, pixel_mm: float) -> DoseSettings:
    """The settings with only those detector cells that see the filled part of the volume."""
    size = volume_hu.shape[-1]
    rows, columns = np.nonzero(~_padding(volume_hu))
    centre = (size - 1) / 2
    farthest = np.hypot(rows - centre, columns - centre).max(initial=size / 2)
    geometry = settings.geometry.narrowed(farthest * pixel_mm)
    return replace(settings, geometry=geometry)


def _factor(full: np.ndarray, noise: np.ndarray, tissue: np.ndarray, target: float) -> float:
    """Factor of the noise at which the noisy slices measure `target` HU in soft tissue."""
    square = local_covariance(full, full)[tissue]
    mixed = local_covariance(full, noise)[tissue]
    added = local_covariance(noise, noise)[tissue]

    def excess(factor: float) -> float:
        variance = np.maximum(square + 2 * factor * mixed + factor**2 * added, 0)
        return float(np.sqrt(np.percentile(variance, NOISE_PERCENTILE))) - target

    highest = 2 * target / np.sqrt(np.percentile(added, NOISE_PERCENTILE))
    return optimize.brentq(excess, 0.0, highest, rtol=1e-4)
