"""BM3D on HU slices, shared by the rows of the benchmark that use it.

The engine is the optional package `bm3d` (closed source, non-commercial licence): Dabov et al.,
IEEE TIP 2007; Makinen et al., IEEE TIP 2020 (correlated noise). It is imported on first use.
"""

import importlib
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np
from skimage.metrics import peak_signal_noise_ratio

from ldct.common.errors import InputError
from ldct.common.scaling import Scaling


def import_bm3d() -> ModuleType:
    """The package `bm3d`, or InputError telling how to install it and under which licence."""
    try:
        return importlib.import_module("bm3d")
    except ImportError as error:
        raise InputError(
            "method BM3D: the optional package bm3d is not installed; its licence allows "
            "non-commercial use only; if that fits, run: pip install 'bm3d==4.0.3'; "
            "if not, leave bm3d and bm3d_psd out of `methods`"
        ) from error


def bm3d_slice(slice_hu: np.ndarray, noise: float | np.ndarray, hu_per_unit: float) -> np.ndarray:
    """Denoise one slice with both stages of BM3D (the package's normal profile), in one thread.

    White noise is filtered by the algorithm of 2007, a spectrum by that of 2020, whose exact
    variances of overlapping blocks take 3.5 times as long.

    slice_hu : (rows, columns) HU.
    noise : standard deviation in HU (white noise), or the noise power spectrum in HU^2 in the
        order of `numpy.fft.fft2`, shape (rows, columns), whose mean is the variance.
    hu_per_unit : HU that become one unit. The scaling is linear and never clips, so that the noise
        stays additive; it matters to BM3D because block matching has thresholds made for
        images of range 1.

    Returns float32 HU, (rows, columns). Noise of level 0 returns the slice as it is.
    """
    if not np.any(noise):
        return slice_hu.astype(np.float32)
    bm3d = import_bm3d()
    profile = bm3d.BM3DProfile()
    profile.num_threads = 1  # more may add up in another order and change the last bits
    if np.ndim(noise) == 0:
        profile.nf = 0  # what switches the package to the algorithm of 2007
        sigma_psd = noise / hu_per_unit
    else:
        sigma_psd = noise / hu_per_unit**2 * slice_hu.size
    unit = bm3d.bm3d(slice_hu.astype(np.float64) / hu_per_unit, sigma_psd, profile)
    return (unit * hu_per_unit).astype(np.float32)


def tune_factor(
    denoise: Callable[[np.ndarray, int, float], np.ndarray],
    pairs: Sequence[tuple[np.ndarray, np.ndarray]],
    factors: Sequence[float],
    window: Sequence[float],
) -> dict[str, Any]:
    """The factor on the noise level that maximises the mean PSNR over training pairs.

    denoise : called as denoise(quarter_hu, index of the pair, factor).
    factors : rising grid, all positive; the best point is refined by the parabola through it and
        its two neighbours over the logarithm of the factor. A best point at an end of the grid is
        taken as it is.
    window : (lower, upper) HU; PSNR on values scaled to [0, 1] and clipped. Pairs that are equal
        in both doses within it are left out; InputError where all are.

    Returns {"factor": float, "factors": grid, "psnr_db": mean PSNR of each grid point}.
    """
    scaling = Scaling(*window, clip=True)
    different = [
        (index, quarter, full)
        for index, (quarter, full) in enumerate(pairs)
        if not np.array_equal(scaling.to_unit(quarter), scaling.to_unit(full))
    ]
    if not different:
        raise InputError(
            f"tuning: in each of {len(pairs)} training crops both doses are equal within the "
            "window; expected a quarter dose that differs: see the inventory"
        )
    psnr = [
        np.mean(
            [
                peak_signal_noise_ratio(
                    scaling.to_unit(full),
                    scaling.to_unit(denoise(quarter, index, factor)),
                    data_range=1.0,
                )
                for index, quarter, full in different
            ]
        )
        for factor in factors
    ]
    best = int(np.argmax(psnr))
    factor = float(factors[best])
    if 0 < best < len(factors) - 1:
        near = slice(best - 1, best + 2)
        curve = np.polyfit(np.log(factors[near]), psnr[near], 2)
        factor = float(np.exp(-curve[1] / (2 * curve[0]))) if curve[0] < 0 else factor
    return {
        "factor": factor,
        "factors": [float(f) for f in factors],
        "psnr_db": [float(p) for p in psnr],
    }
