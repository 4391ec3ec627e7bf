"""Slices that a series should have and has not, from positions and InstanceNumbers together."""

from collections.abc import Hashable, Sequence
from itertools import pairwise

import numpy as np

from ldct.data.dicom.header import SliceHeader

EVEN = 0.05  # of a step: positions are rounded in headers
WHOLE = 0.2  # how far a gap may be from a whole number of steps
COVERED = 1.1  # spacing over thickness up to which slices leave nothing out
SPARSE = 2.0  # spacing over thickness above which a series is called sparse


def find_gaps(
    slices: Sequence[SliceHeader], scans: Sequence[Hashable] = ()
) -> tuple[tuple[float, ...], str]:
    """Positions (z, mm) of missing slices, and a note where a series is sparse or uneven.

    Where InstanceNumbers and positions advance together, the scanner's grid is known, and missing
    numbers are missing slices. Elsewhere a gap is a whole number of usual steps; what is none of
    them is told as uneven, and no position is made up.
    slices : of one series, by ascending position, each position once. scans : what tells two scans
    apart, of every slice.
    """
    if len(slices) < 3:
        return (), ""
    z = np.array([header.z_mm for header in slices])
    steps, counts = np.diff(z), np.diff([header.instance for header in slices])
    thickness, step = slices[0].thickness_mm or np.inf, float(np.median(steps))
    note = ""
    if step > SPARSE * thickness:
        note = f"sparse: slices of {thickness:g} mm every {step:g} mm"
    if _together(steps, counts):
        counts = np.abs(counts)
        usual = np.median(counts) if step <= COVERED * thickness else 1.0
        if np.median(counts) > usual:
            return (), (
                f"sparse: {len(z)} slices of a grid of {np.median(steps / counts):g} mm with "
                f"{counts.sum() + 1} places (by InstanceNumber); none is counted as missing"
            )
        parts = counts / usual
    else:
        parts = steps / step
        apart = _apart(scans, parts)
        if apart.any():
            after = int(np.argmax(apart))
            note += f"{'; ' * bool(note)}none is counted as missing from z = {z[after]:g} to "
            note += f"{z[after + 1]:g} mm: two scans, or a wrong position"
        parts = np.where(apart, 1, parts)
        if np.abs(parts - np.rint(parts)).max() > WHOLE:
            return (), (
                f"{note or 'uneven'}: steps of {steps.min():g} to {steps.max():g} mm, of which "
                f"InstanceNumber does not tell which slices are missing"
            )
    whole = np.maximum(np.rint(parts).astype(int), 1)
    missing = [
        round(float(low + (high - low) * part / count), 2)
        for (low, high), count in zip(pairwise(z), whole, strict=True)
        for part in range(1, count)
    ]
    return tuple(missing), note


def _apart(scans: Sequence[Hashable], parts: np.ndarray) -> np.ndarray:
    """Which gaps lie between two scans, of which none misses them, or are longer than both."""
    between = np.zeros(len(parts), dtype=bool)
    if scans and len(set(scans)) <= len(scans) / 3:  # else a series for each file: no scans
        between[:] = [one != other for one, other in pairwise(scans)]
    return (parts > 1 + WHOLE) & (between | (parts > len(parts) + 1))


def _together(steps: np.ndarray, counts: np.ndarray) -> bool:
    """Whether InstanceNumbers advance as positions do, up or down: one pitch for all steps."""
    if not (np.all(counts > 0) or np.all(counts < 0)):
        return False
    pitch = steps / np.abs(counts)
    return bool(np.ptp(pitch) <= EVEN * np.median(pitch))
