"""Why no slices of a patient were found, although the description names it."""

from collections.abc import Sequence
from pathlib import Path

from ldct.data.dicom.naming import DOSES, Described
from ldct.data.dicom.reading import UNREADABLE, Survey

LISTED = 4


def absent_problem(
    root: str | Path, survey: Survey, described: Described, absent: Sequence[str]
) -> str:
    """One line on patients without any file: what lies there instead, and what to do."""
    problem = f"{root}: no CT slices of {', '.join(absent)}"
    others = [header for header in survey.headers if header.patient not in described.codes]
    if described.files:
        told = unmatched_files(survey, described, absent[0]).values()
        problem += f": {'; '.join(told)}; correct `files` in the description"
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
    reasons = ", ".join(survey.reasons(None))
    return problem + _unpack(survey) + (f"; of no patient known: {reasons}" if reasons else "")


def refused_files(
    survey: Survey, described: Described, patient: str, there: bool
) -> tuple[str, ...]:
    """Why CT slices of one patient cannot be used; of one of whom none is there, every file."""
    reasons = survey.reasons(patient, (UNREADABLE,) if there else survey.skipped)
    if there:
        return tuple(f"{patient}: {reason}; correct the files or remove them" for reason in reasons)
    remedy = "correct the files"
    if len(described.codes) > 1:
        remedy += " or take the patient out of the description"
    problem = f"{patient}: no CT slices; {', '.join(reasons)}; {remedy}{_unpack(survey)}"
    return (problem,) if reasons else ()


def unmatched_files(survey: Survey, described: Described, patient: str) -> dict[str, str]:
    """Dose -> how far its pattern in `files` matches for one patient."""
    paths = [header.path for header in survey.headers]
    alone = Described(codes=(patient,), files=described.files)
    return {dose: alone.longest_match(dose, paths) for dose in DOSES if dose in alone.files}


def _unpack(survey: Survey) -> str:
    archives = survey.archives()
    return f" ({archives} there: unpack them)" if archives else ""
