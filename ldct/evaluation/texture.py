"""Texture of one patient's images, slice by slice: spectra, periodic peaks, distance to NDCT."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ldct.evaluation import periodic_peaks as peaks
from ldct.evaluation.noise_power import (
    describe_spectrum,
    noise_power,
    radial_profile,
    shape_distance,
)
from ldct.evaluation.regions import (
    PATCH_STRIDE_PX,
    soft_tissue_squares,
    spread_out,
)

# Sides of the squares in pixels; the smaller where images hold too few of the larger.
SIDES_PX = (32, 16)
# The flatter half and no less of a patient's squares: a chest has few squares of soft tissue.
FLAT_SHARE = 0.5
# A spectrum from fewer squares is mostly chance: the slice is left out.
FEWEST_SQUARES, FEWEST_SLICES = 3, 2
SPECTRUM = ["noise_std_hu", "mean_frequency", "peak_frequency", "anisotropy"]
MEASURES = [
    *SPECTRUM,
    "periodic_peak",
    "periodic_peak_pooling",
    "periodic_peak_all",
    "texture_distance",
    "noise_ratio",
    "difference_noise_std_hu",
    "difference_mean_frequency",
]


def choose_squares(ndct_by_patient: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Squares of soft tissue in which all images of a run are measured, chosen on NDCT alone.

    ndct_by_patient : patient to NDCT [slice, row, column], HU.
    Returns one row per square: patient, row (of the arrays), top, left, side (pixels, the same for
    all), spread_hu (of the smoothed pixels) and flat: whether it is one of the patient's flatter
    half, where the image itself is measured; (output - NDCT) is measured in all.
    """
    for side in SIDES_PX:
        frames = [_squares_of(name, ndct, side) for name, ndct in ndct_by_patient.items()]
        squares = pd.concat(frames, ignore_index=True)
        counts = squares[squares["flat"]].groupby(["patient", "row"]).size()
        if (counts >= FEWEST_SQUARES).sum() >= FEWEST_SLICES:
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

    image_hu, ndct_hu : [slice, row, column], HU. squares : of this patient (`choose_squares`).
    Returns a frame with one row per slice (n_squares, MEASURES and `reason`, which says why a
    slice's measures are NaN) and arrays: row, n_squares (of the measured slices), frequency (1/mm),
    radial [slice, bin], excess [slice, row, column] (in the flat squares) and excess_all (in all of
    them, of the slices that have enough), power [row, column] (mean over squares, HU² mm²),
    difference_power and difference_radial of (image - NDCT), zero where the two are equal.
    """
    flat, every = squares[squares["flat"]], squares
    own, counts = _slice_spectra(image_hu, None, flat, side, pixel_mm)
    ndct, _ = _slice_spectra(ndct_hu, None, flat, side, pixel_mm)
    different, different_counts = _slice_spectra(image_hu, ndct_hu, every, side, pixel_mm)
    frequency, _ = radial_profile(np.ones((side, side)), pixel_mm)
    rows = {
        row: _measures(power, ndct[row], pixel_mm) | {"n_squares": counts[row]}
        for row, power in own.items()
    }
    for row, power in different.items():
        if not power.any():
            continue  # NDCT itself: no difference to measure
        found = describe_spectrum(power, pixel_mm)
        rows.setdefault(row, {})["difference_noise_std_hu"] = found["noise_std_hu"]
        rows[row]["difference_mean_frequency"] = found["mean_frequency"]
    in_all, _ = _slice_spectra(image_hu, None, every, side, pixel_mm)
    excess = _stack([peaks.peak_excess(p, pixel_mm) for p in own.values()], (side, side))
    excess_all = _stack([peaks.peak_excess(p, pixel_mm) for p in in_all.values()], (side, side))
    searched, pooling = peaks.searched_bins((side, side)), peaks.pooling_bins((side, side))
    for name, spectra, found, bins in (
        ("periodic_peak", own, excess, searched),
        ("periodic_peak_pooling", own, excess, pooling),
        ("periodic_peak_all", in_all, excess_all, searched),
    ):
        for row, value in zip(spectra, peaks.cross_fitted_excess(found, bins), strict=True):
            rows.setdefault(row, {})[name] = value
    frame = pd.DataFrame.from_dict(rows, orient="index").reindex(range(len(image_hu)))
    frame = frame.reindex(columns=["n_squares", *MEASURES]).astype(float)
    squares_found = flat.groupby("row").size().reindex(frame.index, fill_value=0)
    frame["n_squares"] = squares_found.astype(int)
    frame["reason"] = _reasons(frame, len(own))
    arrays = {
        "row": np.array(list(own), dtype=np.int64),
        "n_squares": np.array([counts[row] for row in own], dtype=np.int64),
        "frequency": frequency,
        "radial": _stack([radial_profile(p, pixel_mm)[1] for p in own.values()], frequency.shape),
        "excess": excess.astype(np.float32),
        "excess_all": excess_all.astype(np.float32),
        "power": _weighted_mean(own, counts, side),
        "difference_power": _weighted_mean(different, different_counts, side),
    }
    arrays["difference_radial"] = radial_profile(arrays["difference_power"], pixel_mm)[1]
    return frame, arrays


def n_measured(squares: pd.DataFrame) -> int:
    """Squares that lie in slices with enough of them to be measured."""
    counts = squares.groupby(["patient", "row"]).size()
    return int(counts[counts >= FEWEST_SQUARES].sum())


def halves_distance(
    ndct_hu: np.ndarray, squares: pd.DataFrame, side: int, pixel_mm: tuple[float, float]
) -> np.ndarray:
    """Texture distance of NDCT to itself: of every other flat square of a slice to the rest.

    What the measure shows between two samples of one texture. One value a slice that has enough.
    """
    flat = squares[squares["flat"]]
    odd = flat.groupby("row").cumcount() % 2 == 1
    first, _ = _slice_spectra(ndct_hu, None, flat[~odd], side, pixel_mm)
    second, _ = _slice_spectra(ndct_hu, None, flat[odd], side, pixel_mm)
    profiles = [
        (radial_profile(first[row], pixel_mm), radial_profile(second[row], pixel_mm)[1])
        for row in first.keys() & second.keys()
    ]
    return np.array([shape_distance(*profile, other) for profile, other in profiles])


def _squares_of(patient: str, ndct_hu: np.ndarray, side: int) -> pd.DataFrame:
    found = soft_tissue_squares(ndct_hu, side, PATCH_STRIDE_PX)
    limit = np.quantile(found[:, 3], FLAT_SHARE) if len(found) else 0.0
    kept = spread_out(found, side)
    rows, tops, lefts = kept[:, :3].astype(int).T
    return pd.DataFrame(
        {
            "patient": patient,
            "row": rows,
            "top": tops,
            "left": lefts,
            "side": side,
            "spread_hu": kept[:, 3],
            "flat": kept[:, 3] <= limit,
        }
    )


def _slice_spectra(
    image_hu: np.ndarray,
    minus_hu: np.ndarray | None,
    squares: pd.DataFrame,
    side: int,
    pixel_mm: tuple[float, float],
) -> tuple[dict[int, np.ndarray], dict[int, int]]:
    """Mean spectrum of each slice with enough squares, and their number."""
    spectra, counts = {}, {}
    for row, own in squares.groupby("row"):
        if len(own) < FEWEST_SQUARES:
            continue
        image = np.asarray(image_hu[row], dtype=np.float64)
        if minus_hu is not None:
            image = image - minus_hu[row]
        corners = zip(own["top"], own["left"], strict=True)
        patches = np.stack([image[t : t + side, x : x + side] for t, x in corners])
        spectra[int(row)] = noise_power(patches, pixel_mm).mean(axis=0)
        counts[int(row)] = len(own)
    return spectra, counts


def _measures(
    power: np.ndarray, ndct_power: np.ndarray, pixel_mm: tuple[float, float]
) -> dict[str, float]:
    found = describe_spectrum(power, pixel_mm)
    reference = describe_spectrum(ndct_power, pixel_mm)
    frequency, profile = radial_profile(power, pixel_mm)
    ndct_profile = radial_profile(ndct_power, pixel_mm)[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = float(np.divide(found["noise_std_hu"], reference["noise_std_hu"]))
    return {
        **found,
        "texture_distance": shape_distance(frequency, profile, ndct_profile),
        "noise_ratio": ratio,
    }


def _reasons(frame: pd.DataFrame, measured: int) -> Sequence[str]:
    few = f"fewer than {FEWEST_SQUARES} flat squares of soft tissue in the slice"
    single = "one measured slice: no other to look for peaks in"
    return [
        few if np.isnan(std) else single if measured < FEWEST_SLICES else ""
        for std in frame["noise_std_hu"]
    ]


def _weighted_mean(spectra: Mapping[int, Any], counts: Mapping[int, int], side: int) -> np.ndarray:
    if not spectra:
        return np.full((side, side), np.nan)
    return np.average(list(spectra.values()), axis=0, weights=[counts[row] for row in spectra])


def _stack(arrays: Sequence[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    return np.stack(arrays) if arrays else np.empty((0, *shape))
