"""Texture of one patient's images, slice by slice: noise power and its distance to NDCT."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ldct.data.volumes import neighbour_mean
from ldct.texture.columns import TEXTURE
from ldct.texture.noise_power import describe_spectrum, noise_power, radial_profile, shape_distance
from ldct.texture.regions import soft_tissue_squares, spread_out

# Sides of the squares in pixels; the smaller where images hold too few of the larger.
SIDES_PX = (32, 16)
# Corners of the squares stand on the lattice of max-pooling with stride 8.
STRIDE_PX = 8
# The flatter half and no less of a patient's squares: a chest has few squares of soft tissue.
FLAT_SHARE = 0.5
# A spectrum from fewer squares is mostly chance: the slice is left out.
FEWEST_SQUARES, FEWEST_SLICES = 3, 2
MEASURES = [name for name in TEXTURE if name != "n_squares"]
FEW = (
    f"fewer than {FEWEST_SQUARES} flat squares of soft tissue in the slice, or equal in both doses"
)


def choose_squares(
    volumes: Sequence[tuple[np.ndarray, Mapping[str, Any], Sequence[int]]], n_slices: int
) -> pd.DataFrame:
    """Flat squares of soft tissue in which all images of a run are measured, chosen on NDCT alone.

    A square is chosen on the slices beside its own (`neighbour_mean`): the flattest squares of a
    slice are those where its noise happens to be low.
    volumes : of every patient NDCT [slice, row, column], HU, content of volume.json, and slices
    without squares: those that are equal in both doses say nothing of a method.
    Returns one row per square: patient, slice_index (row of the volume), top, left, side (pixels,
    the same for all) and spread_hu (of the smoothed pixels): of the flatter half of a patient's
    squares those in the n_slices slices that have most of them.
    """
    for side in SIDES_PX:
        squares = pd.concat(
            [_squares_of(*volume, n_slices, side) for volume in volumes], ignore_index=True
        )
        if len(squares.drop_duplicates(["patient", "slice_index"])) >= FEWEST_SLICES:
            break
    return squares


def measure_texture(
    image_hu: np.ndarray,
    ndct_hu: np.ndarray,
    squares: pd.DataFrame,
    side: int,
    pixel_mm: tuple[float, float],
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Measures of every slice and the spectra behind them.

    image_hu, ndct_hu : [slice, row, column], HU. squares : of this patient, with `row` of the
    arrays.
    Returns a frame with one row per slice (n_squares, MEASURES and `reason`, which says why a
    slice's measures are NaN) and arrays: row, n_squares (of the measured slices), frequency (1/mm),
    radial [slice, bin] and power [row, column] (mean over squares), both in HU² mm².
    """
    counts = squares.groupby("row").size().reindex(range(len(image_hu)), fill_value=0)
    ndct = slice_spectra(ndct_hu, squares, side, pixel_mm)
    own = slice_spectra(image_hu, squares, side, pixel_mm)
    measured = {row: _measures(power, ndct[row], pixel_mm) for row, power in own.items()}
    frame = pd.DataFrame.from_dict(measured, orient="index", columns=MEASURES, dtype=float)
    frame = frame.reindex(counts.index)
    frame.insert(0, "n_squares", counts)
    frame["reason"] = ["" if row in own else FEW for row in frame.index]
    rows = np.array(list(own), dtype=np.int64)
    weights = counts.to_numpy()[rows]
    spectra = np.array(list(own.values())).reshape(-1, side, side)
    frequency, radial = radial_profile(spectra, pixel_mm)
    power = np.full((side, side), np.nan)
    if own:
        power = np.average(spectra, axis=0, weights=weights)
    arrays = {"row": rows, "n_squares": weights, "frequency": frequency}
    return frame, arrays | {"radial": radial, "power": power}


def slice_spectra(
    image_hu: np.ndarray, squares: pd.DataFrame, side: int, pixel_mm: tuple[float, float]
) -> dict[int, np.ndarray]:
    """Row of the array to the mean spectrum of its squares, where there are enough of them."""
    spectra = {}
    for row, own in squares.groupby("row"):
        if len(own) >= FEWEST_SQUARES:
            image = np.asarray(image_hu[row], dtype=np.float64)
            corners = zip(own["top"], own["left"], strict=True)
            patches = np.stack([image[t : t + side, x : x + side] for t, x in corners])
            spectra[int(row)] = noise_power(patches, pixel_mm).mean(axis=0)
    return spectra


def halves_distance(
    ndct_hu: np.ndarray, squares: pd.DataFrame, side: int, pixel_mm: tuple[float, float]
) -> list[float]:
    """Texture distance of NDCT to itself: of every other square of a slice to the rest.

    What the measure shows between two samples of one texture. One value a slice that has enough.
    """
    odd = squares.groupby("row").cumcount() % 2 == 1
    first, second = (slice_spectra(ndct_hu, squares[own], side, pixel_mm) for own in (~odd, odd))
    return [_distance(first[row], second[row], pixel_mm) for row in first if row in second]


def _squares_of(
    ndct_hu: np.ndarray, info: Mapping[str, Any], left_out: Sequence[int], n_slices: int, side: int
) -> pd.DataFrame:
    means = (neighbour_mean(ndct_hu, row, info) for row in range(len(ndct_hu)))
    found = soft_tissue_squares((mean for mean in means if mean is not None), side, STRIDE_PX)
    found = found[~np.isin(found[:, 0], left_out)]
    limit = np.quantile(found[:, 3], FLAT_SHARE) if len(found) else 0.0
    flat = spread_out(found[found[:, 3] <= limit], side)
    places = pd.DataFrame(flat[:, :3].astype(int), columns=["slice_index", "top", "left"])
    places.insert(0, "patient", info["patient"])
    places = places.assign(side=side, spread_hu=flat[:, 3])
    counts = places.groupby("slice_index").size()
    most = counts[counts >= FEWEST_SQUARES].nlargest(n_slices).index
    return places[places["slice_index"].isin(most)]


def _measures(
    power: np.ndarray, ndct_power: np.ndarray, pixel_mm: tuple[float, float]
) -> dict[str, Any]:
    found = describe_spectrum(power, pixel_mm)
    reference = describe_spectrum(ndct_power, pixel_mm)["noise_std_hu"]
    return {
        **found,
        "texture_distance": _distance(power, ndct_power, pixel_mm),
        "noise_ratio": found["noise_std_hu"] / reference if reference else np.nan,
    }


def _distance(power: np.ndarray, other: np.ndarray, pixel_mm: tuple[float, float]) -> float:
    frequency, profile = radial_profile(power, pixel_mm)
    return shape_distance(frequency, profile, radial_profile(other, pixel_mm)[1])
