"""Why slices of a patient were not found, although the description names it."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ldct.data.dicom.header import FRAME, NOT_A_SLICE, Refusal, SliceHeader
from ldct.data.dicom.naming import DOSES, Described
from ldct.data.dicom.reading import EMPTY, NOT_DICOM, UNREADABLE, Survey, reasons

LISTED = 4
SAME_MM = 0.01  # of a thickness


def absent_problem(
    root: str | Path, survey: Survey, described: Described, absent: Sequence[str]
) -> str:
    """One line on patients without any file: what lies there instead, and what to do."""
    problem = f"{root}: no CT slices of {', '.join(absent)}"
    others = [header for header in survey.headers if header.patient not in described.codes]
    if described.files:
        told = unmatched_files(survey, described, absent[0]).values()
        problem += f": {'; '.join(told)}; correct `files` in the description"
    elif contradicted := _contradicted(survey, absent[0]):
        problem += f"; {contradicted}"
    elif others:
        names = sorted({header.patient for header in others if header.patient})
        named = f"name {', '.join(names[:LISTED])}" if names else "name no patient"
        problem += (
            f": {len(others)} other CT slices {named} (first: {others[0].path}); name a folder of "
            f"each patient by its code, or set `files` in the description"
        )
    else:
        problem += "; put the files of these patients there"
    if len(absent) < len(described.codes):
        problem += ", or take the patients out of the description"
    told = ", ".join(reasons(survey.refused(None, (NOT_A_SLICE, UNREADABLE))))
    return problem + _unpack(survey) + (f"; of no patient known: {told}" if told else "")


def refused_files(
    survey: Survey, described: Described, patient: str, chosen: Sequence[SliceHeader]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Problems and notes on files of one patient that cannot be used.

    A CT slice that cannot be read is a problem, unless its header shows that it is of none of the
    series of the `chosen` slices. Of a patient without any slice, every file is told.
    """
    if not any(header.patient == patient for header in survey.headers):
        told = ", ".join(reasons(survey.refused(patient, survey.skipped)))
        remedy = "correct the files"
        if len(described.codes) > 1:
            remedy += " or take the patient out of the description"
        problem = f"{patient}: no CT slices; {told}; {remedy}{_unpack(survey)}"
        return (problem,) * bool(told), ()
    unread = survey.refused(patient, (UNREADABLE,))
    stop = [each for each in unread if not _of_another(each, chosen)]
    others = reasons(each for each in unread if _of_another(each, chosen))
    notes = [f"{line}, of another series" for line in others]
    suffixes = {_suffix(header.path) for header in chosen}
    notes += reasons(
        each
        for each in survey.refused(patient, (NOT_DICOM,))
        if each.why == EMPTY or _suffix(each.path) in suffixes
    )
    problems = (f"{patient}: {line}; correct the files or remove them" for line in reasons(stop))
    return tuple(problems), tuple(f"{line}, left out" for line in notes)


def lacking(survey: Survey, described: Described, patient: str) -> dict[str, str]:
    """Dose -> what may be the cause where a patient has no slice of it, for the end of a line."""
    told = unmatched_files(survey, described, patient) if described.files else {}
    contradicted = _contradicted(survey, patient)
    missing = "the description has no `files.{}`".format if described.files else "".format
    return {
        dose: "".join(f"; {text}" for text in (told.get(dose, missing(dose)), contradicted) if text)
        + _unpack(survey)
        for dose in DOSES
    }


def unmatched_files(survey: Survey, described: Described, patient: str) -> dict[str, str]:
    """Dose -> how far its pattern in `files` matches for one patient."""
    paths = [header.path for header in survey.headers]
    alone = Described(codes=(patient,), files=described.files)
    return {dose: alone.longest_match(dose, paths) for dose in DOSES if dose in alone.files}


def _contradicted(survey: Survey, patient: str) -> str:
    """Slices that one name gives to a patient and a more trusted one to another."""
    told = [
        f"{header.path}: {conflict}"
        for header in survey.headers
        for conflict in header.conflicts
        if header.patient != patient and f"patient {patient} by " in conflict
    ]
    return f"{len(told)} files name two patients (first: {told[0]})" if told else ""


def _of_another(refusal: Refusal, chosen: Sequence[SliceHeader]) -> bool:
    """Whether what a refused header tells of its series fits none of the chosen slices."""
    if not chosen:
        return False
    fits = {
        "thickness": not refusal.thickness_mm
        or any(abs(refusal.thickness_mm - each.thickness_mm) <= SAME_MM for each in chosen)
    }
    for key in ("kernel", "described", "series"):
        told, known = getattr(refusal, key), {getattr(each, key) for each in chosen}
        # Where every slice of a dose has a series of its own, another one tells nothing.
        several = key == "series" and len(known) > len({each.dose for each in chosen})
        fits[key] = not told or told in known or several
    return not all(fits.values())


def _suffix(path: str) -> str:
    return PurePosixPath(path.rpartition(FRAME)[0] or path).suffix.lower()


def _unpack(survey: Survey) -> str:
    archives = survey.archives()
    return f" ({archives} there: unpack them)" if archives else ""
