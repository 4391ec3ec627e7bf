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


def describe_folds(folds: Mapping[str, Any]) -> str:
    """What captions say of folds after the budget; nothing where patients are split once.

    >>> describe_folds({"fold1-": {}, "fold2-": {}}), describe_folds({"": {}})
    (', 2 folds over all patients', '')
    """
    return f", {len(folds)} folds over all patients" if len(folds) > 1 else ""


def describe_notes(dataset: Mapping[str, Any]) -> str:
    """What captions say of single patients, after the title.

    >>> describe_notes({"patients": {"P1": {"apart": "noisy"}, "P2": {}, "P3": {"apart": "noisy"}}})
    ' (P1, P3: noisy)'
    """
    noted: dict[str, list[str]] = {}
    for patient, entry in dataset["patients"].items():
        if "apart" in entry:
            noted.setdefault(entry["apart"], []).append(patient)
    words = "; ".join(f"{', '.join(names)}: {note}" for note, names in noted.items())
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
