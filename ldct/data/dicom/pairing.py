"""Choose the series a data set description asks for and pair full with quarter dose by z."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ldct.data.dicom.header import SliceHeader
from ldct.data.dicom.naming import DOSES, FULL, QUARTER
from ldct.data.dicom.pairs import acquisitions
from ldct.data.dicom.pairs.checks import by_series, geometry_problems, not_axial
from ldct.data.dicom.pairs.matching import SAME_MM, apart, match, missing, near_misses
from ldct.data.orientation import AXIAL, COSINE_TOLERANCE, plane

THICKNESS_TOLERANCE_MM = 0.01
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
    lacking: Mapping[str, str] | None = None,
) -> tuple[tuple[SliceHeader, ...], tuple[str, ...]]:
    """Slices of one patient that belong to the asked-for series, and what is wrong with them.

    series : `thickness_mm` and `kernel` of the description; null asks nothing, but thickness and
        kernel must then be one of each. `B30` matches `B30f`. doses : that are looked for.
    entry : of the patient in the description; `acquisition` and `series_uid` choose among several.
    lacking : dose -> the end of the message where there is none of it.
    """
    of_patient = [header for header in headers if header.patient == patient]
    own = [header for header in of_patient if header.dose in doses]
    if not own:
        told = {header.dose for header in of_patient} - {None}
        but = (
            "nothing tells their dose; say with `files` in the description where each dose lies, "
            "or with `simulate` that all are full dose"
        )
        if told:
            but = f"all are of {told.pop()} dose by their names; `simulate` takes full dose"
        return (), (
            f"{patient}: {len(of_patient)} slices (first: {of_patient[0].path}), but {but}",
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
    axial = [header for header in chosen if plane(header.orientation) == "axial"]
    told = {header.dose for header in axial}
    chosen = [*axial, *(header for header in chosen if header.dose not in told)]
    chosen, problems = acquisitions.choose(patient, chosen, entry or {}, doses)
    problems += by_series(patient, chosen, not_axial)
    problems += by_series(patient, chosen, lambda header: (header.conflicts or ("",))[:1] * 2)
    problems += _mixture(patient, chosen)
    problems += [
        f"{patient}: {len(chosen)} slices, none of {dose} dose; a pair needs both"
        + (lacking or {}).get(dose, "")
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
        broken = [header.path for header in damaged if header.dose == dose]
        if broken and not by_dose[dose]:
            problems.append(
                f"{patient}: the pixels of all {len(broken)} {dose}-dose slices are damaged, or "
                f"not those of one slice (first: {broken[0]}); replace the files"
            )
    pairs: list[tuple[SliceHeader, ...]] = [(header,) for header in by_dose[FULL]]
    unpaired: list[SliceHeader] = []
    if QUARTER in doses:
        pairs, unpaired = match(by_dose[FULL], by_dose[QUARTER], tolerance_mm)
    problems += geometry_problems(patient, pairs, max(tolerance_mm, SAME_MM))
    gaps, note = missing(by_dose)
    notes = [acquisitions.several(chosen, dose) for dose in doses] + [note]
    if len(pairs) < LITTLE * min(map(len, by_dose.values())) or not pairs:
        told = apart(by_dose, tolerance_mm)
        if not pairs and not problems:
            problems.append(
                f"{patient}: no full-dose slice has a quarter-dose slice at its z{told}"
            )
        elif pairs:
            notes.insert(0, f"few slices pair{told}")
    elif told := near_misses(by_dose, unpaired):
        notes.insert(0, told)
    return PatientPairs(
        patient=patient,
        pairs=tuple(pairs),
        chosen=tuple(chosen),
        missing_z_mm=gaps,
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
        f"series.thickness_mm and series.kernel in the description, or `series_uid` of the patient"
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
