"""VIF and GMSD of one slice: full-reference metrics beside PSNR and SSIM (docs/metrics.md)."""

import importlib
from types import ModuleType

import numpy as np
from scipy.ndimage import correlate1d

from ldct.common.errors import InputError

# VIF's visual noise (variance 2) and GMSD's constant (170) are made for grey values of 0 .. 255.
GREY_LEVELS = 255.0
VIF_SMALLEST_SIDE = 41
VIF_VISUAL_NOISE = 2.0
GMSD_SMALLEST_SIDE = 4
GMSD_CONSTANT = 170.0 / GREY_LEVELS**2


def import_image_metrics() -> ModuleType:
    """torchmetrics' image metrics, or InputError telling how to install them."""
    try:
        return importlib.import_module("torchmetrics.functional.image")
    except ImportError as error:
        raise InputError(
            "metric VIF: the package torchmetrics is not installed (extra `metrics`); run: "
            "pip install 'torchmetrics==1.9.0', or scripts/setup.sh"
        ) from error


def vif(prediction_unit: np.ndarray, ndct_unit: np.ndarray) -> float:
    """Visual information fidelity in the pixel domain (VIF-P), torchmetrics' in float32.

    prediction_unit, ndct_unit : (rows, columns), window units ([0, 1] is the window); scaled to
        0 .. 255 here, which VIF's noise constant presumes: on [0, 1] it says "0.98" of everything.
    1 for equal images; above 1 is possible (contrast raised without noise). Blind to a constant
    shift. NaN where a side is shorter than 41 pixels or NDCT is constant.
    Source: Sheikh and Bovik, IEEE TIP 15:430-444, 2006 (pixel domain: their public code).

    >>> stripes = np.indices((48, 48))[0] % 8 / 8
    >>> round(vif(0.5 * stripes, stripes), 2)
    0.82
    """
    import torch

    if min(ndct_unit.shape) < VIF_SMALLEST_SIDE:
        return float("nan")
    # VIF is one of variances: a mean of 0 changes nothing but the rounding error of squares.
    pair = [
        torch.from_numpy(np.asarray((image - image.mean()) * GREY_LEVELS, np.float32))[None, None]
        for image in (prediction_unit, ndct_unit)
    ]
    information = import_image_metrics().visual_information_fidelity
    return float(information(*pair, sigma_n_sq=VIF_VISUAL_NOISE))


def gmsd(prediction_unit: np.ndarray, ndct_unit: np.ndarray) -> float:
    """Gradient magnitude similarity deviation; 0 for equal images, larger is worse.

    prediction_unit, ndct_unit : (rows, columns), window units ([0, 1] is the window).
    Means of 2 x 2 pixels first, then Prewitt gradients, as the authors do; at the border the image
    goes on as it ends (the authors pad with zeros, which makes an edge of any shift). Blind to a
    constant shift. NaN where a side is shorter than 4 pixels.
    Source: Xue, Zhang, Mou, Bovik, IEEE TIP 23:684-695, 2014; no library at hand has it.

    >>> edge = np.indices((8, 8))[0] // 4
    >>> round(gmsd(0.1 * edge, edge), 3)
    0.4
    """
    if min(ndct_unit.shape) < GMSD_SMALLEST_SIDE:
        return float("nan")
    ours, theirs = (_gradient_magnitude(_halve(image)) for image in (prediction_unit, ndct_unit))
    similarity = (2 * ours * theirs + GMSD_CONSTANT) / (ours**2 + theirs**2 + GMSD_CONSTANT)
    return float(np.std(similarity))


def _halve(image: np.ndarray) -> np.ndarray:
    rows, columns = (side // 2 * 2 for side in image.shape)
    pairs = image[0:rows:2, :columns] + image[1:rows:2, :columns]
    return (pairs[:, 0::2] + pairs[:, 1::2]) / 4


def _gradient_magnitude(image: np.ndarray) -> np.ndarray:
    across, along = np.array([1.0, 0.0, -1.0]), np.full(3, 1 / 3)
    gradients = [
        correlate1d(
            correlate1d(image, across, axis, mode="nearest"), along, 1 - axis, mode="nearest"
        )
        for axis in (0, 1)
    ]
    return np.hypot(*gradients)
