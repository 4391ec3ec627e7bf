"""Protocol files that a run's keys name: the main one, further ones, those of validation."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ldct.common.errors import InputError
from ldct.common.schema import read_valid
from ldct.configuration.paths import named_file

CALIBRATED = "calibrated"


def resolve_protocols(
    config: Mapping[str, Any], dataset: Mapping[str, Any], repository: Path
) -> dict[str, Any]:
    """Files and names of the run's protocols, the main one first, none twice."""
    # A protocol fitted to simulated dose must not pass for one of a paper.
    calibrated = f"{CALIBRATED}_simulated_dose" if dataset["simulated"] else CALIBRATED
    calibrated_file = f"results/{config['run']}/calibration/{calibrated}.yaml"
    files: dict[str, str] = {}
    for key, names in (
        ("protocol", [config["protocol"]]),
        ("further_protocols", config.get("further_protocols", [])),
    ):
        for name in names:
            if name == CALIBRATED:
                own, path = calibrated, calibrated_file
            else:
                path = str(named_file(repository / "config/protocols", name, key))
                own = read_valid(path, "protocol", "protocol file")["name"]
            if files.setdefault(own, path) != path:
                raise InputError(
                    f"configuration: key '{key}': {files[own]} and {path} are both named '{own}'; "
                    "expected a name of its own for each, since it names score rows"
                )
    return {
        "protocol_file": next(iter(files.values())),
        "protocol_files": list(files.values()),
        "protocol_names": list(files),
        "calibrated_protocol": calibrated_file,
    }


def validation_protocol(
    config: Mapping[str, Any], train: list[str], repository: Path
) -> str | None:
    """Protocol file of the validation, or None for a run that holds out no patient."""
    validation = config.get("validation") or {}
    patient = validation.get("patient")
    if patient is None:
        return None
    if patient not in train or len(train) == 1:
        raise InputError(
            f"configuration: key 'validation.patient': found '{patient}', expected one of several "
            f"training patients ({', '.join(train)}), or null"
        )
    folder = repository / "config/protocols"
    return str(named_file(folder, validation["protocol"], "validation.protocol"))


def calibration_file(config: Mapping[str, Any], repository: Path) -> str | None:
    """List of settings of the calibration, or None where the run has none."""
    name = config.get("calibration_grid")
    if name is None and CALIBRATED in [config["protocol"], *config.get("further_protocols", [])]:
        raise InputError(
            "configuration: key 'calibration_grid': found null, but the protocol 'calibrated' is "
            "made by the calibration; expected the name of a grid, e.g. default"
        )
    if name is None:
        return None
    return str(named_file(repository / "config/calibration", name, "calibration_grid"))
