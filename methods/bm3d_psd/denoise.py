"""BM3D with the noise power spectrum of training patients and the noise level of each slice.

Shape: radial profile of the spectrum of quarter - full in the body of training patients.
Level: measured in the slice that is denoised. A difference of Gaussians passes a band of middle
frequencies; the 25th percentile of its local standard deviation over soft tissue keeps clear of
edges, and the profile says which share of the noise passes the band. What the percentile leaves
out, a factor tuned on training patients puts back.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.ndimage import binary_erosion, gaussian_filter, uniform_filter

from ldct import bm3d_slice, tune_factor

BODY_HU = -300.0
SOFT_TISSUE_HU = (-150.0, 200.0)
MIN_PIXELS = 500
LOCAL_PX = 9  # side of the window of the local standard deviation
PERCENTILE = 25


def tune(pairs: list[tuple[np.ndarray, np.ndarray]], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Noise spectrum of training crops, and the factor on the level with the highest PSNR.

    pairs : (quarter_hu, full_hu) crops; settings["pixel_mm"] : spacing [row, column] of each.
    """
    frequencies, profile = radial_profile(
        pairs, settings["pixel_mm"], settings["spectrum_tile"], settings["spectrum_bins"]
    )
    parameters = {
        "frequencies_per_mm": frequencies.tolist(),
        "profile": profile.tolist(),
        "hu_per_unit": settings["hu_per_unit"],
        "band_sigmas_px": settings["band_sigmas_px"],
        "fallback_level_hu": float(np.sqrt(np.mean([np.var(q - f) for q, f in pairs]))),
    }

    def denoise_pair(quarter: np.ndarray, index: int, factor: float) -> np.ndarray:
        geometry = {"pixel_mm": settings["pixel_mm"][index], "factor": factor}
        return denoise(quarter, parameters | geometry)

    tuning = tune_factor(denoise_pair, pairs, settings["factors"], settings["window"])
    return parameters | {"factor": tuning["factor"], "tuning": tuning}


def denoise(slice_hu: np.ndarray, parameters: Mapping[str, Any]) -> np.ndarray:
    """One slice, float32 HU (rows, columns), filtered with the spectrum at the slice's level."""
    shape = spectrum_of_unit_level(slice_hu.shape, parameters)
    level = noise_level(slice_hu, shape, parameters)
    spectrum = shape * (parameters["factor"] * level) ** 2
    return bm3d_slice(slice_hu, spectrum, parameters["hu_per_unit"])


def radial_profile(
    pairs: Sequence[tuple[np.ndarray, np.ndarray]],
    pixel_mm: Sequence[Sequence[float]],
    tile: int,
    bins: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Noise power over radial frequency, from tiles that lie in the body.

    Each tile's periodogram of quarter - full is divided by the tile's variance, so that noisy
    regions do not outweigh the others. Returns bin centres in 1/mm and the mean relative power
    (white noise: 1) in each bin.
    """
    taper = np.outer(np.hanning(tile), np.hanning(tile))
    radii, powers = [], []
    for (quarter, full), spacing in zip(pairs, pixel_mm, strict=True):
        radius = _radial_frequency((tile, tile), spacing)
        for rows, columns in _tiles(full.shape, tile):
            difference = (quarter - full)[rows, columns].astype(np.float64)
            if (full[rows, columns] > BODY_HU).mean() < 0.9 or difference.std() == 0:
                continue
            difference = (difference - difference.mean()) * taper
            power = np.abs(np.fft.fft2(difference)) ** 2
            radii.append(radius.ravel())
            powers.append((power / power.mean()).ravel())
    if not powers:
        return np.array([0.0]), np.array([1.0])
    radii, powers = np.concatenate(radii), np.concatenate(powers)
    edges = np.linspace(0.0, radii.max(), bins + 1)
    index = np.clip(np.digitize(radii, edges) - 1, 0, bins - 1)
    counts = np.bincount(index, minlength=bins)
    sums = np.bincount(index, powers, minlength=bins)
    filled = counts > 0
    return ((edges[1:] + edges[:-1]) / 2)[filled], (sums / np.maximum(counts, 1))[filled]


def spectrum_of_unit_level(shape: tuple[int, int], parameters: Mapping[str, Any]) -> np.ndarray:
    """The stored profile on the frequencies of an image, scaled to mean 1 (variance 1)."""
    radius = _radial_frequency(shape, parameters["pixel_mm"])
    spectrum = np.interp(radius, parameters["frequencies_per_mm"], parameters["profile"])
    return spectrum / spectrum.mean()


def noise_level(
    slice_hu: np.ndarray, unit_spectrum: np.ndarray, parameters: Mapping[str, Any]
) -> float:
    """Level of the noise in one slice, HU, from the slice alone.

    In a uniform slice it is close to the standard deviation of the noise, and proportional to it
    in a patient. Falls back to the training level where less than 500 pixels are soft tissue.
    """
    narrow, wide = parameters["band_sigmas_px"]
    image = slice_hu.astype(np.float64)
    smooth = gaussian_filter(image, wide)
    soft = (smooth > SOFT_TISSUE_HU[0]) & (smooth < SOFT_TISSUE_HU[1])
    soft = binary_erosion(soft, iterations=3)
    if soft.sum() < MIN_PIXELS:
        return parameters["fallback_level_hu"]
    band = gaussian_filter(image, narrow) - smooth
    frequency = _radial_frequency(slice_hu.shape, (1.0, 1.0))
    gain = _gaussian_gain(frequency, narrow) - _gaussian_gain(frequency, wide)
    passed = np.sqrt((unit_spectrum * gain**2).mean())
    local_variance = np.maximum(uniform_filter(band**2, LOCAL_PX), 0.0)
    return float(np.sqrt(np.percentile(local_variance[soft], PERCENTILE)) / passed)


def _gaussian_gain(frequency: np.ndarray, sigma: float) -> np.ndarray:
    return np.exp(-2 * (np.pi * sigma * frequency) ** 2)


def _radial_frequency(shape: tuple[int, int], pixel_mm: Sequence[float]) -> np.ndarray:
    axes = [np.fft.fftfreq(n, spacing) for n, spacing in zip(shape, pixel_mm, strict=True)]
    return np.hypot(axes[0][:, None], axes[1][None, :])


def _tiles(shape: tuple[int, int], tile: int) -> list[tuple[slice, slice]]:
    starts = [range(0, n - tile + 1, tile // 2) for n in shape]
    return [(slice(r, r + tile), slice(c, c + tile)) for r in starts[0] for c in starts[1]]
