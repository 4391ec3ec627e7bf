"""A run's configuration: checked once, resolved once, then handed on as plain data."""

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ldct.errors import InputError
from ldct.files import read_yaml
from ldct.registry import find_methods, method_folder, read_card
from ldct.schema import validate
from ldct.stages import LEARNED, describe_budget, resolve_models

# Seed folder of methods whose output does not depend on a seed.
FIXED = "fixed"


def resolve_run(config: Mapping[str, Any], repository: Path) -> dict[str, Any]:
    """Check a configuration and resolve all it refers to.

    config : merged configuration (config/config.yaml and overlays).
    repository : folder that holds `config/` and `methods/`.
    Returns plain data: the checked configuration with `dataset` replaced by its description, and
    `cards`, `folders`, `models`, `chains`, `method_seeds`, `train_patients`, `test_patients`,
    `protocol_file`, `budget_text`.
    Raises InputError with one line naming the key or file.
    """
    validate(config, "config", "configuration")
    lower, upper = config["scaling"]["window"]
    if lower >= upper:
        raise InputError(
            f"configuration: key 'scaling.window': found [{lower}, {upper}], expected the lower "
            "bound first"
        )
    dataset = _read_dataset(config, repository)
    folders = find_methods([repository / "methods", *config.get("method_paths", [])])
    cards = {
        name: read_card(method_folder(name, folders, "configuration: key 'methods'"))
        for name in config["methods"]
    }
    models, chains = resolve_models(
        config["methods"], folders, config["budget"], config["tiles"]["size"]
    )
    seeds = [str(seed) for seed in config["seeds"]]
    splits = {name: entry["split"] for name, entry in dataset["patients"].items()}
    train = [name for name, split in splits.items() if split == "train"]
    test = [name for name, split in splits.items() if split == "test"]
    if not train or not test:
        raise InputError(
            f"data set {dataset['name']}: needs at least one train and one test patient"
        )
    return {
        **config,
        "dataset": dataset,
        "cards": cards,
        "folders": {name: str(folders[name]) for name in cards},
        "models": models,
        "chains": chains,
        "method_seeds": {
            name: seeds if card["kind"] in LEARNED else [FIXED] for name, card in cards.items()
        },
        "train_patients": train,
        "test_patients": test,
        "protocol_file": str(
            _named_file(repository / "config/protocols", config["protocol"], "protocol")
        ),
        "budget_text": describe_budget(config["budget"]),
    }


def _read_dataset(config: Mapping[str, Any], repository: Path) -> dict[str, Any]:
    path = _named_file(repository / "config/datasets", config["dataset"], "dataset")
    dataset = read_yaml(path)
    validate(dataset, "dataset", str(path))
    if config.get("dataset_root"):
        dataset["root"] = config["dataset_root"]
    return dataset


def _named_file(folder: Path, name: str, key: str) -> Path:
    """File `<folder>/<name>.yaml`, or `name` itself where it is a path of a YAML file."""
    if name.endswith((".yaml", ".yml")) and Path(name).is_file():
        return Path(name)
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in known:
        close = get_close_matches(name, known, n=1)
        hint = f" (did you mean '{close[0]}'?)" if close else ""
        raise InputError(
            f"configuration: key '{key}': found '{name}'{hint}; known: {', '.join(known)}, or the "
            "path of a YAML file"
        )
    return folder / f"{name}.yaml"
