"""Patient, dose, thickness and kernel as file, folder and header names tell them (docs/data.md).

Nothing in a header but a name says which dose a slice has. Sources, most trusted first:

1. PatientName (`L506_QD_1`, `L286_FD_3_SHARP`) and 2. the file name, both AAPM;
3. PatientID and SeriesDescription (`L241`, `Low Dose Images`), TCIA;
4. folders (`L067/quarter_1mm`, `1.000000-Low Dose Images-31092`), innermost first;
5. a TCIA `metadata.csv` ("Subject ID", "Series Description", "File Location").

The first source that knows a field gives it; one that contradicts another is a conflict. What the
description of a data set says comes before them all: `files` maps patterns of paths to patient and
dose, and a folder or PatientID that is one of its codes names that patient, whatever the code.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

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


# How a contradiction names a value, and what to do where one source alone is wrong.
WORDING = {
    "patient": lambda value: f"patient {value}",
    "dose": lambda value: f"{value} dose",
    "thickness_code": lambda value: f"{value:g} mm",
    "sharp": lambda value: "sharp kernel" if value else "soft kernel",
}
REMEDIES = {
    "folder": "the folder is wrong, rename it",
    "file name": "rename the files",
    "files.quarter": "both patterns match; change one",
}


@dataclass(frozen=True)
class Names:
    """What one source says; None where it says nothing."""

    patient: str | None = None
    dose: str | None = None
    thickness_code: float | None = None
    sharp: bool | None = None


@dataclass(frozen=True)
class Described:
    """What the description of a data set says of names.

    codes : of its patients. files : dose -> pattern of relative paths, of which `*` stands for any
    text within one part and `{patient}` for any of the codes. dose : where nothing tells one.
    metadata : names by the last parts of a series folder, from TCIA's `metadata.csv`.
    """

    codes: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    dose: str | None = None
    metadata: Mapping[tuple[str, ...], Names] = field(default_factory=dict)

    def code(self, text: str) -> str | None:
        """The patient code that a text is, whatever its case."""
        text = text.strip()
        return text if text in self.codes else self._codes.get(text.casefold())

    def place(self, path: str) -> dict[str, Names]:
        """Names by every pattern that a path matches."""
        found = {f"files.{dose}": self._match(path, dose) for dose in self.files}
        return {
            source: Names(patient=self._patient(match), dose=source.removeprefix("files."))
            for source, match in found.items()
            if match
        }

    def longest_match(self, dose: str, paths: Iterable[str]) -> str:
        """Which part of a pattern matches, which does not, and the path that comes nearest."""
        parts = self._parts(dose)
        count, path = 0, ""
        for candidate in paths:
            depth = next(
                (n for n in range(len(parts), 0, -1) if self._match(candidate, dose, n)), 0
            )
            if depth > count or not path:
                count, path = depth, candidate
        pattern = f"files.{dose} {self.files[dose]!r}"
        if count == len(parts):
            unnamed = ", but names no patient: put {patient} into it"
            return f"{pattern} matches {path}{unnamed * ('{patient}' not in pattern)}"
        done = f"'{'/'.join(parts[:count])}' matches, " if count else ""
        return f"{pattern}: {done}'{parts[count]}' does not match {path or 'any file'}"

    @cached_property
    def _codes(self) -> dict[str, str]:
        return {code.casefold(): code for code in self.codes}

    @cached_property
    def _patterns(self) -> dict[tuple[str, int], re.Pattern]:
        codes = "|".join(map(re.escape, sorted(self.codes, key=len, reverse=True)))
        patterns = {}
        for dose in self.files:
            parts = self._parts(dose)
            for count in range(1, len(parts) + 1):
                text = re.escape("/".join(parts[:count])).replace(r"\*", "[^/]*")
                text = text.replace(r"\{patient\}", f"(?P<patient>{codes})", 1)
                text = text.replace(r"\{patient\}", "(?P=patient)")
                patterns[dose, count] = re.compile(f"{text}(?=/|$)", re.IGNORECASE)
        return patterns

    def _parts(self, dose: str) -> tuple[str, ...]:
        return PurePosixPath(self.files[dose].replace("\\", "/")).parts

    def _match(self, path: str, dose: str, count: int | None = None) -> re.Match | None:
        return self._patterns[dose, count or len(self._parts(dose))].match(path)

    def _patient(self, match: re.Match) -> str | None:
        """The patient of a match; a pattern without `{patient}` serves a data set of one."""
        if "patient" in match.re.groupindex:
            return self.code(match["patient"])
        return self.codes[0] if len(self.codes) == 1 else None


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


def sources(
    path: str, told: Mapping[str, Names], patient_id: str, described: Described
) -> dict[str, Names]:
    """What the description and other sources say of one slice, most trusted first.

    path : relative, with `/`. told : by file, folder and header. patient_id : PatientID.
    """
    found = {
        key: replace(names, patient=described.code(names.patient or "") or names.patient)
        for key, names in told.items()
    }
    if described.files:  # the user's word is final
        found = {key: replace(names, patient=None, dose=None) for key, names in found.items()}
        found = described.place(path) | found
    else:
        folders = PurePosixPath(path).parent.parts
        own = {"PatientID": described.code(patient_id)}
        own["folder"] = next(filter(None, map(described.code, reversed(folders))), None)
        # A code of one's own goes before what looks like one of AAPM's.
        if any(code and not PATIENT.fullmatch(code) for code in own.values()):
            found = {"PatientID": Names(), "folder": Names()} | found
            found = {key: replace(names, patient=own.get(key)) for key, names in found.items()}
    if not any(names.dose for names in found.values()):
        found["description"] = Names(dose=described.dose)
    return found


def merge(sources: Mapping[str, Names]) -> tuple[Names, tuple[str, ...]]:
    """Combine sources, most trusted first, into one record and the list of contradictions."""
    merged: dict[str, Any] = {}
    conflicts = []
    for key in vars(Names()):
        said: dict[Any, list[str]] = {}
        for source, names in sources.items():
            if (value := getattr(names, key)) is not None:
                said.setdefault(value, []).append(source)
        if said:
            merged[key] = next(iter(said))
        if len(said) > 1:
            conflicts.append(_contradiction(key, said))
    return Names(**merged), tuple(conflicts)


def _contradiction(key: str, said: Mapping[Any, Sequence[str]]) -> str:
    """What most sources say (at a tie, the most trusted), what the others say, and the remedy."""
    (value, most), *others = sorted(said.items(), key=lambda entry: -len(entry[1]))
    rest = "; ".join(f"{WORDING[key](other)} by {', '.join(wrong)}" for other, wrong in others)
    wrong = [source for _, sources in others for source in sources]
    remedy = REMEDIES.get(
        wrong[0] if len(wrong) == 1 else "", "make them agree, or remove the files"
    )
    return f"{WORDING[key](value)} by {', '.join(most)}, but {rest}: {remedy}"


def of_tags(told: Mapping[str, Names], thickness_mm: float | None, kernel: str) -> dict[str, Names]:
    """What SliceThickness (mm) and ConvolutionKernel say of the same fields."""
    codes = {names.thickness_code for names in told.values()} - {None}
    # Names say whole millimetres.
    near = [code for code in codes if thickness_mm and abs(code - thickness_mm) <= 0.5]
    number = KERNEL_NUMBER.match(kernel)  # of Siemens, as in `D45f`: other makers have other names
    sharp = int(number[1]) >= SHARP_FROM if number else None
    return {
        "SliceThickness": Names(thickness_code=near[0] if near else thickness_mm),
        f"ConvolutionKernel {kernel}": Names(sharp=sharp),
    }


def _with(names: Names, later: Names) -> Names:
    """`names` with the fields that `later` knows replaced."""
    told = {key: value for key, value in vars(later).items() if value is not None}
    return replace(names, **told)
