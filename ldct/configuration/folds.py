"""Which patients train and which test: the data set's own split, or folds over all patients."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ldct.common.errors import InputError
from ldct.configuration.stages import LEARNED


def resolve_folds(
    config: Mapping[str, Any], dataset: Mapping[str, Any]
) -> dict[str, dict[str, list[str]]]:
    """Start of the folders of a fold's trainings ("" without folds) to its patients by split.

    With `cross_validation` every patient is a test patient once, and the description's own split
    is not used; patients are dealt to the folds in turn.
    """
    patients = dataset["patients"]
    count = (config.get("cross_validation") or {}).get("folds")
    if count is None:
        split = {
            key: [name for name, entry in patients.items() if entry["split"] == key]
            for key in ("train", "test")
        }
        return {"": split}
    if count > len(patients):
        raise InputError(
            f"configuration: key 'cross_validation.folds': found {count}, but the data set "
            f"{dataset['name']} has {len(patients)} patients; expected at most one fold for each"
        )
    for key in ("detectability", "validation.patient"):
        first, _, second = key.partition(".")
        if config.get(first) and (not second or config[first].get(second)):
            raise InputError(
                f"configuration: key '{key}': found a value beside 'cross_validation', in which "
                "every patient is a test patient once; expected null"
            )
    names = list(patients)
    tested = {f"fold{number + 1}-": names[number::count] for number in range(count)}
    return {
        fold: {"train": [name for name in names if name not in test], "test": test}
        for fold, test in tested.items()
    }


def patients_of(
    folds: Mapping[str, Mapping[str, list[str]]], dataset: Mapping[str, Any], split: str
) -> list[str]:
    """Patients that are for training (or test) in any fold, in the description's order."""
    used = {name for fold in folds.values() for name in fold[split]}
    return [name for name in dataset["patients"] if name in used]


def describe_folds(folds: Mapping[str, Any], apart: Mapping[str, str]) -> str:
    """What captions say after the budget of folds, and of patients that are reported apart.

    >>> describe_folds({"fold1-": {}, "fold2-": {}}, {"P1": "noisy"}), describe_folds({"": {}}, {})
    (', 2 folds over all patients, P1 in no mean', '')
    """
    text = f", {len(folds)} folds over all patients" if len(folds) > 1 else ""
    return text + (f", {', '.join(apart)} in no mean" if apart else "")


def apart_patients(dataset: Mapping[str, Any], test: list[str]) -> dict[str, str]:
    """Test patients that no mean and no claim counts, to the reason; none where all would be.

    >>> patients = {"P1": {"apart": "noisy reference"}, "P2": {}}
    >>> apart_patients({"patients": patients}, ["P1", "P2"])
    {'P1': 'noisy reference'}
    """
    found = {name: dataset["patients"][name].get("apart") for name in test}
    apart = {name: reason for name, reason in found.items() if reason}
    return apart if len(apart) < len(test) else {}


def describe_apart(apart: Mapping[str, str]) -> str:
    """What captions say of patients that are reported apart, after the title.

    >>> describe_apart({"P1": "noisy", "P3": "noisy"})
    ' (P1, P3: noisy)'
    """
    named: dict[str, list[str]] = {}
    for patient, reason in apart.items():
        named.setdefault(reason, []).append(patient)
    words = "; ".join(f"{', '.join(names)}: {reason}" for reason, names in named.items())
    return f" ({words})" if words else ""


def is_tuned(folder: Path) -> bool:
    """Whether a method chooses parameters on training patients: its denoise.py has a `tune`."""
    code = folder / "denoise.py"
    return code.is_file() and "def tune(" in code.read_text(encoding="utf-8")


def check_training(folder: Path, card: Mapping[str, Any], train: Iterable[str]) -> None:
    """Raise InputError where a method is trained, or tuned, and there is no training patient."""
    tuned = is_tuned(folder)
    if not train and (card["kind"] in LEARNED or tuned):
        raise InputError(
            f"data set: key 'patients': found none of the split train, on which {folder.name} is "
            f"{'tuned' if tuned else 'trained'}; expected one at least, or a run without it"
        )
