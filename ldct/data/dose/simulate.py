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

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from scipy import ndimage, optimize

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
from ldct.data.dose.projector import filtered_backproject, forward_project
from ldct.data.dose.settings import DoseSettings

AIR_HU = -1000.0
NOISE_WINDOW = 7  # pixels
NOISE_PERCENTILE = 25
# Narrower than where organs with contrast medium lie: it picks the level of the noise alone.
NOISE_TISSUE_HU = (0.0, 100.0)
CALIBRATION_SLICES = 5
DIFFERENCE_SLICES = 9
CALIBRATION_KEY = 20  # any number; the calibration draws the same noise every time
FIRST_PHOTONS = 1e6
NO_EXPOSURE = Exposure()


def soft_tissue(hu: np.ndarray) -> np.ndarray:
    """Where the mean of the 7x7 neighbourhood is soft tissue, 0 to 100 HU; bool, shape of `hu`."""
    mean = _local_mean(hu)
    return (mean > NOISE_TISSUE_HU[0]) & (mean < NOISE_TISSUE_HU[1])


def soft_tissue_noise(hu: np.ndarray, where: np.ndarray) -> float:
    """Noise of slices in HU: the 25th percentile of the std of 7x7 neighbourhoods in soft tissue.

    The low percentile picks neighbourhoods without edges (docs/data.md, Noise).
    hu : (..., rows, columns). where : `soft_tissue` of the full dose, bool, of the same shape.
    Raises `InputError` when there is no soft tissue.
    """
    if not where.any():
        raise InputError(
            f"no soft tissue in slices of shape {np.shape(hu)}: expected regions of "
            f"{NOISE_TISSUE_HU[0]:g} to {NOISE_TISSUE_HU[1]:g} HU; check rescale slope, intercept"
        )
    local_std = np.sqrt(np.maximum(_local_covariance(hu, hu), 0))
    return float(np.percentile(local_std[where], NOISE_PERCENTILE))


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
    slices hold no soft tissue, or headers lack what the settings want of them.
    """
    narrow, currents = of_scan(_fitted(settings, volume_hu, pixel_mm), exposure, len(volume_hu))
    if settings.fit == "photons_per_mas":
        return physical_photons(settings, exposure)
    by_ratio = settings.fit == "ratio"
    chosen = calibration_slices(len(volume_hu)) if by_ratio else _spread(len(volume_hu))
    full = np.clip(volume_hu[chosen], LOWEST_HU, HIGHEST_HU).astype(np.float32)
    tissue = soft_tissue(full)
    target = _wanted_noise(full, tissue, settings)
    photons = FIRST_PHOTONS
    for _ in range(2):
        draws = [(photons * currents[i], slice_generator(CALIBRATION_KEY, i)) for i in chosen]
        noise = np.stack(
            [
                added_noise(hu, pixel_mm, own, narrow, rng)
                for hu, (own, rng) in zip(full, draws, strict=True)
            ]
        )
        if by_ratio:
            factor = _factor(full, noise, tissue, target)
        else:
            factor = target / difference_noise(noise, tissue)
        photons /= factor**2
    return float(photons)


def difference_noise(difference_hu: np.ndarray, tissue: np.ndarray) -> float:
    """Std of low dose minus scan in soft tissue, in HU: mean over the slices that have any.

    difference_hu : (slices, n, n). tissue : `soft_tissue` of the scan. Raises `InputError` where
    there is none.
    """
    stds = [hu[where].std() for hu, where in zip(difference_hu, tissue, strict=True) if where.any()]
    if not stds:
        raise InputError(f"no soft tissue in slices of shape {np.shape(difference_hu)}")
    return float(np.mean(stds))


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


def _wanted_noise(full: np.ndarray, tissue: np.ndarray, settings: DoseSettings) -> float:
    """Noise in soft tissue that N0 is fitted to, in HU: low dose, or low dose minus scan."""
    if settings.fit == "ratio":
        return settings.noise_ratio * soft_tissue_noise(full, tissue)
    if settings.difference_hu is not None:
        return settings.difference_hu
    return np.sqrt(settings.noise_ratio**2 - 1) * soft_tissue_noise(full, tissue)


def _factor(full: np.ndarray, noise: np.ndarray, tissue: np.ndarray, target: float) -> float:
    """Factor of the noise at which the noisy slices measure `target` HU in soft tissue."""
    square = _local_covariance(full, full)[tissue]
    mixed = _local_covariance(full, noise)[tissue]
    added = _local_covariance(noise, noise)[tissue]

    def excess(factor: float) -> float:
        variance = np.maximum(square + 2 * factor * mixed + factor**2 * added, 0)
        return float(np.sqrt(np.percentile(variance, NOISE_PERCENTILE))) - target

    highest = 2 * target / np.sqrt(np.percentile(added, NOISE_PERCENTILE))
    return optimize.brentq(excess, 0.0, highest, rtol=1e-4)


def _local_covariance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    first, second = np.asarray(first, np.float32), np.asarray(second, np.float32)
    return _local_mean(first * second) - _local_mean(first) * _local_mean(second)


def _local_mean(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, np.float32)
    size = (1,) * (values.ndim - 2) + (NOISE_WINDOW, NOISE_WINDOW)
    return ndimage.uniform_filter(values, size)
