"""Partners among the slices of two doses by position, and how far apart the doses are."""

from collections.abc import Mapping, Sequence

import numpy as np

from ldct.data.dicom.header import SliceHeader
from ldct.data.dicom.pairs.gaps import find_gaps

SAME_MM = 0.01  # the two doses of the AAPM data have exactly equal positions
OFFSET = 0.45  # of a slice spacing: doses further apart have no partner that is clearly nearest


def match(
    full: Sequence[SliceHeader], quarter: Sequence[SliceHeader], tolerance_mm: float
) -> tuple[list[tuple[SliceHeader, ...]], list[SliceHeader]]:
    """Pairs of nearest slices within the tolerance, and the slices without a partner."""
    if not full or not quarter:
        return [], [*full, *quarter]
    distance = _distances(full, quarter)
    nearest_quarter, nearest_full = distance.argmin(axis=1), distance.argmin(axis=0)
    pairs: list[tuple[SliceHeader, ...]] = [
        (full[row], quarter[column])
        for row, column in enumerate(nearest_quarter)
        if nearest_full[column] == row and distance[row, column] <= tolerance_mm
    ]
    paired = {header.path for pair in pairs for header in pair}
    return pairs, [header for header in (*full, *quarter) if header.path not in paired]


def _distances(full: Sequence[SliceHeader], quarter: Sequence[SliceHeader]) -> np.ndarray:
    """Distance (mm) of every full-dose slice (row) from every quarter-dose slice (column)."""
    first, second = (np.array([header.along_mm for header in each]) for each in (full, quarter))
    return np.abs(first[:, None] - second)


def apart(by_dose: Mapping[str, Sequence[SliceHeader]], tolerance_mm: float) -> str:
    """How far apart the doses are, and what to do about it."""
    few, many = sorted(by_dose.values(), key=len)[0], sorted(by_dose.values(), key=len)[-1]
    if not few:
        without = next(dose for dose, slices in by_dose.items() if not slices)
        return f": the {without} dose has no sound slice"
    nearest = _distances(few, many).min(axis=1)
    typical = float(np.median(nearest))
    reach = OFFSET * _step(many)
    if tolerance_mm < typical <= reach:
        enough = _enough(nearest[nearest <= reach])
        return (
            f": the doses are {typical:.3g} mm apart (first: {few[0].path}); if they are one "
            f"scan, set z_tolerance_mm: {enough:.3g} in the description"
        )
    ranges = " and ".join(
        f"{dose} dose from z = {each[0].z_mm:g} to {each[-1].z_mm:g} mm (first: {each[0].path})"
        for dose, each in by_dose.items()
    )
    return f": the nearest are {typical:.4g} mm apart, {ranges}; are they one scan on one grid?"


def near_misses(
    by_dose: Mapping[str, Sequence[SliceHeader]], unpaired: Sequence[SliceHeader]
) -> str:
    """How far apart slices of both doses without a partner are; empty where none are near."""
    lonely = [[each for each in unpaired if each.dose == dose] for dose in by_dose]
    if not all(lonely) or len(lonely) < 2:
        return ""
    nearest = _distances(*lonely).min(axis=1)
    near = nearest[nearest <= OFFSET * _step(max(by_dose.values(), key=len))]
    if not len(near):
        return ""
    return (
        f"{len(near)} slices of the doses are {np.median(near):.3g} mm apart; if they are pairs, "
        f"set z_tolerance_mm: {_enough(near):.3g} in the description"
    )


def _step(slices: Sequence[SliceHeader]) -> float:
    return float(np.median(np.diff([each.along_mm for each in slices]))) if len(slices) > 1 else 0.0


def _enough(distances: np.ndarray) -> float:
    """A tolerance (mm) above all of some distances, in halves of a power of ten."""
    unit = 10.0 ** np.floor(np.log10(np.median(distances))) / 2
    return float((np.floor(distances.max() / unit + 1e-6) + 1) * unit)


def missing(by_dose: Mapping[str, Sequence[SliceHeader]]) -> tuple[tuple[float, ...], str]:
    """Gaps of the dose with more slices where the other has no slice either, and a note."""
    grid, *others = sorted(by_dose.values(), key=len, reverse=True)
    missing, note = find_gaps(grid, [(header.series, header.acquisition) for header in grid])
    z = np.array([header.z_mm for other in others for header in other])
    half = np.median(np.diff([header.z_mm for header in grid])) / 2 if len(grid) > 1 else 0.0
    return tuple(gap for gap in missing if not np.any(np.abs(z - gap) < half)), note
