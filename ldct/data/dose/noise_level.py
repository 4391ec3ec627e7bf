"""How noisy slices are, and what brings added noise to a wanted level."""

import numpy as np
from scipy import optimize

from ldct.common.errors import InputError
from ldct.data.dose.settings import DoseSettings
from ldct.data.noise import NOISE_PERCENTILE, local_covariance, soft_tissue_noise


def difference_noise(difference_hu: np.ndarray, tissue: np.ndarray) -> float:
    """Std of low dose minus scan in soft tissue, in HU: mean over the slices that have any.

    difference_hu : (slices, n, n). tissue : `soft_tissue` of the scan.
    """
    pairs = zip(difference_hu, tissue, strict=True)
    return float(np.mean([hu[where].std() for hu, where in pairs if where.any()]))


def wanted_noise(full: np.ndarray, tissue: np.ndarray, settings: DoseSettings) -> float:
    """Noise in soft tissue that a fit is to reach, in HU: of low dose, or of low dose minus scan.

    full : (slices, n, n) in HU. tissue : its `soft_tissue`. Raises `InputError` where there is no
    tissue, or no noise in it that could grow.
    """
    scan_noise = soft_tissue_noise(full, tissue)
    if settings.difference_hu is not None:
        return settings.difference_hu
    if scan_noise <= 0:
        raise InputError("no noise in soft tissue: expected that of a scan, which is to grow")
    ratio = settings.noise_ratio
    return scan_noise * (ratio if settings.fit == "ratio" else float(np.sqrt(ratio**2 - 1)))


def noise_factor(
    full: np.ndarray, noise: np.ndarray, tissue: np.ndarray, settings: DoseSettings, wanted: float
) -> float:
    """Factor of added noise at which the `wanted_noise` is reached.

    full, noise : (slices, n, n) in HU, the scan and what the low dose adds. tissue : `soft_tissue`
    of the scan.
    """
    if settings.fit == "ratio":
        return _ratio_factor(full, noise, tissue, wanted)
    measure = soft_tissue_noise if settings.difference_hu is None else difference_noise
    return wanted / measure(noise, tissue)


def _ratio_factor(full: np.ndarray, noise: np.ndarray, tissue: np.ndarray, target: float) -> float:
    """Factor of the noise at which the noisy slices measure `target` HU in soft tissue."""
    square = local_covariance(full, full)[tissue]
    mixed = local_covariance(full, noise)[tissue]
    added = local_covariance(noise, noise)[tissue]

    def excess(factor: float) -> float:
        variance = np.maximum(square + 2 * factor * mixed + factor**2 * added, 0)
        return float(np.sqrt(np.percentile(variance, NOISE_PERCENTILE))) - target

    highest = 2 * target / np.sqrt(np.percentile(added, NOISE_PERCENTILE))
    return optimize.brentq(excess, 0.0, highest, rtol=1e-4)
