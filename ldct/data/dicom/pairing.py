"""Choose the series a data set description asks for and pair full with quarter dose by z."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ldct.data.dicom.naming import DOSES, FULL, QUARTER
from ldct.data.dicom.reading import SliceHeader

Z_TOLERANCE_MM = 0.01  # the two doses of the AAPM data have exactly equal positions
LENGTH_TOLERANCE_MM = 1e-3
THICKNESS_TOLERANCE_MM = 0.01
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


@dataclass(frozen=True)
class PatientPairs:
    """The slice pairs of one patient, and what was left out on the way.

    chosen : slices of the series asked for. pairs : (full, quarter) by ascending z; (full,) where
    the quarter dose is simulated.
    missing_z_mm : gaps in the even spacing where neither dose has a slice. unpaired, duplicates,
    damaged : slices left out. problems : one-line errors; the patient cannot be used with any.
    """

    patient: str
    chosen: tuple[SliceHeader, ...] = ()
    pairs: tuple[tuple[SliceHeader, ...], ...] = ()
    missing_z_mm: tuple[float, ...] = ()
    unpaired: tuple[SliceHeader, ...] = ()
    duplicates: tuple[SliceHeader, ...] = ()
    damaged: tuple[SliceHeader, ...] = ()
    problems: tuple[str, ...] = ()


def select_series(
    patient: str,
    headers: Iterable[SliceHeader],
    series: Mapping[str, Any],
    doses: Sequence[str] = DOSES,
) -> tuple[tuple[SliceHeader, ...], tuple[str, ...]]:
    """Slices of one patient that belong to the asked-for series, and what is wrong with them.

    series : `thickness_mm` and `kernel` of the description; null asks nothing, but thickness and
        kernel must then be one of each. `B30` matches `B30f`. doses : that are looked for.
    """
    own = [header for header in headers if header.patient == patient and header.dose in doses]
    thickness, kernel = series["thickness_mm"], series["kernel"]
    chosen = tuple(
        header
        for header in own
        if (kernel is None or header.kernel.casefold().startswith(kernel.casefold()))
        and (thickness is None or abs(header.thickness_mm - thickness) <= THICKNESS_TOLERANCE_MM)
    )
    if not chosen:
        wanted = f"{'any' if thickness is None else f'{thickness:g}'} mm, kernel {kernel or 'any'}"
        return (), (
            f"{patient}: no slices of {wanted}; on disk: {describe_series(own) or 'none'}; "
            f"check `series` in the description",
        )
    problems = [
        f"{header.path}: {header.conflicts[0]}; rename the file or remove it"
        for header in chosen
        if header.conflicts
    ]
    problems += _mixture(patient, chosen)
    problems += [
        f"{patient}: {len(chosen)} slices, none of {dose} dose; a pair needs both"
        for dose in doses
        if not any(header.dose == dose for header in chosen)
    ]
    return chosen, tuple(problems)


def pair_slices(
    patient: str,
    chosen: Sequence[SliceHeader],
    digests: Mapping[str, str | None],
    doses: Sequence[str] = DOSES,
) -> PatientPairs:
    """Pair the chosen slices of one patient by z (within 0.01 mm).

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
        kept = by_dose[dose] = []
        own = [header for header in sound if header.dose == dose]
        for header in sorted(own, key=lambda header: (header.z_mm, header.path)):
            if not kept or abs(header.z_mm - kept[-1].z_mm) > Z_TOLERANCE_MM:
                kept.append(header)
            elif digests[header.path] == digests[kept[-1].path]:
                duplicates.append(header)
            else:
                problems.append(
                    f"{header.path}: other pixels than {kept[-1].path} at the same position "
                    f"(z = {header.z_mm:g} mm, {dose} dose); remove one of them"
                )
    pairs: Sequence[tuple[SliceHeader, ...]] = [(header,) for header in by_dose[FULL]]
    unpaired: Sequence[SliceHeader] = ()
    if QUARTER in doses:
        pairs, unpaired = _match(by_dose[FULL], by_dose[QUARTER])
    problems += _geometry_problems(pairs)
    if not pairs and not problems:
        problems.append(
            f"{patient}: no full-dose slice has a quarter-dose slice at its z "
            f"({by_dose[FULL][0].path} and others)"
            if by_dose[FULL]
            else f"{patient}: no sound full-dose slice"
        )
    return PatientPairs(
        patient=patient,
        pairs=tuple(pairs),
        chosen=tuple(chosen),
        missing_z_mm=missing_positions([header.z_mm for header in sound]),
        unpaired=tuple(unpaired),
        duplicates=tuple(duplicates),
        damaged=damaged,
        problems=tuple(problems),
    )


def index_frame(
    patients: Iterable[PatientPairs], digests: Mapping[str, str | None]
) -> pd.DataFrame:
    """`index.parquet` as a table: one row per slice pair, `slice` counted by ascending z.

    Slices whose quarter dose is simulated have no quarter file.
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
    return pd.DataFrame(rows)


def missing_positions(z_mm: Iterable[float]) -> tuple[float, ...]:
    """Positions (mm) that an even spacing, the median one, would have between those given.

    >>> missing_positions([0.0, 0.8, 1.6, 3.2, 4.0])
    (2.4,)
    """
    z = np.unique(np.round(np.asarray(list(z_mm), dtype=float), 2))
    if len(z) < 3:
        return ()
    steps = np.diff(z)
    spacing = float(np.median(steps))
    missing = []
    for start, step in zip(z[:-1], steps, strict=True):
        count = round(step / spacing)
        missing += [round(float(start + step * part / count), 2) for part in range(1, count)]
    return tuple(missing)


def describe_series(headers: Iterable[SliceHeader]) -> str:
    """Thickness, kernel, dose and count of the series among some slices, in words."""
    counts = Counter(
        (header.thickness_mm, header.kernel, header.dose or "unknown") for header in headers
    )
    return ", ".join(
        f"{thickness:g} mm {kernel or '(no kernel)'} {dose} dose ({count} slices)"
        for (thickness, kernel, dose), count in sorted(counts.items())
    )


def _mixture(patient: str, chosen: Sequence[SliceHeader]) -> list[str]:
    """A problem when the chosen slices have more than one thickness or kernel."""
    examples: dict[tuple[float, str], str] = {}
    for header in chosen:
        examples.setdefault((round(header.thickness_mm, 2), header.kernel), header.path)
    if len(examples) == 1:
        return []
    listed = "; ".join(
        f"{thickness:g} mm {kernel}: {path}" for (thickness, kernel), path in examples.items()
    )
    return [
        f"{patient}: several thicknesses or kernels are selected ({listed}); set "
        f"series.thickness_mm and series.kernel in the description"
    ]


def _match(
    full: Sequence[SliceHeader], quarter: Sequence[SliceHeader]
) -> tuple[list[tuple[SliceHeader, SliceHeader]], list[SliceHeader]]:
    """Pairs at equal z of two lists by ascending z, and the slices that have no partner."""
    pairs, unpaired = [], []
    waiting_full, waiting_quarter = list(full), list(quarter)
    while waiting_full and waiting_quarter:
        distance = waiting_full[0].z_mm - waiting_quarter[0].z_mm
        if abs(distance) <= Z_TOLERANCE_MM:
            pairs.append((waiting_full.pop(0), waiting_quarter.pop(0)))
        else:
            unpaired.append((waiting_full if distance < 0 else waiting_quarter).pop(0))
    return pairs, unpaired + waiting_full + waiting_quarter


def _geometry_problems(pairs: Sequence[tuple[SliceHeader, ...]]) -> list[str]:
    """Every slice must be axial and have the size, spacing and corner of the first one."""
    if not pairs:
        return []
    reference = pairs[0][0]
    problems = []
    for header in (header for pair in pairs for header in pair):
        if not np.allclose(header.orientation, AXIAL, atol=1e-3):
            problems.append(
                f"{header.path}: ImageOrientationPatient is {list(header.orientation)}, expected "
                f"the axial identity {list(AXIAL)}"
            )
        elif difference := _difference(reference, header):
            problems.append(f"{header.path} does not match {reference.path}: {difference}")
    return problems


def _difference(reference: SliceHeader, header: SliceHeader) -> str | None:
    if (header.rows, header.columns) != (reference.rows, reference.columns):
        return (
            f"{header.rows} x {header.columns} pixels instead of "
            f"{reference.rows} x {reference.columns}"
        )
    if not np.allclose(header.pixel_mm, reference.pixel_mm, rtol=0, atol=LENGTH_TOLERANCE_MM):
        return f"pixel spacing {header.pixel_mm} mm instead of {reference.pixel_mm} mm"
    corner, expected = header.position_mm[:2], reference.position_mm[:2]
    if not np.allclose(corner, expected, rtol=0, atol=Z_TOLERANCE_MM):
        return f"corner at {corner} mm instead of {expected} mm"
    return None
