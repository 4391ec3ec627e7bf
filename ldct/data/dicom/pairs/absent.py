"""Why no slices of a patient were found, although the description names it."""

from collections.abc import Sequence
from pathlib import Path

from ldct.data.dicom.naming import DOSES, Described
from ldct.data.dicom.reading import Survey

LISTED = 4


def absent_problem(
    root: str | Path, survey: Survey, described: Described, absent: Sequence[str]
) -> str:
    """One line on patients without slices: what lies there instead, and what to do."""
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
    archives = survey.suffixes[".zip"]
    return problem + (f" ({archives} zip files lie there: unpack them)" if archives else "")


def unmatched_files(survey: Survey, described: Described, patient: str) -> dict[str, str]:
    """Dose -> how far its pattern in `files` matches for one patient."""
    paths = [header.path for header in survey.headers]
    alone = Described(codes=(patient,), files=described.files)
    return {dose: alone.longest_match(dose, paths) for dose in DOSES if dose in alone.files}
