"""What is wrong with slice pairs of a patient: geometry, rescale, level, noise, equal pixels."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from scipy import ndimage

from ldct.data.dicom.header import SliceHeader
from ldct.data.dicom.pixels import read_slice, slice_hu
from ldct.data.dicom.reading import run_parallel
from ldct.data.noise import local_mean, soft_tissue, soft_tissue_noise
from ldct.data.orientation import COSINE_TOLERANCE, is_tilted, plane

LENGTH_TOLERANCE_MM = 1e-3
CORNER_TOLERANCE_MM = 0.01
CORNER_TOLERANCE = 0.05  # of a pixel
DRIFT_TOLERANCE_MM = 0.1
LEVEL_HU = 100.0  # between the means of a pair: noise and its clipping change it by less than 20
AIR_HU = -500.0  # a slice with nothing above it shows no body
BODY_HU = -900.0  # neighbourhoods above it are body where there is no soft tissue
NOISE_SLICES = 5
FEWEST_PIXELS = 200
LEAST_RATIO = 1.05  # of noise: a quarter dose has 1.7 to 2.1 times that of the full dose
Pairs = Sequence[tuple[SliceHeader, ...]]


@dataclass(frozen=True)
class Level:
    """HU of one slice: mean, whether it shows a body, and a checksum; NaN where not decoded."""

    mean: float = float("nan")
    body: bool = True
    checksum: int | None = None


def by_series(
    patient: str, slices: Iterable[SliceHeader], fault: Callable[[SliceHeader], tuple[str, str]]
) -> list[str]:
    """One line for each dose and kind of fault, with the number of files and the first.

    fault : kind of fault and what it is, empty where there is none.
    """
    found: dict[tuple[str | None, str], list[tuple[str, str]]] = {}
    for header in slices:
        kind, told = fault(header)
        if kind:
            found.setdefault((header.dose, kind), []).append((told, header.path))
    return [
        f"{patient}: {cases[0][1]}: {cases[0][0]} ({len(cases)} {dose}-dose files)"
        for (dose, _), cases in found.items()
    ]


def not_axial(header: SliceHeader) -> tuple[str, str]:
    """Why a slice cannot be used as an axial one, for `by_series`."""
    kind = plane(header.orientation)
    if kind == "axial":
        return "", ""
    found = ", ".join(f"{value:g}" for value in header.orientation)
    return f"plane {kind}", (
        f"{kind or 'no'} plane (ImageOrientationPatient {found}), expected axial slices; export "
        f"the axial reconstruction of the scan"
    )


def geometry_problems(patient: str, pairs: Pairs, tolerance_mm: float) -> list[str]:
    """Every slice must have the orientation, size, spacing and corner of the first.

    With a tilted gantry the corner may move evenly from slice to slice, in both doses alike.
    """
    if not pairs:
        return []
    slices = [header for pair in pairs for header in pair]
    ((grid, _),) = Counter(map(_grid, slices)).most_common(1)
    reference = next(header for header in slices if _grid(header) == grid)
    problems = by_series(patient, slices, lambda header: _difference(reference, header))
    if problems or not is_tilted(reference.orientation):
        return problems
    corners = np.array([[header.position_mm[:2] for header in pair] for pair in pairs])
    apart = np.abs(corners - corners[:, :1]).max()
    if apart > tolerance_mm:
        problems.append(f"{patient}: the corners of the doses are up to {apart:.3g} mm apart")
    z = np.array([pair[0].z_mm for pair in pairs])
    if len(z) > 2:
        line = np.polyfit(z - z[0], corners[:, 0], 1)
        uneven = np.abs(corners[:, 0] - line[1] - np.outer(z - z[0], line[0])).max()
        if uneven > DRIFT_TOLERANCE_MM:
            problems.append(
                f"{patient}: the corner jumps by up to {uneven:.3g} mm from slice to slice "
                f"(first file: {reference.path}); export one reconstruction alone"
            )
    return problems


def compare_doses(
    root: str | Path, patient: str, pairs: Pairs, workers: int
) -> tuple[list[str], list[str]]:
    """Problems and notes on pixels and rescale of the pairs (full, quarter) of one patient.

    Problems: doses that disagree in rescale or in their mean, equal pixels in both doses. Notes:
    a quarter dose without more noise, slices that are equal as they show no body.
    """
    paths = [header.path for pair in pairs for header in pair]
    levels = run_parallel(
        partial(slice_level, Path(root)), paths, workers, f"{patient}: comparing doses"
    )
    of = dict(zip(paths, levels, strict=True))
    problems, notes = [], []
    if told := _rescale_differs(patient, pairs, of) or _level_differs(patient, pairs, of):
        problems.append(told)
    equal = [pair for pair in pairs if of[pair[0].path].checksum == of[pair[1].path].checksum]
    equal = [pair for pair in equal if of[pair[0].path].checksum is not None]
    copied = [pair for pair in equal if of[pair[0].path].body]
    if copied:
        full, quarter = copied[0]
        problems.append(
            f"{patient}: {len(copied)} of {len(pairs)} pairs have equal pixels in both doses "
            f"(first: {quarter.path} and {full.path}); put the quarter dose's own files there"
        )
    if blank := [f"{full.z_mm:g}" for full, _ in equal if not of[full.path].body]:
        notes.append(
            f"{len(blank)} slices are equal in both doses and show no body (air, padding), z in "
            f"mm: {', '.join(blank[:20])}"
        )
    if not problems and (told := _noise_note(root, pairs)):
        notes.insert(0, told)
    return problems, notes


def level_note(root: str | Path, pairs: Pairs) -> str | None:
    """A note where a few full-dose slices hold no air or no tissue, as with a wrong rescale."""
    slices = [slice_hu(*read_slice(Path(root), full.path)) for full, *_ in _some(pairs)]
    lowest, highest = np.min(slices), np.max(slices)
    if lowest <= AIR_HU < highest:
        return None
    return (
        f"HU MAY BE WRONG: the full dose reaches from {lowest} to {highest} HU, expected air near "
        f"-1000 and tissue near 0 HU; are RescaleSlope and RescaleIntercept right?"
    )


def slice_level(root: Path, path: str) -> Level:
    """Mean, body and checksum of one slice; of one that cannot be decoded, none."""
    try:
        hu = slice_hu(*read_slice(root, path))
    except Exception:  # told where pixels are read
        return Level()
    body = hu.max() > AIR_HU and hu.min() < hu.max()
    return Level(float(hu.mean()), bool(body), crc32(hu.tobytes()))


def noise_of_doses(root: str | Path, pairs: Pairs) -> tuple[float, float] | None:
    """Median noise (HU) of full and quarter dose in a few slices; None where there is no body.

    In soft tissue of the full dose, or where there is little, at the finest scale in all of the
    body, where edges count least.
    """
    measured = []
    for pair in _some(pairs):
        full, quarter = (slice_hu(*read_slice(Path(root), header.path)) for header in pair)
        tissue, body = soft_tissue(full), local_mean(full) > BODY_HU
        if tissue.sum() >= FEWEST_PIXELS:
            measured.append([soft_tissue_noise(hu, tissue) for hu in (full, quarter)])
        elif body.any():
            measured.append([_fine_noise(hu, body) for hu in (full, quarter)])
    if not measured:
        return None
    full_noise, quarter_noise = np.median(measured, axis=0).tolist()
    return full_noise, quarter_noise


def _some(pairs: Pairs) -> Pairs:
    """A few pairs, evenly spread, without the ends of the scan."""
    chosen = np.unique(np.linspace(0, len(pairs) - 1, NOISE_SLICES + 2).round().astype(int))
    return [pairs[row] for row in (chosen[1:-1] if len(chosen) > 2 else chosen)]


def _fine_noise(hu: np.ndarray, where: np.ndarray) -> float:
    """Std of the noise from second differences along both axes (Immerkaer 1996), by the median."""
    mask = np.outer([1, -2, 1], [1, -2, 1]) / 6
    fine = ndimage.convolve(hu.astype(np.float32), mask)
    return float(np.median(np.abs(fine[where]))) / 0.6745


def _noise_note(root: str | Path, pairs: Pairs) -> str | None:
    noise = noise_of_doses(root, pairs)
    if noise is None or noise[1] > LEAST_RATIO * noise[0]:
        return None
    return (
        f"THE DOSES MAY BE EXCHANGED OR EQUAL: noise of the quarter dose is {noise[1]:.1f} HU, of "
        f"the full dose {noise[0]:.1f} HU; that of the quarter dose should be clearly higher"
    )


def _rescale_differs(patient: str, pairs: Pairs, of: dict[str, Level]) -> str | None:
    odd = [
        (full, quarter)
        for full, quarter in pairs
        if (full.slope, full.intercept) != (quarter.slope, quarter.intercept)
    ]
    if not odd:
        return None
    full, quarter = odd[0]
    told = ", ".join(
        f"slope {each.slope:g} and intercept {each.intercept:g} (mean {of[each.path].mean:.0f} HU) "
        f"in {each.path}"
        for each in (full, quarter)
    )
    return (
        f"{patient}: {len(odd)} of {len(pairs)} pairs disagree in RescaleSlope or "
        f"RescaleIntercept: {told}; export both doses with the same rescale"
    )


def _level_differs(patient: str, pairs: Pairs, of: dict[str, Level]) -> str | None:
    means = np.array([[of[header.path].mean for header in pair] for pair in pairs])
    odd = np.abs(means[:, 1] - means[:, 0]) > LEVEL_HU  # False where one is NaN
    if not odd.any():
        return None
    row = int(np.argmax(odd))
    full, quarter = pairs[row]
    return (
        f"{patient}: the means of {odd.sum()} of {len(pairs)} pairs differ by more than "
        f"{LEVEL_HU:g} HU: {means[row, 0]:.0f} HU in {full.path}, {means[row, 1]:.0f} HU in "
        f"{quarter.path}; are they of one scan, and are both stored with the rescale they name?"
    )


def _grid(header: SliceHeader) -> tuple[Any, ...]:
    """What all slices of a patient share, but for rounding."""
    lengths = (*header.pixel_mm, *(() if is_tilted(header.orientation) else header.position_mm[:2]))
    rounded = *np.round(header.orientation, 3), *np.round(lengths, 1)
    return header.rows, header.columns, *rounded


def _difference(reference: SliceHeader, header: SliceHeader) -> tuple[str, str]:
    """What sets a slice apart from the first one of its patient: the kind, and in words."""
    found, expected = (
        ", ".join(f"{value:g}" for value in each.orientation) for each in (header, reference)
    )
    if not np.allclose(header.orientation, reference.orientation, rtol=0, atol=COSINE_TOLERANCE):
        return "orientation", (
            f"ImageOrientationPatient is {found}, but {expected} in {reference.path}; all slices "
            f"of a patient must lie alike: export both doses in the same orientation"
        )
    if (header.rows, header.columns) != (reference.rows, reference.columns):
        what = "size"
        told = f"{header.rows} x {header.columns} pixels instead of "
        told += f"{reference.rows} x {reference.columns}"
    elif not np.allclose(header.pixel_mm, reference.pixel_mm, rtol=0, atol=LENGTH_TOLERANCE_MM):
        what = "spacing"
        told = f"pixel spacing {header.pixel_mm} mm instead of {reference.pixel_mm} mm"
    elif not is_tilted(reference.orientation) and not np.allclose(
        header.position_mm[:2],
        reference.position_mm[:2],
        rtol=0,
        atol=max(CORNER_TOLERANCE_MM, CORNER_TOLERANCE * min(reference.pixel_mm)),
    ):
        what = "corner"
        away = np.hypot(*np.subtract(header.position_mm[:2], reference.position_mm[:2]))
        told = f"corner at {header.position_mm[:2]} mm, {away:.3g} mm away from "
        told += f"{reference.position_mm[:2]} mm"
    else:
        return "", ""
    return what, f"{told} as in {reference.path}; export both doses on the same grid"
