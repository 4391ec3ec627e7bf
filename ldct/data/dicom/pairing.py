"""Choose the series a data set description asks for and pair full with quarter dose by z."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ldct.data.dicom.naming import DOSES, FULL, QUARTER
from ldct.data.dicom.pairs import acquisitions
from ldct.data.dicom.pairs.checks import by_series, geometry_problems, not_axial
from ldct.data.dicom.pairs.gaps import find_gaps
from ldct.data.dicom.reading import SliceHeader
from ldct.data.orientation import AXIAL, COSINE_TOLERANCE, plane

SAME_MM = 0.01  # the two doses of the AAPM data have exactly equal positions
THICKNESS_TOLERANCE_MM = 0.01
OFFSET = 0.45  # of a slice spacing: doses further apart have no partner that is clearly nearest
LITTLE = 0.5  # share of the slices below which pairing is told to have failed


@dataclass(frozen=True)
class PatientPairs:
    """The slice pairs of one patient, and what was left out on the way.

    chosen : slices of the series asked for. pairs : (full, quarter) by ascending z; (full,) where
    the quarter dose is simulated.
    missing_z_mm : slices that neither dose has. unpaired, duplicates, damaged, not_axial : slices
    left out. notes : further warnings. problems : one-line errors; the patient cannot be used with
    any.
    """

    patient: str
    chosen: tuple[SliceHeader, ...] = ()
    pairs: tuple[tuple[SliceHeader, ...], ...] = ()
    missing_z_mm: tuple[float, ...] = ()
    unpaired: tuple[SliceHeader, ...] = ()
    duplicates: tuple[SliceHeader, ...] = ()
    damaged: tuple[SliceHeader, ...] = ()
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def select_series(
    patient: str,
    headers: Iterable[SliceHeader],
    series: Mapping[str, Any],
    doses: Sequence[str] = DOSES,
    entry: Mapping[str, Any] | None = None,
    unmatched: Mapping[str, str] | None = None,
) -> tuple[tuple[SliceHeader, ...], tuple[str, ...]]:
    """Slices of one patient that belong to the asked-for series, and what is wrong with them.

    series : `thickness_mm` and `kernel` of the description; null asks nothing, but thickness and
        kernel must then be one of each. `B30` matches `B30f`. doses : that are looked for.
    entry : of the patient in the description; `acquisition` and `series_uid` choose among several.
    unmatched : dose -> what its pattern in `files` lacks, for messages.
    """
    of_patient = [header for header in headers if header.patient == patient]
    own = [header for header in of_patient if header.dose in doses]
    if not own:
        return (), (
            f"{patient}: {len(of_patient)} slices (first: {of_patient[0].path}), but nothing "
            f"tells their dose; say with `files` in the description where each dose lies",
        )
    thickness, kernel = series["thickness_mm"], series["kernel"]
    chosen: Sequence[SliceHeader] = [
        header
        for header in own
        if (kernel is None or header.kernel.casefold().startswith(kernel.casefold()))
        and (
            thickness is None
            or abs((header.thickness_mm or 0) - thickness) <= THICKNESS_TOLERANCE_MM
        )
    ]
    if not chosen:
        wanted = f"{'any' if thickness is None else f'{thickness:g}'} mm, kernel {kernel or 'any'}"
        return (), (
            f"{patient}: no slices of {wanted}; on disk: {describe_series(own)}; "
            f"check `series` in the description",
        )
    # Reformatted planes are often exported along with the scan.
    chosen = [header for header in chosen if plane(header.orientation) == "axial"] or chosen
    chosen, problems = acquisitions.choose(patient, chosen, entry or {}, doses)
    problems += by_series(patient, chosen, not_axial)
    problems += by_series(patient, chosen, lambda header: (header.conflicts or ("",))[:1] * 2)
    problems += _mixture(patient, chosen)
    problems += [
        f"{patient}: {len(chosen)} slices, none of {dose} dose; a pair needs both"
        + (f"; {unmatched[dose]}" if unmatched else "")
        for dose in doses
        if not any(header.dose == dose for header in chosen)
    ]
    return tuple(chosen), tuple(problems)


def pair_slices(
    patient: str,
    chosen: Sequence[SliceHeader],
    digests: Mapping[str, str | None],
    doses: Sequence[str] = DOSES,
    tolerance_mm: float = SAME_MM,
) -> PatientPairs:
    """Pair the chosen slices of one patient by position (within `tolerance_mm`).

    digests : path -> sha256 of the pixels, None for damaged ones, which are left out. Equal
        slices at one position are duplicates, of which the first path is kept; slices that
        differ there are a problem. doses : without the quarter dose, slices are on their own.
    """
    damaged = tuple(header for header in chosen if digests[header.path] is None)
    sound = [header for header in chosen if digests[header.path] is not None]
    by_dose: dict[str, list[SliceHeader]] = {}
    duplicates: list[SliceHeader] = []
    problems: list[str] = []
    for dose in doses:
        own = [header for header in sound if header.dose == dose]
        by_dose[dose], equal, different = _one_per_position(own, digests)
        duplicates += equal
        several = acquisitions.overlap(patient, [*by_dose[dose], *dict(different)], dose)
        if several:
            problems.append(several)
        elif different:
            header, other = different[0]
            problems.append(
                f"{patient}: {len(different)} {dose}-dose slices have other pixels than another "
                f"slice at their position (first: {header.path} and {other.path}, z = "
                f"{header.z_mm:g} mm); remove one of each two"
            )
    pairs: list[tuple[SliceHeader, ...]] = [(header,) for header in by_dose[FULL]]
    unpaired: list[SliceHeader] = []
    if QUARTER in doses:
        pairs, unpaired = _match(by_dose[FULL], by_dose[QUARTER], tolerance_mm)
    problems += geometry_problems(patient, pairs, max(tolerance_mm, SAME_MM))
    missing, note = _missing(by_dose)
    notes = [acquisitions.several(chosen, dose) for dose in doses] + [note]
    if len(pairs) < LITTLE * min(map(len, by_dose.values())) or not pairs:
        apart = _apart(by_dose, tolerance_mm)
        if not pairs and not problems:
            problems.append(
                f"{patient}: no full-dose slice has a quarter-dose slice at its z{apart}"
            )
        elif pairs:
            notes.insert(0, f"few slices pair{apart}")
    return PatientPairs(
        patient=patient,
        pairs=tuple(pairs),
        chosen=tuple(chosen),
        missing_z_mm=missing,
        unpaired=tuple(unpaired),
        duplicates=tuple(duplicates),
        damaged=damaged,
        notes=tuple(filter(None, notes)),
        problems=tuple(problems),
    )


def index_frame(
    patients: Iterable[PatientPairs], digests: Mapping[str, str | None]
) -> pd.DataFrame:
    """`index.parquet` as a table: one row per slice pair, `slice` counted by ascending z.

    Slices whose quarter dose is simulated have no quarter file. `orientation` is a column where a
    patient has another than the axial identity.
    """
    rows = [
        {
            "patient": found.patient,
            "slice": number,
            "z_mm": full.z_mm,
            "instance": full.instance,
            "full_path": full.path,
            **({"quarter_path": quarter[0].path} if quarter else {}),
            "rows": full.rows,
            "columns": full.columns,
            "pixel_mm_row": full.pixel_mm[0],
            "pixel_mm_column": full.pixel_mm[1],
            "origin_x_mm": full.position_mm[0],
            "origin_y_mm": full.position_mm[1],
            "thickness_mm": full.thickness_mm,
            "kernel": full.kernel,
            "full_sha256": digests[full.path],
            **({"quarter_sha256": digests[quarter[0].path]} if quarter else {}),
        }
        for found in patients
        for number, (full, *quarter) in enumerate(found.pairs)
    ]
    turned = [full.orientation for found in patients for full, *_ in found.pairs]
    frame = pd.DataFrame(rows)
    if not np.allclose(turned, AXIAL, rtol=0, atol=COSINE_TOLERANCE):
        frame["orientation"] = [list(orientation) for orientation in turned]
    return frame


def describe_series(headers: Iterable[SliceHeader]) -> str:
    """Thickness, kernel, dose, plane and count of the series among some slices, in words."""
    counts: Counter[tuple[float, str, str]] = Counter()
    for header in headers:
        kind = plane(header.orientation)
        dose = f"{header.dose or 'unknown'} dose" + (f", {kind}" if kind != "axial" else "")
        counts[header.thickness_mm or 0.0, header.kernel, dose] += 1
    return ", ".join(
        f"{thickness:g} mm {kernel or '(no kernel)'} {dose} ({count} slices)"
        for (thickness, kernel, dose), count in sorted(counts.items())
    )


def _mixture(patient: str, chosen: Sequence[SliceHeader]) -> list[str]:
    """A problem when the chosen slices have more than one thickness or kernel."""
    examples: dict[tuple[float, str], str] = {}
    for header in chosen:
        key = round(header.thickness_mm or 0, 2), header.kernel
        examples.setdefault(key, header.path)
    if len(examples) <= 1:
        return []
    listed = "; ".join(
        f"{thickness:g} mm {kernel}: {path}" for (thickness, kernel), path in examples.items()
    )
    return [
        f"{patient}: several thicknesses or kernels are selected ({listed}); set "
        f"series.thickness_mm and series.kernel in the description"
    ]


def _one_per_position(
    slices: Iterable[SliceHeader], digests: Mapping[str, str | None]
) -> tuple[list[SliceHeader], list[SliceHeader], list[tuple[SliceHeader, SliceHeader]]]:
    """Slices of one dose by position; those equal to one of them there; (different, the kept)."""
    kept: list[SliceHeader] = []
    equal, different = [], []
    for header in sorted(slices, key=lambda header: (header.along_mm, header.path)):
        if not kept or abs(header.along_mm - kept[-1].along_mm) > SAME_MM:
            kept.append(header)
        elif digests[header.path] == digests[kept[-1].path]:
            equal.append(header)
        else:
            different.append((header, kept[-1]))
    return kept, equal, different


def _match(
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


def _apart(by_dose: Mapping[str, Sequence[SliceHeader]], tolerance_mm: float) -> str:
    """How far apart the doses are, and what to do about it."""
    few, many = sorted(by_dose.values(), key=len)[0], sorted(by_dose.values(), key=len)[-1]
    if not few:
        without = next(dose for dose, slices in by_dose.items() if not slices)
        return f": the {without} dose has no sound slice"
    nearest = _distances(few, many).min(axis=1)
    typical = float(np.median(nearest))
    step = float(np.median(np.diff([header.along_mm for header in many]))) if len(many) > 1 else 0
    if tolerance_mm < typical <= OFFSET * step:
        unit = 10.0 ** np.floor(np.log10(typical)) / 2
        farthest = nearest[nearest <= OFFSET * step].max()
        enough = (np.floor(farthest / unit + 1e-6) + 1) * unit
        return (
            f": the doses are {typical:.3g} mm apart (first: {few[0].path}); if they are one "
            f"scan, set z_tolerance_mm: {enough:.3g} in the description"
        )
    ranges = " and ".join(
        f"{dose} dose from z = {each[0].z_mm:g} to {each[-1].z_mm:g} mm (first: {each[0].path})"
        for dose, each in by_dose.items()
    )
    return f": the nearest are {typical:.4g} mm apart, {ranges}; are they one scan on one grid?"


def _missing(by_dose: Mapping[str, Sequence[SliceHeader]]) -> tuple[tuple[float, ...], str]:
    """Gaps of the dose with more slices where the other has no slice either, and a note."""
    grid, *others = sorted(by_dose.values(), key=len, reverse=True)
    missing, note = find_gaps(grid)
    z = np.array([header.z_mm for other in others for header in other])
    half = np.median(np.diff([header.z_mm for header in grid])) / 2 if len(grid) > 1 else 0.0
    return tuple(gap for gap in missing if not np.any(np.abs(z - gap) < half)), note
