"""Checks of given predictions: of every patient found, against a volume where one lies here."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ldct.common.errors import InputError
from ldct.common.inputs import read_volume_info
from ldct.common.run_files import VOLUME_FILES
from ldct.configuration.given import SUFFIXES, check_given, given_files, place_of
from ldct.denoising.given import take_predictions
from ldct.method_check.pair import Verdict

VOLUMES = "data/*/volumes/{}"  # of data sets that a run has read, below the working directory


def check_predictions(folder: Path, card: Mapping[str, Any], work: Path, verdict: Verdict) -> None:
    """Take every patient's images as a run would."""
    place = place_of(folder, card)
    names = sorted(path.name for path in place.glob("*") if not path.name.startswith("."))
    patients = dict.fromkeys(_without_suffix(name) for name in names)
    check_given(folder, card, patients)
    if not patients:
        raise InputError(f"{place}: found nothing, expected predictions: correct the card")
    order = card.get("slice_order", "ascending")
    for patient in patients:
        pairs = list(_volumes_and_tests(patient))
        if not pairs:
            given_files(place, patient)
            verdict.remarks.append(f"{patient}: not compared, no {VOLUMES.format(patient)} here")
        for volume, test in pairs:
            take_predictions(place, patient, order, volume, test, work / f"{patient}.npy")
            verdict.facts[patient] = f"HU, slice for slice as in {test}"


def _volumes_and_tests(patient: str) -> Iterator[tuple[Path, Path]]:
    """Volumes of a patient with the test sets that runs chose from them, or themselves."""
    for volume in filter(_is_whole, Path().glob(VOLUMES.format(patient))):
        tests = filter(_is_whole, Path().glob(f"results/*/test/{patient}"))
        name = read_volume_info(volume)["dataset"]
        own = [folder for folder in tests if read_volume_info(folder)["dataset"] == name]
        yield from ((volume, test) for test in own or [volume])


def _without_suffix(name: str) -> str:
    return next((name.removesuffix(end) for end in SUFFIXES if name.endswith(end)), name)


def _is_whole(folder: Path) -> bool:
    return all((folder / name).is_file() for name in VOLUME_FILES)
