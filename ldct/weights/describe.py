"""What is said of the models of a run: data, patients, span of the training, recipes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ldct.common.errors import InputError
from ldct.common.files import read_json, read_yaml
from ldct.common.inputs import open_array, read_mapping
from ldct.common.provenance import record_path
from ldct.common.run_files import training_names
from ldct.configuration.stages import describe_budget, scaling_from
from ldct.configuration.weights import code_of, plain_stage
from ldct.data.noise import soft_tissue, soft_tissue_noise

NOISE_SLICES = 8  # of a patient, evenly spaced
TRAINING = ("steps", "critic_auc", "loss_shares")  # of training.json; its times are of one machine


def quarter_noise_hu(quarter: np.ndarray) -> float:
    """Noise of low-dose slices in soft tissue, HU, told from them alone.

    quarter : [slice, row, column] HU; `NOISE_SLICES` evenly spaced ones are looked at.
    Raises InputError where they hold no soft tissue.
    """
    rows = np.unique(np.linspace(0, len(quarter) - 1, NOISE_SLICES).round().astype(int))
    slices = quarter[rows]
    return soft_tissue_noise(slices, soft_tissue(slices))


def open_trainings(run: Path) -> dict[str, Any]:
    """Resolved configuration of a run that trained; InputError where it is none."""
    file = run / "config.yaml"
    if not file.is_file():
        raise InputError(f"{file}: not found; expected the folder of a run, results/<run>")
    settings = read_yaml(file)
    if not isinstance(settings, dict) or not settings.get("models"):
        raise InputError(f"{file}: found no trained models; expected a run with learned methods")
    if settings.get("weights"):
        raise InputError(
            f"{file}: its models were taken from {settings['weights']['folder']}, not trained; "
            "name that folder, or a run that trained"
        )
    return settings


def training_of(settings: Mapping[str, Any], run: Path, name: str | None = None) -> tuple[str, str]:
    """Fold ("" without folds) and seed of one of a run's trainings.

    name : as of its folder below models/<model>/, "0" or "fold3-0"; None where there is but one.
    """
    known = {
        name: (name.removesuffix(str(seed)), str(seed))
        for seed in settings["seeds"]
        for name in training_names(settings, str(seed))
    }
    if name is None and len(known) == 1:
        return next(iter(known.values()))
    if name not in known:
        raise InputError(
            f"{run}: training: found {name}, expected one of {', '.join(known)}: --training NAME"
        )
    return known[name]


def describe_training(run: Path, training: str | None = None) -> dict[str, Any]:
    """What weights.json says of the models of a finished training, but for hashes and licence.

    run : results/<run>, beside which data/ lies. training : see `training_of`.
    `span` is None where the volumes of a training patient are not there any more.
    Raises InputError where a stage has no results.
    """
    run = run.resolve()
    settings = open_trainings(run)
    fold, seed = training_of(settings, run, training)
    dataset, split = settings["dataset"], settings["folds"][fold]
    data = run.parents[1] / "data" / dataset.get("folder", dataset["name"])
    tiles = (run if fold else data) / f"{fold}tiles.npy"
    validation = (settings.get("validation") or {}).get("patient")
    names = [name for name in split["train"] if name != validation]
    patients = {name: _patient(data / "volumes" / name) for name in names}
    return {
        "run": settings["run"],
        "training": fold + seed,
        "seed": int(seed),
        "budget": settings["budget"],
        "budget_text": describe_budget(settings["budget"]),
        "tile_size": settings["tiles"]["size"],
        "tiles": len(open_array(tiles)),
        "data": {
            "title": dataset["title"],
            "patients": patients,
            "simulate": dataset.get("simulate"),
            "credit": dataset.get("credit", dataset["title"] + "."),
        },
        "span": span_of(patients),
        "stages": {
            name: _stage(run, settings, stage, fold + seed)
            for name, stage in settings["models"].items()
        },
        "parameters": {
            path.parts[-3]: read_json(path)
            for path in sorted(run.glob(f"models/*/{fold}fixed/parameters.json"))
        },
    }


def span_of(patients: Mapping[str, Mapping[str, Any]]) -> dict[str, Any] | None:
    """Kernels, and least and largest thickness, pixel size and noise of some patients."""
    if not all(patients.values()):
        return None
    columns = {
        key: [own[key] for own in patients.values()] for key in next(iter(patients.values()))
    }
    numbers = ("thickness_mm", "pixel_mm", "quarter_noise_hu")
    return {
        "kernel": sorted(set(columns["kernel"])),
        **{key: [min(columns[key]), max(columns[key])] for key in numbers},
    }


def _patient(folder: Path) -> dict[str, Any]:
    if not (folder / "volume.json").is_file():
        return {}
    info = read_mapping(folder / "volume.json", "kernel", "thickness_mm", "pixel_mm", "slice_index")
    return {
        "slices": len(info["slice_index"]),
        "kernel": info["kernel"],
        "thickness_mm": info["thickness_mm"],
        "pixel_mm": info["pixel_mm"][0],
        "quarter_noise_hu": round(quarter_noise_hu(open_array(folder / "quarter.npy")), 1),
    }


def _stage(
    run: Path, settings: Mapping[str, Any], stage: Mapping[str, Any], training: str
) -> dict[str, Any]:
    folder = run / "models" / stage["model"] / training
    record = read_mapping(folder / "training.json", *TRAINING)
    made = read_mapping(record_path(folder / "weights.safetensors"), "settings", "packages", "code")
    scaling = scaling_from(stage, settings["scaling"])
    return {
        "stage": plain_stage(stage),
        "scaling": {"window": [scaling.lower, scaling.upper], "clip": scaling.clip},
        "code": code_of(stage, run.parents[1]),
        "precision": made["settings"]["precision"],
        "trained_by": {"torch": made["packages"].get("torch"), "git": made["code"]["git"]},
        "steps": record["steps"],
        "training": {key: record[key] for key in TRAINING},
    }
