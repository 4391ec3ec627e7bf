"""A set of trained models made from a finished run: files that can be given away."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file, save_file

from ldct import __version__
from ldct.common.errors import InputError
from ldct.common.files import atomic_folder, read_json, sha256_of_file, write_json, write_text
from ldct.configuration.weights import SET
from ldct.weights.card import CARD, model_card
from ldct.weights.describe import describe_training

LICENCE = "MIT, as the suite; the credits of the training data go with the files"


def export_weights(run: Path, training: str | None, folder: Path, licence: str = LICENCE) -> None:
    """Write `weights.json`, `MODEL_CARD.md` and, for each stage, weights and loss history.

    run : results/<run>. training : as `training_of` takes it. The folder appears when it is whole,
    and replaces an older set. Nothing in it names a host, a path or a time of day.
    Raises InputError where the run is not finished, or `folder` holds something else.
    """
    if folder.exists() and not (folder / SET).is_file():
        raise InputError(f"{folder}: is there and is no set of weights; expected a new folder")
    content = describe_training(run, training)
    if content["span"] is None:
        raise InputError(
            f"{run}: found no volumes of all training patients beside it; expected them in data/, "
            "since a set says what its training data span"
        )
    content |= {"licence": licence, "made_with": {"ldct": __version__}}
    with atomic_folder(folder) as temporary:
        for name, stage in content["stages"].items():
            source = run / "models" / name / content["training"]
            weights, history = temporary / f"{name}.safetensors", temporary / f"{name}.csv"
            _copy_weights(source / "weights.safetensors", weights, stage["stage"])
            shutil.copyfile(source / "history.csv", history)
            stage |= {
                "weights_sha256": sha256_of_file(weights),
                "history_sha256": sha256_of_file(history),
            }
        write_json(temporary / SET, content)
        write_text(temporary / CARD, model_card(read_json(temporary / SET)))


def _copy_weights(source: Path, target: Path, stage: Mapping[str, Any]) -> None:
    """The tensors with a stage beside them that names no paths."""
    save_file(load_file(source), target, {"stage": json.dumps(stage, sort_keys=True)})
    target.chmod(0o644)  # the library makes a file that its owner alone can read
