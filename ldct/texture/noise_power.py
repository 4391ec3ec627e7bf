"""Noise power spectra of patches, and the few numbers that describe one.

Arrays of spectra are ordered by ascending frequency (`numpy.fft.fftshift`): zero frequency stands
at row `rows // 2`, column `columns // 2`.
"""

import numpy as np

TREND_DEGREE = 2
LATTICE_STRIDE = 8
# CT images are stored in whole HU.
ROUNDING_VARIANCE_HU2 = 1 / 12


def noise_power(patches_hu: np.ndarray, pixel_mm: tuple[float, float]) -> np.ndarray:
    """Noise power spectrum of each patch, in HU² mm².

    A polynomial of degree two is removed from each patch (IEC 62220 and most of the CT literature:
    anatomy and cupping are no noise), then a Hann window is applied, so that what is left of
    structure does not leak along the axes, where traces of pooling would lie. The window's loss of
    power is made good: the integral over all frequencies is the (window-weighted) variance in HU².

    patches_hu : [patch, row, column], HU. pixel_mm : row and column spacing.
    Returns [patch, row frequency, column frequency]; frequencies as `frequencies` gives them.

    >>> noise = np.random.default_rng(0).normal(0, 10, (500, 16, 16))
    >>> round(float(noise_power(noise, (0.5, 0.5)).mean()))  # 10² HU² · 0.5² mm²
    25
    """
    patches = np.asarray(patches_hu, dtype=np.float64)
    rows, columns = patches.shape[1:]
    window = np.outer(_hann(rows), _hann(columns))
    spectrum = np.fft.fftshift(np.fft.fft2(detrend(patches) * window), axes=(1, 2))
    return np.abs(spectrum) ** 2 * (pixel_mm[0] * pixel_mm[1] / np.sum(window**2))


def frequencies(
    shape: tuple[int, int], pixel_mm: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Row and column frequency of every bin of a spectrum, each [row, column], in 1/mm.

    >>> frequencies((4, 4), (0.5, 0.5))[0][:, 0].tolist()
    [-1.0, -0.5, 0.0, 0.5]
    """
    axes = [
        np.fft.fftshift(np.fft.fftfreq(count, spacing))
        for count, spacing in zip(shape, pixel_mm, strict=True)
    ]
    row, column = np.meshgrid(*axes, indexing="ij")
    return row, column


def detrend(patches_hu: np.ndarray) -> np.ndarray:
    """Patches [patch, row, column] minus their least-squares polynomial of degree two.

    >>> bowl = np.linspace(-1, 1, 16)[None, :, None] ** 2 + np.zeros((1, 16, 16))
    >>> bool(np.abs(detrend(bowl)).max() < 1e-12)
    True
    """
    count, rows, columns = patches_hu.shape
    y, x = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, columns), indexing="ij")
    terms = [
        (y**i * x**j).ravel() for i in range(TREND_DEGREE + 1) for j in range(TREND_DEGREE + 1 - i)
    ]
    basis, _ = np.linalg.qr(np.stack(terms, axis=1))
    flat = patches_hu.reshape(count, -1)
    return (flat - (flat @ basis) @ basis.T).reshape(patches_hu.shape)


def noise_variance(power: np.ndarray, pixel_mm: tuple[float, float]) -> float:
    """Integral of a spectrum [row, column] in HU² mm² over all frequencies: variance in HU².

    >>> noise_variance(np.full((16, 16), 25.0), (0.5, 0.5))
    100.0
    """
    rows, columns = power.shape
    return float(power.sum() / (rows * pixel_mm[0] * columns * pixel_mm[1]))


def radial_profile(
    power: np.ndarray, pixel_mm: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Mean of a spectrum over all directions, in rings as wide as the coarser axis resolves.

    power : [..., row, column]. Returns frequencies in 1/mm (from the first ring above zero to the
    lower of the two Nyquist frequencies) and the profile [..., ring] in the unit of `power`.

    >>> frequency, profile = radial_profile(np.full((16, 16), 25.0), (0.5, 0.5))
    >>> frequency.tolist(), round(float(profile.mean()), 6)
    ([0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0], 25.0)
    """
    rows, columns = power.shape[-2:]
    width = 1 / min(rows * pixel_mm[0], columns * pixel_mm[1])
    last = int(0.5 / max(pixel_mm) / width + 1e-9)
    rings = np.rint(np.hypot(*frequencies((rows, columns), pixel_mm)) / width).astype(int)
    inside = (rings >= 1) & (rings <= last)
    members = (rings[inside][None, :] == np.arange(1, last + 1)[:, None]).astype(np.float64)
    profile = power[..., inside] @ (members / members.sum(axis=1, keepdims=True)).T
    return width * np.arange(1, last + 1), profile


def mean_frequency(frequency: np.ndarray, profile: np.ndarray) -> float:
    """Average frequency of a radial profile, weighted by the profile (AAPM TG-233), in 1/mm.

    >>> mean_frequency(np.array([0.1, 0.2, 0.3]), np.array([1.0, 2.0, 1.0]))
    0.2
    """
    total = profile.sum()
    return float(frequency @ profile / total) if total > 0 else float("nan")


def lattice_ratio(power: np.ndarray, pixel_mm: tuple[float, float]) -> float:
    """Noise power at the frequencies of pooling over that around them; 1 where there is no pattern.

    Pooling with strides 2, 4 and 8 leaves traces at multiples of 1/8 cycle per pixel, its lattice.
    With W = (P + r) / R, where P is the spectrum, R the radial profile of the numerator (a spectrum
    that falls steeply is no pattern) and r the power of rounding to whole HU (what is weaker counts
    for nothing): the mean of W over the lattice without zero frequency, divided by the mean of W
    over the bins half way between its points, which make a ring around each.

    power : [row, column] as `noise_power` gives it, sides multiples of 16. A line of power along an
    axis (streaks, edges) raises the ratio too: compare with NDCT in the same places.

    >>> lattice_ratio(np.full((16, 16), 25.0), (0.5, 0.5))
    1.0
    """
    power = power + ROUNDING_VARIANCE_HU2 * pixel_mm[0] * pixel_mm[1]
    frequency, profile = radial_profile(power, pixel_mm)
    radius = np.hypot(*frequencies(power.shape, pixel_mm))
    even = power / np.interp(radius, frequency, profile)
    steps = [count // LATTICE_STRIDE for count in power.shape]
    away = [
        np.minimum(bins % step, -bins % step)
        for bins, step in zip(map(np.arange, power.shape), steps, strict=True)
    ]
    between = np.maximum.outer(away[0] / steps[0], away[1] / steps[1])
    return float(even[(between == 0) & (radius > 0)].mean() / even[between == 0.5].mean())


def describe_spectrum(power: np.ndarray, pixel_mm: tuple[float, float]) -> dict[str, float]:
    """The numbers of one spectrum [row, column]: noise_std_hu, mean_frequency and lattice_ratio.

    mean_frequency in 1/mm; NaN where there is no power.

    >>> describe_spectrum(np.full((16, 16), 25.0), (0.5, 0.5))
    {'noise_std_hu': 10.0, 'mean_frequency': 0.5625, 'lattice_ratio': 1.0}
    """
    return {
        "noise_std_hu": float(np.sqrt(noise_variance(power, pixel_mm))),
        "mean_frequency": mean_frequency(*radial_profile(power, pixel_mm)),
        "lattice_ratio": lattice_ratio(power, pixel_mm),
    }


def shape_distance(frequency: np.ndarray, profile: np.ndarray, reference: np.ndarray) -> float:
    """Texture distance of two radial profiles, whatever their amplitudes, in 1/mm.

    The Wasserstein distance of the two profiles, each scaled to sum one: by how much power must be
    moved along the frequency axis, on average. Never less than the difference of the two mean
    frequencies; 0 for profiles that differ by a factor. NaN where a profile has no power.

    >>> profile = np.array([1.0, 0.0, 0.0])
    >>> shape_distance(np.array([0.1, 0.2, 0.3]), profile, profile[::-1])  # all of it moves by 0.2
    0.2
    """
    totals = profile.sum(), reference.sum()
    if not min(totals) > 0:
        return float("nan")
    gap = np.cumsum(profile / totals[0] - reference / totals[1])
    return float(np.abs(gap).sum() * (frequency[1] - frequency[0]))


def _hann(count: int) -> np.ndarray:
    return np.sin(np.pi * (np.arange(count) + 0.5) / count) ** 2
