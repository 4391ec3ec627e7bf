"""Trained models of a method, by name: of the reference weights, of another set, or of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ldct.common.errors import InputError
from ldct.common.files import REPOSITORY, sha256_of_file
from ldct.common.scaling import Scaling
from ldct.configuration.folds import is_tuned
from ldct.configuration.registry import find_methods, method_folder
from ldct.configuration.stages import resolve_models, scaling_from
from ldct.configuration.weights import SET, read_set, take_models, title_of
from ldct.weights.describe import describe_training

ELSEWHERE = "train it in a run, and name that run in place of these weights"


@dataclass(frozen=True)
class Models:
    """What a trained or tuned method needs to denoise.

    levels, weights : for `ldct.load_levels`, first level first; empty for a classical method.
    scaling : network units of its levels; None for a classical method.
    parameters : what was tuned; None where nothing was.
    title : of the source, for messages. about : as weights.json: `data` with `patients` and
        `simulate`, `span` (None where it is not known), `budget_text`, `training`, `run`.
    changed : stages whose card or code has changed since, a text each.
    """

    levels: list[dict[str, Any]]
    weights: list[Path]
    scaling: Scaling | None
    parameters: dict[str, Any] | None
    title: str
    about: Mapping[str, Any]
    changed: list[str]


def find_models(
    method: str,
    source: str | Path = "reference",
    training: str | None = None,
    method_paths: Sequence[str | Path] = (),
) -> Models:
    """Models of one method, every file checked by its sha256 where a set has it.

    source : "reference", a folder that `ldct export-weights` made, or a run's folder results/<run>.
    training : of a run with several, "0" or "fold3-0". method_paths : of own methods.
    Raises InputError where the source has no models of the method, or a file was changed.
    """
    folders = find_methods([REPOSITORY / "methods", *method_paths])
    folder = method_folder(method, folders, "method")
    is_set = source == "reference" or (Path(source) / SET).is_file()
    if is_set:
        given = read_set(str(source), REPOSITORY)
        title = title_of(given)
    else:
        given = {**describe_training(Path(source), training), "folder": str(source)}
        title = f"run {given['run']}, training {given['training']}"
    resolved, chains = resolve_models([method], folders, given["budget"], given["tile_size"])
    tuned = [method] if is_tuned(folder) else []
    stages, changed = take_models(resolved, chains, [method], tuned, given, ELSEWHERE)
    chain = [stages[name] for name in chains.get(method, [])]
    if is_set:
        weights = [weights_file(given, stage["model"]) for stage in chain]
    else:
        models = Path(source) / "models"
        weights = [
            models / stage["model"] / given["training"] / "weights.safetensors" for stage in chain
        ]
    keys = ("model", "network", "target", "inputs")
    return Models(
        [{key: stage[key] for key in keys} for stage in chain],
        weights,
        scaling_from(chain[-1]) if chain else None,
        given["parameters"].get(method),
        title,
        given,
        changed,
    )


def weights_file(given: Mapping[str, Any], model: str) -> Path:
    """Weights of one stage of a set; InputError where the file is missing or another one."""
    return _checked(given, model, "weights", ".safetensors")


def history_file(given: Mapping[str, Any], model: str) -> Path:
    """Loss history of one stage of a set, checked likewise."""
    return _checked(given, model, "history", ".csv")


def _checked(given: Mapping[str, Any], model: str, what: str, suffix: str) -> Path:
    path, expected = Path(given["folder"], model + suffix), given["stages"][model][f"{what}_sha256"]
    found = sha256_of_file(path) if path.is_file() else "no file"
    if found != expected:
        raise InputError(
            f"{path}: found sha256 {found[:12]}, expected {expected[:12]} as in {SET}; get the "
            "whole set again"
        )
    return path
