"""Noise power spectrum of output - NDCT near a lesion, in a window of whatever shape is left.

Networks see no more than their window of HU: a spectrum of a whole crop would be that of the lung
or bone in it. Those pixels near the lesion that lie in the window are what is measured.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage

from ldct.evaluation.noise_power import (
    frequencies,
    mean_frequency,
    radial_profile,
    weighted_noise_power,
)

# Wide enough for lesions of a centimetre, the same for all of them: profiles can be averaged.
BIN_PER_MM = 0.1
# An area A holds A pi f BIN independent values about the frequency f: three in the first bin.
SMALLEST_AREA_MM2 = 100.0
# Of fewer bins a mean frequency says nothing.
FEWEST_BINS = 3
TAPER_PX = 3
FINENESS = 4  # the window's own spectrum is sampled this much finer than its pixels resolve


@dataclass(frozen=True)
class NoiseProfile:
    """Radial noise power of one image near one lesion: frequency in 1/mm, power in HU² mm²."""

    frequency: np.ndarray
    power: np.ndarray

    @property
    def mean_frequency(self) -> float:
        """Mean of the frequency, weighted by the profile, in 1/mm."""
        return mean_frequency(self.frequency, self.power)


def noise_weight(mask: np.ndarray, pixel_mm: Sequence[float]) -> np.ndarray | str:
    """Weight (0 to 1) of every pixel in a spectrum of the mask's; the reason where there is none.

    The outermost pixels of the mask count less, so that power leaks less from low to high
    frequencies. Refused are pixels too coarse for FEWEST_BINS (more than 1.6 mm), and a mask that
    covers less than SMALLEST_AREA_MM2, or that is so scattered that half of a wave's power would
    lie further than a bin's width from its frequency.

    mask : bool (rows, columns).
    """
    spacing = (float(pixel_mm[0]), float(pixel_mm[1]))
    if 0.5 / max(spacing) < FEWEST_BINS * BIN_PER_MM:
        return f"pixels too coarse for a noise spectrum ({max(spacing):.2g} mm)"
    area = mask.sum() * spacing[0] * spacing[1]
    if area < SMALLEST_AREA_MM2:
        wanted = f"{area:.0f} of {SMALLEST_AREA_MM2:.0f} mm²"
        return f"too few pixels within the window for a noise spectrum ({wanted})"
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    weight = np.sin(np.pi / 2 * np.minimum(depth / TAPER_PX, 1)) ** 2
    blur = half_power_radius(weight, spacing)
    if blur > BIN_PER_MM:
        wanted = f"blurred by {blur:.2f} 1/mm"
        return f"pixels within the window too scattered for a noise spectrum ({wanted})"
    return weight


def half_power_radius(weight: np.ndarray, pixel_mm: tuple[float, float]) -> float:
    """How far a window blurs a spectrum: half of a wave's power stays this near to it, in 1/mm."""
    shape = [fft.next_fast_len(FINENESS * count) for count in weight.shape]
    power = np.abs(np.fft.fftshift(np.fft.fft2(weight, shape))) ** 2
    radius = np.hypot(*frequencies(power.shape, pixel_mm)).ravel()
    order = np.argsort(radius, kind="stable")
    share = np.cumsum(power.ravel()[order]) / power.sum()
    return float(radius[order][np.searchsorted(share, 0.5)])


def noise_profile(
    noise_hu: np.ndarray, weight: np.ndarray, pixel_mm: Sequence[float]
) -> NoiseProfile:
    """Radial noise power of an image of noise (rows, columns, HU) under a `noise_weight`."""
    spacing = (float(pixel_mm[0]), float(pixel_mm[1]))
    power = weighted_noise_power(noise_hu, weight, spacing)
    return NoiseProfile(*radial_profile(power, spacing, BIN_PER_MM))
