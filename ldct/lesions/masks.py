"""Pixels of a lesion, of its background and of its edge, found by rule in the NDCT image alone.

The same pixels serve every method: a method cannot gain by moving them.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.stats import median_abs_deviation

# Bounds of tissue classes in HU (below: air and lung; above: bone and contrast medium).
CLASS_BOUNDS_HU = (-500.0, -150.0, -20.0, 150.0)
SMOOTHING_MM = 1.0
CORE_SHARE = 0.5  # of the radius: what tissue the lesion is
ERODED_FROM_PX = 30
SMALLEST_LESION_PX, SMALLEST_BACKGROUND_PX = 4, 20
GAP_MM, SMALLEST_WIDTH_MM = 1.5, 3.0
FINENESS = 3  # distances are measured on a grid this much finer than the pixels
FOREIGN_MM = 3.0
SMALLEST_DEPTH_PX = 3.0
EDGE_CONTRAST_TO_NOISE = 3.0


@dataclass(frozen=True)
class LesionMasks:
    """Pixels of one lesion in one slice; masks are bool (rows, columns) of the crop.

    lesion : the lesion without its rim. background : the annulus about it, of one tissue class.
    neighbourhood : all pixels within the outer radius of the annulus.
    """

    lesion: np.ndarray
    background: np.ndarray
    neighbourhood: np.ndarray


@dataclass(frozen=True)
class EdgeMap:
    """Pixels across a lesion's edge: which, and how far outside the edge each lies (mm)."""

    pixels: np.ndarray
    distance_mm: np.ndarray


def lesion_masks(
    ndct_hu: np.ndarray, radius_mm: np.ndarray, diameter_mm: float, spacing_mm: np.ndarray
) -> LesionMasks | str:
    """Lesion and background pixels in a crop of an NDCT slice; the reason where there are none.

    The image is smoothed by 1 mm and its pixels are sorted into tissue classes. The lesion is the
    largest connected part of its class (the commonest one within half the radius) in the annotated
    circle, without its outermost pixels where 30 or more remain: they hold some background. The
    background is the annulus from 1.5 mm outside that circle, half a radius and at least 3 mm
    wide, of the class most common in it: other tissue is left out.

    ndct_hu : crop (rows, columns) in HU. radius_mm : of every pixel from the annotated centre.
    diameter_mm : as annotated. spacing_mm : of rows and columns.
    """
    limit = diameter_mm / 2
    classes = np.digitize(_smoothed(ndct_hu, spacing_mm), CLASS_BOUNDS_HU)
    # At least the pixel nearest to the centre.
    core = radius_mm <= max(CORE_SHARE * limit, radius_mm.min())
    inside = _largest_part((classes == _commonest(classes[core])) & (radius_mm <= limit))
    without_rim = ndimage.binary_erosion(inside)
    lesion_pixels = without_rim if without_rim.sum() >= ERODED_FROM_PX else inside
    if lesion_pixels.sum() < SMALLEST_LESION_PX:
        return f"lesion of {lesion_pixels.sum()} pixels"
    inner = limit + GAP_MM
    outer = inner + max(limit / 2, SMALLEST_WIDTH_MM)
    annulus = (radius_mm > inner) & (radius_mm <= outer)
    if not annulus.any():
        return "no pixels around the lesion"
    background = annulus & (classes == _commonest(classes[annulus]))
    if background.sum() < SMALLEST_BACKGROUND_PX:
        return f"background of {background.sum()} pixels"
    return LesionMasks(lesion_pixels, background, radius_mm <= outer)


def edge_map(
    ndct_hu: np.ndarray,
    masks: LesionMasks,
    radius_mm: np.ndarray,
    diameter_mm: float,
    spacing_mm: np.ndarray,
) -> EdgeMap | str:
    """Distances from a lesion's edge; the reason where the lesion has no measurable one.

    The edge is where the smoothed NDCT image passes half-way from the lesion's mean to the
    background's, about the connected part that holds the lesion. Pixels within 3 mm of other
    structures of the lesion's side of half-way (vessels, the chest wall), or as far beyond the
    background as the lesion is on this side (air), are left out, and so are those deeper inside
    than the lesion's depth allows or further out than the annulus.

    Arguments as for `lesion_masks`.
    """
    smooth = _smoothed(ndct_hu, spacing_mm)
    inside_hu, outside_hu = ndct_hu[masks.lesion].mean(), ndct_hu[masks.background].mean()
    # Of the bulk: pixels beside air or bone hold some of it.
    noise = median_abs_deviation(smooth[masks.background], scale="normal")
    if abs(inside_hu - outside_hu) < EDGE_CONTRAST_TO_NOISE * noise:
        return "contrast too low for an edge"
    sign = np.sign(inside_hu - outside_hu)
    fine, step = _on_finer_grid(smooth)
    beyond_half = sign * (fine - (inside_hu + outside_hu) / 2) > 0
    near = _on_finer_grid(radius_mm)[0] <= diameter_mm / 2 + GAP_MM
    body = _largest_part(beyond_half & near)
    foreign = (beyond_half & ~body) | (sign * (fine - (2 * outside_hu - inside_hu)) < 0)
    sampling = spacing_mm * step
    depth = ndimage.distance_transform_edt(body, sampling)
    height = ndimage.distance_transform_edt(~body, sampling)
    # Both count from the centres of pixels on the other side of the edge.
    distance = np.where(body, sampling.mean() / 2 - depth, height - sampling.mean() / 2)
    reach = min(float(depth.max()), max(diameter_mm / 4, SMALLEST_WIDTH_MM))
    if depth.max() < SMALLEST_DEPTH_PX * spacing_mm.max():
        return f"lesion too small for an edge ({depth.max() / spacing_mm.max():.1f} pixels deep)"
    kept = np.abs(distance) <= reach
    if foreign.any():
        kept &= ndimage.distance_transform_edt(~foreign, sampling) > FOREIGN_MM
    back = np.s_[::FINENESS, ::FINENESS]
    return EdgeMap(kept[back], distance[back][kept[back]])


def _smoothed(hu: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray:
    """Image smoothed by 1 mm: noise must not decide to which class a pixel belongs."""
    return ndimage.gaussian_filter(np.asarray(hu, np.float64), SMOOTHING_MM / spacing_mm)


def _commonest(classes: np.ndarray) -> int:
    return int(np.bincount(classes).argmax())


def _largest_part(mask: np.ndarray) -> np.ndarray:
    parts, count = ndimage.label(mask)
    if count == 0:
        return mask
    return parts == 1 + np.bincount(parts[parts > 0] - 1).argmax()


def _on_finer_grid(image: np.ndarray) -> tuple[np.ndarray, float]:
    """Image interpolated linearly between pixels; pixel (i, j) is point FINENESS x (i, j)."""
    axes = [np.arange(FINENESS * (size - 1) + 1) / FINENESS for size in image.shape]
    points = np.meshgrid(*axes, indexing="ij")
    return ndimage.map_coordinates(image, points, order=1), 1 / FINENESS
