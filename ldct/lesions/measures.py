"""What a method leaves of a lesion: contrast, contrast-to-noise ratio, edge, local noise.

All but the crop's scores are of HU as they are, without a window.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize, special

from ldct.lesions.masks import EdgeMap, LesionMasks, edge_map, lesion_masks
from ldct.lesions.places import lesion_centre, lesion_roi
from ldct.metrics.pixelwise import slice_scores
from ldct.metrics.protocol import Protocol
from ldct.rendering.slices import Roi

MEASURES = ["crop_psnr", "crop_ssim", "contrast_retention", "cnr", "edge_width_mm", "noise_std_hu"]
# Further columns: what the measures were made from, and why one is missing.
FURTHER = ["contrast_hu", "note"]
EDGE_BIN_MM = 0.25
STEP_TO_MISFIT, SMALLEST_STEP_HU = 3.0, 0.1
TEN_TO_NINETY = 2.5631  # widths of a Gaussian-blurred edge, in its standard deviation
CONTRAST_TO_ERROR = 2.0
# Pixels of one value, of all: so many are no tissue with noise, but clipped.
CLIPPED_SHARE = 0.5


@dataclass(frozen=True)
class LesionView:
    """One annotated lesion in one NDCT slice, ready to measure images of that slice.

    roi : crop (top, bottom, left, right). ndct_hu : the crop.
    masks, edge : or the reason why there are none; an edge is one that can be fitted in NDCT, so
    that all images are measured at the same edges.
    """

    roi: Roi
    ndct_hu: np.ndarray
    masks: LesionMasks | str
    edge: EdgeMap | str


def lesion_view(
    ndct_hu: np.ndarray, lesion: Mapping[str, Any], info: Mapping[str, Any]
) -> LesionView:
    """Find the pixels of a lesion in one slice (rows, columns) of NDCT, in HU.

    lesion : row of lesions.csv. info : content of the test folder's volume.json.
    """
    roi = lesion_roi(lesion, info, ndct_hu.shape)
    crop = crop_of(ndct_hu, roi)
    spacing, (row, column) = np.asarray(info["pixel_mm"], float), lesion_centre(lesion, info)
    rows = (np.arange(roi[0], roi[1]) - row) * spacing[0]
    columns = (np.arange(roi[2], roi[3]) - column) * spacing[1]
    place = np.hypot(rows[:, None], columns), lesion["diameter_mm"], spacing
    masks = lesion_masks(crop, *place)
    edge: EdgeMap | str = "no lesion pixels"
    if isinstance(masks, LesionMasks):
        edge = edge_map(crop, masks, *place)
    if isinstance(edge, EdgeMap) and np.isnan(edge_width(crop[edge.pixels], edge.distance_mm)):
        edge = "no edge could be fitted in NDCT"
    return LesionView(roi, crop, masks, edge)


def measure_lesion(view: LesionView, image_hu: np.ndarray, protocol: Protocol) -> dict[str, Any]:
    """MEASURES and FURTHER of one image (rows, columns, HU) of the view's slice.

    crop_psnr (dB), crop_ssim : of the crop, as if it were the image.
    contrast_retention : contrast over that of NDCT.
    cnr : |contrast| over the root mean square of the two standard deviations (lesion, background).
        Both are NaN where NDCT has no contrast beyond twice its standard error. They, the contrast
        and the edge are NaN where more than half of lesion or background has one value, in NDCT or
        in the image: there is neither its noise nor its level.
    edge_width_mm : 10 to 90 % of an error function fitted across the edge (see `edge_width`).
    noise_std_hu : of image - NDCT near the lesion. NaN for NDCT itself.
    contrast_hu : mean of the lesion minus mean of the background. note : why a value is NaN.
    """
    crop = crop_of(image_hu, view.roi)
    found: dict[str, Any] = dict.fromkeys([*MEASURES, "contrast_hu"], np.nan)
    if min(crop.shape) >= protocol.ssim.side:
        scores = slice_scores(crop, view.ndct_hu, protocol)
        found |= {"crop_psnr": scores["psnr"], "crop_ssim": scores["ssim"]}
    if isinstance(view.masks, str):
        return {**found, "note": view.masks}
    noise = crop - view.ndct_hu
    if noise.any():
        found["noise_std_hu"] = float(noise[view.masks.neighbourhood].std())
    if clipped := _clipped(view.ndct_hu, view.masks, " in NDCT") or _clipped(crop, view.masks):
        return {**found, "note": clipped}
    notes = []
    found |= _contrast(view.ndct_hu, crop, view.masks)
    if np.isnan(found["contrast_retention"]):
        notes.append("no contrast in NDCT")
    if isinstance(view.edge, str):
        notes.append(view.edge)
    else:
        found["edge_width_mm"] = edge_width(crop[view.edge.pixels], view.edge.distance_mm)
        if np.isnan(found["edge_width_mm"]):
            notes.append("no edge could be fitted")
    return {**found, "note": "; ".join(notes)}


def _clipped(image: np.ndarray, masks: LesionMasks, where: str = "") -> str:
    """Which of lesion and background is clipped in an image, at what; empty where none is."""
    for name in ("background", "lesion"):
        values, counts = np.unique(image[getattr(masks, name)], return_counts=True)
        if counts.max() > CLIPPED_SHARE * counts.sum():
            return f"{name} clipped at {values[counts.argmax()]:g} HU{where}"
    return ""


def _contrast(ndct: np.ndarray, image: np.ndarray, masks: LesionMasks) -> dict[str, float]:
    contrast, spread, _ = _contrast_of(image, masks)
    full, _, error = _contrast_of(ndct, masks)
    visible = abs(full) > CONTRAST_TO_ERROR * error
    return {
        "contrast_hu": contrast,
        "cnr": abs(contrast) / spread if visible and spread > 0 else np.nan,
        "contrast_retention": contrast / full if visible else np.nan,
    }


def _contrast_of(image: np.ndarray, masks: LesionMasks) -> tuple[float, float, float]:
    """Contrast, root mean square of both standard deviations, standard error of the contrast."""
    inside, outside = image[masks.lesion], image[masks.background]
    contrast = float(inside.mean() - outside.mean())
    spread = float(np.sqrt((inside.var(ddof=1) + outside.var(ddof=1)) / 2))
    error = float(np.sqrt(inside.var(ddof=1) / inside.size + outside.var(ddof=1) / outside.size))
    return contrast, spread, error


def edge_width(values_hu: np.ndarray, distance_mm: np.ndarray) -> float:
    """10-90 % width in mm of an edge: values at signed distances from it, any order.

    An error function is fitted to the means of bins of 0.25 mm. NaN where the fit does not
    converge, its step does not stand out of what it misses, or its width is that of a bin or of
    all distances.

    >>> distance = np.linspace(-5, 5, 401)
    >>> round(edge_width(blurred_edge(distance, 100.0, 40.0, 0.0, 0.8), distance), 1)
    2.1
    """
    bins = np.floor((distance_mm - distance_mm.min()) / EDGE_BIN_MM).astype(int)
    counts = np.bincount(bins)
    used = counts > 0
    place = np.bincount(bins, distance_mm)[used] / counts[used]
    value = np.bincount(bins, values_hu)[used] / counts[used]
    if len(place) < 8:
        return np.nan
    extent = float(np.ptp(distance_mm))
    narrowest = EDGE_BIN_MM / 4
    start = (value[:3].mean(), value[-3:].mean(), 0.0, extent / 10)
    weight = np.sqrt(counts[used])
    fit = optimize.least_squares(
        lambda parameters: weight * (blurred_edge(place, *parameters) - value),
        start,
        bounds=([-np.inf, -np.inf, -extent / 2, narrowest], [np.inf, np.inf, extent / 2, extent]),
        x_scale=(abs(start[0] - start[1]) + 1, abs(start[0] - start[1]) + 1, extent, extent),
    )
    width = TEN_TO_NINETY * float(fit.x[3])
    misfit = np.sqrt(np.mean((fit.fun / weight) ** 2))
    # An image without an edge has a best fit, too.
    stands_out = abs(fit.x[0] - fit.x[1]) > STEP_TO_MISFIT * misfit + SMALLEST_STEP_HU
    between = narrowest * 1.01 < fit.x[3] and width < extent
    resolved = fit.success and stands_out and between
    return width if resolved else np.nan


def blurred_edge(
    distance_mm: np.ndarray, inner_hu: float, outer_hu: float, shift_mm: float, sigma_mm: float
) -> np.ndarray:
    """A step from `inner_hu` to `outer_hu` at `shift_mm`, blurred by a Gaussian.

    >>> blurred_edge(np.array([-9.0, 0.0, 9.0]), 100.0, 40.0, 0.0, 1.0)
    array([100.,  70.,  40.])
    """
    scaled = (distance_mm - shift_mm) / (np.sqrt(2) * sigma_mm)
    return outer_hu + (inner_hu - outer_hu) * special.erfc(scaled) / 2


def crop_of(image_hu: np.ndarray, roi: Roi) -> np.ndarray:
    """The region (rows, columns) of a slice, float64 HU."""
    top, bottom, left, right = roi
    return np.asarray(image_hu[top:bottom, left:right], np.float64)
