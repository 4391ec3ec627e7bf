"""Patient, dose, thickness and kernel as file, folder and header names tell them (docs/data.md).

Nothing in a header but a name says which dose a slice has. Sources, most trusted first:

1. PatientName (`L506_QD_1`, `L286_FD_3_SHARP`) and 2. the file name, both AAPM;
3. PatientID and SeriesDescription (`L241`, `Low Dose Images`), TCIA;
4. folders (`L067/quarter_1mm`, `1.000000-Low Dose Images-31092`), innermost first;
5. a TCIA `metadata.csv` ("Subject ID", "Series Description", "File Location").

The first source that knows a field gives it; a later one that contradicts it is a conflict.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

DOSES = FULL, QUARTER = "full", "quarter"
CODE = re.compile(
    r"(?<![A-Za-z0-9])([LCN]\d{3})_(FD|QD)_(\d{1,2})(_SHARP)?(?![A-Za-z0-9])", re.IGNORECASE
)
PATIENT = re.compile(r"[LCN]\d{3}", re.IGNORECASE)
# full_1mm, quarter_3mm_sharp; FD_1mm and QD_1mm are the names of the zip files.
SERIES_FOLDER = re.compile(r"(full|quarter|FD|QD)_(\d{1,2})mm(_sharp)?", re.IGNORECASE)
DESCRIPTION = re.compile(r"(full|low) dose images", re.IGNORECASE)
DOSE_WORDS = {"full": FULL, "fd": FULL, "quarter": QUARTER, "qd": QUARTER, "low": QUARTER}
KERNEL_NUMBER = re.compile(r"[A-Za-z]{1,2}(\d{2})")
SHARP_FROM = 40  # Siemens: B10 smooth, B30 soft tissue, D45 and above sharp


@dataclass(frozen=True)
class Names:
    """What one source says; None where it says nothing."""

    patient: str | None = None
    dose: str | None = None
    thickness_code: int | None = None
    sharp: bool | None = None


def from_code(text: str) -> Names:
    """Names in an AAPM code, as in PatientName or at the start of a file name.

    >>> from_code("L286_QD_3_SHARP")
    Names(patient='L286', dose='quarter', thickness_code=3, sharp=True)
    """
    match = CODE.search(text)
    if match is None:
        return Names()
    patient, dose, thickness, sharp = match.groups()
    return Names(patient.upper(), DOSE_WORDS[dose.lower()], int(thickness), sharp is not None)


def from_tcia(patient_id: str, series_description: str) -> Names:
    """Names in TCIA's PatientID and SeriesDescription (or the same columns of metadata.csv).

    The low dose of TCIA is a quarter for head and abdomen and a tenth for the chest; both are
    the `quarter` side of a pair here.
    """
    patient = patient_id.strip().upper() if PATIENT.fullmatch(patient_id.strip()) else None
    match = DESCRIPTION.fullmatch(series_description.strip())
    return Names(patient, DOSE_WORDS[match[1].lower()] if match else None)


def from_folders(folders: Sequence[str]) -> Names:
    """Names in the folders of a path, outermost first; the innermost that tells wins."""
    names = Names()
    for folder in folders:
        if PATIENT.fullmatch(folder):
            names = _with(names, Names(patient=folder.upper()))
        elif match := SERIES_FOLDER.fullmatch(folder):
            dose, thickness, sharp = match.groups()
            names = _with(
                names, Names(None, DOSE_WORDS[dose.lower()], int(thickness), sharp is not None)
            )
        elif match := DESCRIPTION.search(folder):
            names = _with(names, Names(dose=DOSE_WORDS[match[1].lower()]))
    return names


def merge(sources: Mapping[str, Names]) -> tuple[Names, tuple[str, ...]]:
    """Combine sources, most trusted first, into one record and the list of contradictions."""
    merged: dict[str, object] = {}
    origin: dict[str, str] = {}
    conflicts = []
    for source, names in sources.items():
        for field, value in vars(names).items():
            if value is None:
                continue
            if field not in merged:
                merged[field], origin[field] = value, source
            elif merged[field] != value:
                conflicts.append(
                    f"{field} is {merged[field]} by {origin[field]}, {value} by {source}"
                )
    return Names(**merged), tuple(conflicts)


def contradictions(names: Names, thickness_mm: float, kernel: str) -> tuple[str, ...]:
    """Where names disagree with SliceThickness (mm) and ConvolutionKernel of the header."""
    found = []
    if names.thickness_code is not None and abs(names.thickness_code - thickness_mm) > 0.5:
        found.append(f"named {names.thickness_code} mm, SliceThickness is {thickness_mm:g} mm")
    number = KERNEL_NUMBER.match(kernel)  # of Siemens, as in `D45f`: other makers have other names
    if number and names.sharp not in (None, int(number[1]) >= SHARP_FROM):
        wording = "sharp" if names.sharp else "soft"
        found.append(f"named {wording}, ConvolutionKernel is {kernel}")
    return tuple(found)


def _with(names: Names, later: Names) -> Names:
    """`names` with the fields that `later` knows replaced."""
    told = {key: value for key, value in vars(later).items() if value is not None}
    return replace(names, **told)
