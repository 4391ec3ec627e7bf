"""Files of a set put where a run looks for the results of trainings and tunings."""

import shutil
from pathlib import Path
from typing import Any

from ldct.common.files import REPOSITORY, atomic_path, write_json
from ldct.common.provenance import recorded
from ldct.configuration.weights import SET, read_set
from ldct.weights.find import history_file, weights_file


def take_stage(folder: Path, model: str, output: Path) -> None:
    """Write weights.safetensors, history.csv and training.json of a stage, as a training does.

    Times are None: they are of another machine. Raises InputError where a file is not the set's.
    """
    given = read_set(str(folder), REPOSITORY)
    stage, weights, history = (
        given["stages"][model],
        weights_file(given, model),
        history_file(given, model),
    )
    settings = {
        "stage": stage["stage"],
        "steps": stage["steps"],
        "seed": given["seed"],
        "taken_from": _origin(given),
    }
    with recorded([output / "weights.safetensors"], [folder / SET, weights, history], settings):
        for source, name in ((weights, "weights.safetensors"), (history, "history.csv")):
            with atomic_path(output / name) as temporary:
                shutil.copyfile(source, temporary)
        times = {"seconds": None, "cpu_seconds": None, "restarts": 0}
        write_json(output / "training.json", {**stage["training"], **times})


def take_parameters(folder: Path, method: str, output: Path) -> None:
    """Write parameters.json of a tuned method, as its tuning does."""
    given = read_set(str(folder), REPOSITORY)
    with recorded([output], [folder / SET], {"taken_from": _origin(given)}):
        write_json(output, given["parameters"][method])


def _origin(given: dict[str, Any]) -> dict[str, Any]:
    keys = ("run", "training", "budget_text")
    patients, data = list(given["data"]["patients"]), given["data"]
    told = {"data set": data["title"], "patients": patients, "simulate": data["simulate"]}
    return {key: given[key] for key in keys} | told
