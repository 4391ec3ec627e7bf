"""Where a run keeps its tables of per-slice values: names alone, nothing is opened."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

# Table to its files below results/<run>/: one format, one owner, one row per slice or lesion.
TABLES = {
    "scores": "scores/{method}/{seed}/{patient}.parquet",
    "image_quality": "image_quality/{method}/{seed}/{patient}.parquet",
    "texture": "texture/{method}/{seed}/{patient}.parquet",
    "lesion_bench": "lesion_bench/{method}/{seed}/{patient}.parquet",
    "detectability": "detectability/{method}/{seed}.parquet",
}
# Images that the texture lab measures beside the methods: normal and low dose itself.
IMAGES = {"ndct": "NDCT", "ldct": "LDCT"}


def table_files(run: Path, settings: Mapping[str, Any], table: str, method: str) -> list[Path]:
    """Files of one table that means and claims rest on; left-over files of other runs are not.

    settings : resolved run: `method_seeds`, `test_patients`, and `apart`, patients left out.
    """
    pattern, apart = TABLES[table], settings.get("apart", {})
    counted = [name for name in settings["test_patients"] if name not in apart]
    patients = counted if "{patient}" in pattern else [""]
    return [
        run / pattern.format(method=method, seed=seed, patient=patient)
        for seed in settings["method_seeds"].get(method, [FIXED])
        for patient in patients
    ]


ONE_FOLD = {"": {"test": []}}  # of a run that splits its patients once


def training_names(settings: Mapping[str, Any], seed: str) -> list[str]:
    """Folders below a model's that its trainings of one seed lie in: one, or one for each fold.

    >>> training_names({"folds": {"": {}}}, "0"), training_names({"folds": {"fold1-": {}}}, "0")
    (['0'], ['fold1-0'])
    """
    return [fold + seed for fold in settings.get("folds", ONE_FOLD)]


def training_name(settings: Mapping[str, Any], seed: str, patient: str) -> str:
    """Folder of the training that a patient's prediction is made with, never its own patient's."""
    folds = settings.get("folds", ONE_FOLD).items()
    return next((name for name, split in folds if patient in split["test"]), "") + seed


# Seed folder of methods whose output does not depend on a seed.
FIXED = "fixed"

# What every method is compared with; both lie in the test-set folder.
REFERENCES = {"ndct": "full.npy", "ldct": "quarter.npy"}
# A volume, and a test-set folder.
VOLUME_FILES = (*REFERENCES.values(), "volume.json")


def image_files(
    folder: Path, predictions: Sequence[Path], patient: str
) -> Iterator[tuple[str, str, Path]]:
    """(method, seed folder, file) of both references and of every prediction of one patient.

    folder : test-set folder. predictions : paths `.../<method>/<seed>/<patient>.npy`.
    """
    for name, file in REFERENCES.items():
        yield name, FIXED, folder / file
    for path in predictions:
        if path.stem == patient:
            yield path.parent.parent.name, path.parent.name, path


def seed_number(seed: str) -> int:
    """The number by which tables name a seed folder: 0 for methods without seeds."""
    return 0 if seed == FIXED else int(seed)


PATIENT = "discs"
