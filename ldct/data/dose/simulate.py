"""Quarter dose by physics: the scan as it is, plus the reconstructed noise of fewer photons.

The line integrals p of the full-dose slice say how many photons reach each cell. Going from N0 to
f N0 photons adds zero-mean noise to them with the variance

    (1/f - 1) exp(p) / N0  +  (1/f^2 - 1) s^2 exp(2 p) / N0^2

(quantum and electronic noise of the log transform at first order: Yu et al., J Comput Assist Tomogr
36 (2012) 477; Zabic et al., Med Phys 40 (2013) 031102). That noise alone is reconstructed and
added: no structure of the image passes through the projector. N0 is fitted to each scan, so that
the noise in soft tissue grows by a chosen factor, or follows from mAs and voltage. Kernel, bow-tie,
tube current and parallel rays are terms that are off unless asked for (`settings`).

Not modelled: scatter, the spectrum, helical interpolation (slices are independent of each other),
any filter of the scanner that adapts to the noise (real low dose keeps less of the full dose's
grain), and the part of the patient that lies outside the image.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from ldct.common.errors import InputError
from ldct.common.progress import track
from ldct.data.dicom.hounsfield import HIGHEST_HU, LOWEST_HU, clip_hu
from ldct.data.dose.fan_beam import rebinned
from ldct.data.dose.modulation import (
    WATER_PER_MM,
    Exposure,
    of_scan,
    photon_loss,
    physical_photons,
)
from ldct.data.dose.noise_level import noise_factor, wanted_noise
from ldct.data.dose.projector import filtered_backproject, forward_project
from ldct.data.dose.settings import DoseSettings, dose_settings
from ldct.data.noise import soft_tissue

AIR_HU = -1000.0
CALIBRATION_SLICES = 5
DIFFERENCE_SLICES = 9
CALIBRATION_KEY = 20  # any number; the calibration draws the same noise every time
FIRST_PHOTONS = 1e6
NO_EXPOSURE = Exposure()


def added_noise(
    full_hu: np.ndarray,
    pixel_mm: float,
    photons: float,
    settings: DoseSettings,
    rng: np.random.Generator,
) -> np.ndarray:
    """Noise that the lower dose adds to one slice, in HU.

    full_hu : (n, n) in HU, any lowest value.
    photons : N0, photons of an unattenuated ray to one cell in one view of the scan: the central
        ray where there is a bow-tie, a view of mean current where it is modulated.
    Returns float32 (n, n), zero outside the scanner's field of view.
    """
    integrals = line_integrals(full_hu, pixel_mm, settings)
    std = noise_std(integrals + photon_loss(integrals, settings), photons, settings)
    noise = rng.standard_normal(std.shape, dtype=np.float32) * std
    per_mm = filtered_backproject(
        noise, pixel_mm, full_hu.shape, settings.geometry, settings.kernel
    )
    return per_mm * np.float32(1000 / WATER_PER_MM)


def line_integrals(full_hu: np.ndarray, pixel_mm: float, settings: DoseSettings) -> np.ndarray:
    """Attenuation of a slice (n, n) in HU along every ray; float32 (views, cells), no unit."""
    step = settings.view_step
    clipped = np.clip(full_hu, AIR_HU, HIGHEST_HU).astype(np.float32)
    per_mm = (clipped - AIR_HU) * np.float32(WATER_PER_MM / 1000)
    sparse = replace(settings.geometry, views=settings.geometry.views // step)
    integrals = forward_project(per_mm, pixel_mm, sparse)
    if settings.geometry.parallel:
        return rebinned(integrals, settings.geometry)
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


def calibrate_photons(
    volume_hu: np.ndarray, pixel_mm: float, settings: DoseSettings, exposure: Exposure = NO_EXPOSURE
) -> float:
    """N0 of a scan that `settings.fit` asks for.

    Noise is drawn at a first N0 on slices spread over the volume (five without the ends for a
    ratio, nine for a difference); the factor that gives the wanted noise is found on those images,
    and N0 follows, as noise goes with 1 / sqrt(N0). A second pass corrects for the electronic
    noise. Deterministic.
    volume_hu : (slices, n, n) in HU. exposure : what headers say. Raises `InputError` when these
    slices hold no soft tissue, or no noise in it, or headers lack what the settings want.
    """
    narrow, currents = of_scan(_fitted(settings, volume_hu, pixel_mm), exposure, len(volume_hu))
    if settings.fit == "photons_per_mas":
        return physical_photons(settings, exposure)
    count = len(volume_hu)
    chosen = calibration_slices(count) if settings.fit == "ratio" else _spread(count)
    full = np.clip(volume_hu[chosen], LOWEST_HU, HIGHEST_HU).astype(np.float32)
    tissue = soft_tissue(full)
    wanted = wanted_noise(full, tissue, settings)
    photons = FIRST_PHOTONS
    for _ in range(2):
        rngs = [slice_generator(CALIBRATION_KEY, index) for index in chosen]
        draws = [
            added_noise(hu, pixel_mm, photons * current, narrow, rng)
            for hu, current, rng in zip(full, currents[chosen], rngs, strict=True)
        ]
        noise = np.stack(draws)
        photons /= noise_factor(full, noise, tissue, settings, wanted) ** 2
    return float(photons)


def simulate_patient(
    volume_hu: np.ndarray,
    pixel_mm: Sequence[float],
    simulate: Mapping[str, Any],
    workers: int = 1,
    exposure: Exposure = NO_EXPOSURE,
) -> tuple[np.ndarray, float]:
    """Quarter dose of a full-dose scan, int16 HU of its shape, and the photons it was made with.

    volume_hu : (slices, rows, columns) in HU. pixel_mm : (row, column) spacing.
    simulate : that block of a data set's description, with `seed`. exposure : what headers say.
    Raises `InputError` where pixels are not square, and as `calibrate_photons`.
    """
    row_mm, column_mm = pixel_mm
    if not np.isclose(row_mm, column_mm):
        raise InputError(f"pixels of {row_mm:g} x {column_mm:g} mm; expected square ones")
    settings = dose_settings(simulate)
    seen, part, place = _square(volume_hu, int(2 * settings.geometry.field_radius_mm / row_mm))
    photons = calibrate_photons(seen, row_mm, settings, exposure)
    simulated = simulate_quarter_dose(
        seen, row_mm, photons, settings, simulate["seed"], workers, exposure
    )
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
    exposure: Exposure = NO_EXPOSURE,
) -> np.ndarray:
    """Low-dose volume: int16 HU in [-1024, 3071], shape of `volume_hu`.

    Every slice draws from its own generator keyed on (seed, slice), so the result does not depend
    on the number of threads. Padding (at or below -1024 HU in every slice) and pixels outside the
    scanner's field of view get no noise.
    volume_hu : (slices, n, n) in HU. photons : see `calibrate_photons`. exposure : what headers
    say.
    """
    padding = _padding(volume_hu)
    narrow, currents = of_scan(_fitted(settings, volume_hu, pixel_mm), exposure, len(volume_hu))

    def simulate(index: int) -> np.ndarray:
        full = np.clip(volume_hu[index], LOWEST_HU, HIGHEST_HU)
        own = photons * currents[index]
        noise = added_noise(full, pixel_mm, own, narrow, slice_generator(seed, index))
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


def _spread(count: int) -> np.ndarray:
    """At most nine rows of a volume, spread evenly, with the ends."""
    return np.unique(np.linspace(0, count - 1, DIFFERENCE_SLICES).round().astype(int))
