"""The data doctor: index a folder of DICOM files and report what was expected and what found."""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from ldct.common.errors import InputError
from ldct.common.files import write_frame, write_text
from ldct.common.provenance import of_no_machine
from ldct.data.dicom import naming, pairing
from ldct.data.dicom.naming import DOSES, FULL, QUARTER
from ldct.data.dicom.pairing import PatientPairs
from ldct.data.dicom.pairs.absent import absent_problem, lacking, refused_files
from ldct.data.dicom.pairs.checks import compare_doses, level_note
from ldct.data.dicom.pixels import pixel_sha256
from ldct.data.dicom.reading import (
    NOT_DICOM,
    Survey,
    run_parallel,
    survey_folder,
)

LISTED = 20  # entries of a list that are written out before "and N more"
NAMED_PROBLEMS = 3
log = logging.getLogger(__name__)


def index_dataset(
    root: str | Path,
    description: Mapping[str, Any],
    index_path: str | Path,
    inventory_path: str | Path,
    workers: int = 1,
) -> None:
    """Index the slice pairs of a data set and write its inventory.

    root : folder of DICOM files in any layout of docs/data.md; only read.
    description : content of config/datasets/<name>.yaml: `series`, `patients`, `files`,
        `z_tolerance_mm` and `simulate` are used. With `simulate`, full-dose slices are indexed
        alone, and what no source tells is full dose.
    index_path, inventory_path : `index.parquet` and `inventory.md`, written atomically; the
        inventory also when the data have problems, the index only when they have none.
    workers : processes.

    Missing, unpaired, damaged or duplicate slices are logged as warnings and listed.
    Raises InputError when a patient of the description is not under `root`, when thicknesses or
    kernels are mixed within what is selected for a patient, or when a pair does not match.
    """
    described = naming.Described(
        codes=tuple(description["patients"]),
        files=description.get("files", {}),
        dose=FULL if "simulate" in description else None,
    )
    any_thickness = description["series"]["thickness_mm"] is None
    survey = survey_folder(root, workers, any_thickness, described)
    absent, patients, digests = [], [], {}
    for patient in description["patients"]:
        found = _pair_patient(root, patient, survey, description, described, digests, workers)
        refused, notes = refused_files(
            survey, described, patient, found.chosen if found.pairs else ()
        )
        absent += [] if found.chosen or found.problems or refused else [patient]
        found = replace(found, problems=(*refused, *found.problems), notes=(*found.notes, *notes))
        patients.append(found)
        if not found.problems:  # else the report alone tells what follows from them
            for note in _notes(found, description["patients"][patient].get("slices")):
                log.warning("%s: %s", patient, note)
    problems = [problem for found in patients for problem in found.problems]
    if absent:
        problems.append(absent_problem(root, survey, described, absent))
    report = of_no_machine(render_inventory(description, root, survey, patients, problems))
    write_text(inventory_path, report)
    if problems:
        more = len(problems) - NAMED_PROBLEMS
        raise InputError(
            "; ".join(problems[:NAMED_PROBLEMS]) + (f"; and {more} more" if more > 0 else "")
        )
    write_frame(index_path, pairing.index_frame(patients, digests))


def render_inventory(
    description: Mapping[str, Any],
    root: str | Path,
    survey: Survey,
    patients: Sequence[PatientPairs],
    problems: Sequence[str],
) -> str:
    """The inventory as Markdown; never a person's name or another identifying tag."""
    expected = {name: entry.get("slices") for name, entry in description["patients"].items()}
    thickness, kernel = (description["series"][key] for key in ("thickness_mm", "kernel"))
    total = sum(len(found.pairs) for found in patients)
    known = [count for count in expected.values() if count is not None]
    simulated = "simulate" in description
    what = "Slices" if simulated else "Slice pairs"
    lines = [
        f"# Inventory: {description['title']}",
        "",
        f"- Folder searched: `{root}`",
        f"- Series asked for: {'any thickness' if thickness is None else f'{thickness:g} mm'}, "
        f"{kernel or 'any'} kernel",
        f"- CT slices found: {len(survey.headers)}",
        f"- {what} {'found, none indexed' if problems else 'indexed'}: {total}, "
        f"expected {sum(known) if known else 'unknown'}, "
        f"{sum(bool(found.pairs) for found in patients)} of {len(expected)} patients",
        "",
        "| patient | split | expected | full | quarter | pairs | thickness, mm | kernel "
        "| spacing, mm | pixel, mm | z, mm |",
        "|---|---|---:|---:|---:|---:|---:|---|---:|---:|---|",
    ]
    lines += [_row(found, description["patients"][found.patient], simulated) for found in patients]
    lines += _section("Problems: nothing is indexed until these are solved", problems)
    for found in patients:
        notes = _notes(found, expected[found.patient])
        lines += _section(f"{found.patient}: left out or different from what was expected", notes)
    selected = {header.path for found in patients for pair in found.pairs for header in pair}
    lines += _section("Odd values among the indexed slices", _odd_values(survey, selected))
    lines += _section("Series not used", _unused(survey, selected, patients))
    lines += _section("Other files", _other_files(survey))
    return "\n".join(lines) + "\n"


def _pair_patient(
    root: str | Path,
    patient: str,
    survey: Survey,
    description: Mapping[str, Any],
    described: naming.Described,
    digests: dict[str, str | None],
    workers: int,
) -> PatientPairs:
    """Pairs of one patient; adds the pixel digests of its slices to `digests`."""
    if not any(header.patient == patient for header in survey.headers):
        return PatientPairs(patient)
    doses = DOSES[:1] if "simulate" in description else DOSES
    chosen, problems = pairing.select_series(
        patient,
        survey.headers,
        description["series"],
        doses,
        description["patients"][patient],
        lacking(survey, described, patient),
    )
    if problems:
        return PatientPairs(patient, chosen, problems=problems)
    paths = [header.path for header in chosen]
    title = f"{patient}: reading pixels"
    hashes = run_parallel(partial(pixel_sha256, Path(root)), paths, workers, title)
    digests.update(zip(paths, hashes, strict=True))
    tolerance = description.get("z_tolerance_mm", pairing.SAME_MM)
    found = pairing.pair_slices(patient, chosen, digests, doses, tolerance)
    if found.problems:
        return found
    problems, notes = [], []
    if doses == DOSES:
        problems, notes = compare_doses(root, patient, found.pairs, workers)
    notes += filter(None, [level_note(root, found.pairs)])
    return replace(found, problems=tuple(problems), notes=(*notes, *found.notes))


def _notes(found: PatientPairs, expected: int | None) -> list[str]:
    """Warnings about one patient, one line each."""
    notes = list(found.notes)
    if expected is not None and found.pairs and len(found.pairs) != expected:
        notes.append(f"{len(found.pairs)} slice pairs, {expected} expected")
    if found.missing_z_mm:
        positions = _listed([f"{z:g}" for z in found.missing_z_mm])
        notes.append(f"{len(found.missing_z_mm)} missing in both doses, z in mm: {positions}")
    for dose, other in ((FULL, QUARTER), (QUARTER, FULL)):
        lonely = [header for header in found.unpaired if header.dose == dose]
        if lonely:
            positions = _listed([f"{header.z_mm:g}" for header in lonely])
            notes.append(
                f"{len(lonely)} {dose}-dose slices without a {other}-dose partner, left out, "
                f"z in mm: {positions}"
            )
    if found.duplicates:
        paths = _listed([header.path for header in found.duplicates])
        notes.append(f"{len(found.duplicates)} duplicates, left out: {paths}")
    if found.damaged:
        paths = _listed([header.path for header in found.damaged])
        notes.append(f"{len(found.damaged)} with damaged pixels, left out: {paths}")
    return notes


def _row(found: PatientPairs, entry: Mapping[str, Any], simulated: bool) -> str:
    counts = Counter(header.dose for header in found.chosen)
    expected = entry.get("slices")
    cells = [
        found.patient,
        entry.get("split", ""),
        "unknown" if expected is None else expected,
        counts[FULL],
        "simulated" if simulated else counts[QUARTER],
        len(found.pairs),
    ]
    if found.pairs:
        first = found.pairs[0][0]
        z = [full.z_mm for full, *_ in found.pairs]
        spacing = f"{np.median(np.diff(z)):.4g}" if len(z) > 1 else ""
        cells += [
            f"{first.thickness_mm or 0:g}",
            first.kernel,
            spacing,
            " x ".join(f"{value:.4g}" for value in first.pixel_mm),
            f"{z[0]:g} to {z[-1]:g}",
        ]
    else:
        cells += [""] * 5
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _odd_values(survey: Survey, selected: set[str]) -> list[str]:
    """Slope, intercept and padding that differ from 1, -1024 and none of the AAPM files."""
    odd: Counter[tuple[str | None, str]] = Counter(
        {
            (patient, "no SliceThickness, so their spacing"): n
            for patient, n in survey.filled.items()
        }
    )
    for header in survey.headers:
        if header.path not in selected:
            continue
        if header.slope != 1:
            odd[header.patient, f"rescale slope {header.slope:g}"] += 1
        if header.intercept != -1024:
            odd[header.patient, f"rescale intercept {header.intercept:g}"] += 1
        if header.padding is not None:
            odd[header.patient, f"pixel padding value {header.padding} (set to -1024 HU)"] += 1
    return [f"{patient}: {what} in {count} slices" for (patient, what), count in odd.items()]


def _unused(survey: Survey, selected: set[str], patients: Sequence[PatientPairs]) -> list[str]:
    """Series of the patients, and patients, that the description does not ask for."""
    left_out = {
        header.path
        for found in patients
        for header in (*found.unpaired, *found.duplicates, *found.damaged)
    }
    rest = [header for header in survey.headers if header.path not in selected | left_out]
    rest.sort(key=lambda header: header.patient or "")
    return [
        f"{patient or 'no patient code'}: {pairing.describe_series(group)}"
        for patient, group in groupby(rest, key=lambda header: header.patient)
    ]


def _other_files(survey: Survey) -> list[str]:
    lines = []
    if survey.projections:
        lines.append(f"{survey.projections} in folders of raw projections, not opened")
    for reason, paths in survey.skipped.items():
        if reason == NOT_DICOM and paths:
            kinds = ", ".join(f"{count} {kind}" for kind, count in survey.suffixes.most_common())
            lines.append(f"{len(paths)} {reason}: {kinds}")
        elif paths:
            folders = Counter(str(PurePosixPath(path).parent) for path in paths)
            places = _listed([f"{folder} ({count})" for folder, count in folders.items()])
            lines.append(f"{len(paths)} {reason}, in {places}")
    return lines


def _section(title: str, entries: Iterable[str]) -> list[str]:
    entries = list(entries)
    return ["", f"## {title}", "", *(f"- {entry}" for entry in entries)] if entries else []


def _listed(entries: Sequence[str]) -> str:
    more = len(entries) - LISTED
    return ", ".join(entries[:LISTED]) + (f" and {more} more" if more > 0 else "")
