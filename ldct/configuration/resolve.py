"""A run's configuration: checked once, resolved once, then handed on as plain data."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ldct.common.errors import InputError
from ldct.common.provenance import of_no_machine
from ldct.common.run_files import FIXED
from ldct.common.schema import read_valid, validate
from ldct.configuration.folds import (
    apart_patients,
    check_training,
    describe_apart,
    describe_folds,
    is_tuned,
    patients_of,
    resolve_folds,
)
from ldct.configuration.given import check_given, describe_given
from ldct.configuration.paths import (
    check_reader_marks,
    expand_dataset,
    named_file,
    resolve_paths,
)
from ldct.configuration.protocols import (
    calibration_file,
    resolve_protocols,
    validation_protocol,
)
from ldct.configuration.published import read_published
from ldct.configuration.registry import (
    find_methods,
    method_folder,
    read_card,
    read_usable_card,
)
from ldct.configuration.stages import LEARNED, describe_budget, resolve_models, scaling_from
from ldct.configuration.weights import (
    describe_set,
    read_set,
    summary_of,
    take_models,
    with_set,
)

# Name, among protocols, of the one that the run's own calibration writes.
FILE_OF_KIND = {
    "classical": "denoise.py",
    "network_finetuned": "denoise.py",
    "external": "rules.smk",
    "control": "denoise.py",
}


def resolve_run(
    config: Mapping[str, Any], repository: Path, *, jobs_run_here: bool = True
) -> dict[str, Any]:
    """Check a configuration and resolve all it refers to.

    config : merged configuration. repository : folder that holds `config/` and `methods/`.
    jobs_run_here : in this Python, whose packages are looked for, not in environments of conda.
    Returns plain data: the checked configuration with `dataset` replaced by its description, and
    `cards`, `controls`, `control_cards`, `broken`, `folders`, `models`, `chains`, `method_seeds`,
    `folds`, `train_patients`, `test_patients`, `apart` (`apart_patients`), `protocol_file`,
    `protocol_files` (the main one first, then the further ones), `protocol_names` (in the same
    order), `calibrated_protocol`, `calibration_file`, `budget_text`, and under `weights` what
    `summary_of` tells of the set whose models are taken, or None. A method whose folder is broken
    stands in `broken` (name to message) and nowhere else: the other rows do not need it.
    Controls are no row of Table I. Raises InputError with one line naming the key or file.
    """
    validate(config, "config", "configuration")
    scaling_from(config)
    config = resolve_paths(config)
    named = named_file(repository / "config/datasets", config["dataset"], "dataset")
    dataset = expand_dataset(read_valid(named, "dataset"), str(named))
    dataset.setdefault("simulated", "simulate" in dataset)
    place = "source" if "manifest" in dataset else "root"  # a source is copied from, and checked
    dataset[place] = config.get("dataset_root") or dataset.get(place)
    dataset["folder"] = dataset["name"]  # below data/
    weights = read_set(config["weights"], repository) if config.get("weights") else None
    if weights:
        config, dataset = with_set(config, dataset, weights)
    check_reader_marks(dataset)
    folders = find_methods([repository / "methods", *config.get("method_paths", [])])
    for key in ("methods", "controls"):
        for name in config.get(key, []):
            method_folder(name, folders, f"configuration: key '{key}'")
    if reference := config.get("statistics", {}).get("reference"):
        method_folder(reference, folders, "configuration: key 'statistics.reference'")
    published = read_published(repository / "config/published.yaml")["rows"]
    folds = resolve_folds(config, dataset)
    train, test = (patients_of(folds, dataset, split) for split in ("train", "test"))
    apart = apart_patients(dataset, test)
    dataset["title"] += describe_apart(apart)
    trained_on = list(weights["data"]["patients"] if weights else train)
    read = read_usable_card if jobs_run_here else read_card
    cards, models, chains, broken = _resolve_methods(
        config, folders, read, published, trained_on, test
    )
    controls = _resolve_controls(config, folders, read, published, trained_on, cards, broken)
    budget_text = describe_budget(config["budget"]) + describe_folds(folds, apart)
    if weights:
        tuned = [name for name in (*cards, *controls) if is_tuned(folders[name])]
        models, weights["changed"] = take_models(models, chains, cards, tuned, weights)
        budget_text = describe_set(weights)
    processes = (config.get("engine") or {}).get("processes", 1)
    for name, stage in models.items():
        batch = stage["recipe"]["batch"]
        if batch % processes:
            raise InputError(
                f"configuration: key 'engine.processes': found {processes}, but the batch of "
                f"{name} has {batch} tiles; expected a divisor of every stage's batch"
            )
    seeds = [str(seed) for seed in config["seeds"]]
    protocols = resolve_protocols(config, dataset, repository)
    return {
        **config,
        "dataset": dataset,
        "cards": cards,
        "controls": list(controls),
        "control_cards": controls,
        "broken": broken,
        "folders": {name: str(folders[name]) for name in [*cards, *controls]},
        "models": models,
        "chains": chains,
        "method_seeds": {
            name: seeds if card["kind"] in LEARNED else [FIXED]
            for name, card in (cards | controls).items()
        },
        "folds": folds,
        "train_patients": train,
        "test_patients": test,
        "apart": apart,
        **protocols,
        "calibration_file": calibration_file(config, repository),
        "validation_protocol_file": validation_protocol(config, train, repository),
        "weights": summary_of(weights) if weights else None,
        "budget_text": budget_text + describe_given(cards),
    }


def _resolve_methods(
    config: Mapping[str, Any],
    folders: dict[str, Path],
    read: Callable[[Path], dict[str, Any]],
    published: Mapping[str, Any],
    train: list[str],
    test: list[str],
) -> tuple[dict[str, Any], dict[str, Any], dict[str, list[str]], dict[str, str]]:
    """Cards, models and chains of the run's methods, and what is wrong with the broken ones."""
    cards: dict[str, Any] = {}
    models: dict[str, Any] = {}
    chains: dict[str, list[str]] = {}
    broken: dict[str, str] = {}
    for name in config["methods"]:
        try:
            card = read(folders[name])
            check_folder(folders[name], card, published)
            check_title(folders[name], card, cards)
            check_place(folders[name], card, "methods")
            check_training(folders[name], card, train)
            check_given(folders[name], card, test)
            own = resolve_models([name], folders, config["budget"], config["tiles"]["size"])
        except InputError as error:
            broken[name] = of_no_machine(str(error))
            continue
        cards[name] = card
        models |= own[0]
        chains |= own[1]
    if not cards:
        raise InputError("; ".join(broken.values()))
    return cards, models, chains, broken


def _resolve_controls(
    config: Mapping[str, Any],
    folders: dict[str, Path],
    read: Callable[[Path], dict[str, Any]],
    published: Mapping[str, Any],
    train: Iterable[str],
    cards: Mapping[str, Any],
    broken: dict[str, str],
) -> dict[str, Any]:
    """Cards of the run's controls in their order; what is wrong with others goes to `broken`."""
    controls: dict[str, Any] = {}
    for name in config.get("controls", []):
        try:
            card = read(folders[name])
            check_place(folders[name], card, "controls")
            check_training(folders[name], card, train)
            check_folder(folders[name], card, published)
            check_title(folders[name], card, {**cards, **controls})
        except InputError as error:
            broken[name] = of_no_machine(str(error))
            continue
        controls[name] = card
    return controls


def check_place(folder: Path, card: Mapping[str, Any], key: str) -> None:
    """Raise InputError for a control among `methods`, or a method among `controls`.

    key : of the configuration that names the folder. A control may look at the full-dose image, so
        that it must not stand in a table of methods.
    """
    if (card["kind"] == "control") != (key == "controls"):
        right = "controls" if card["kind"] == "control" else "methods"
        raise InputError(
            f"configuration: key '{key}': found '{folder.name}', whose kind is {card['kind']}; "
            f"name it under '{right}'"
        )


def check_title(folder: Path, card: Mapping[str, Any], others: Mapping[str, Any]) -> None:
    """Raise InputError where a title would stand for two rows or images: figures go by titles."""
    taken = {other["title"]: f"the method '{name}'" for name, other in others.items()}
    taken |= dict.fromkeys(("LDCT", "NDCT"), "every figure")
    if card["title"] in taken:
        raise InputError(
            f"{folder / 'method.yaml'}: key 'title': found '{card['title']}', which "
            f"{taken[card['title']]} has already; expected a title of its own"
        )


def check_folder(folder: Path, card: Mapping[str, Any], published: Mapping[str, Any]) -> None:
    """Raise InputError where a method's folder lacks a file, or its card contradicts Table I.

    published : rows of config/published.yaml.
    """
    file = FILE_OF_KIND.get(card["kind"])
    if file is not None and not (folder / file).is_file():
        raise InputError(
            f"{folder / 'method.yaml'}: key 'kind': found {card['kind']}, but {folder / file} is "
            "missing; add it (methods/README.md), or change the kind"
        )
    if card["in_paper"] != (folder.name in published):
        raise InputError(
            f"{folder / 'method.yaml'}: key 'in_paper': found {str(card['in_paper']).lower()}, but "
            f"the paper's Table I has {'a' if folder.name in published else 'no'} row "
            f"'{folder.name}' (config/published.yaml)"
        )
