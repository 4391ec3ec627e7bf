"""A set of trained models that a run takes in place of trainings: `weights.json` and its files."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ldct.common.errors import InputError
from ldct.common.files import read_json, sha256_of_file
from ldct.common.schema import validate
from ldct.configuration.code_behind import code_behind
from ldct.configuration.paths import expand_path

SET = "weights.json"
REFERENCE = "results/reference/weights"
# Of a resolved stage: what its weights mean, and how they came about.
APPLIED = ("network", "target", "inputs", "upstream")
TRAINED = ("loss", "recipe", "tile_size")


def read_set(source: str, repository: Path) -> dict[str, Any]:
    """Content of a set's weights.json, with its `folder` and the `sha256` of the file.

    source : "reference", or a folder that `ldct export-weights` made. repository : that of the
    reference weights. Raises InputError where there is no set, or its file is not as it should be.
    """
    folder = repository / REFERENCE
    if source != "reference":
        folder = Path(expand_path(source, "weights"))
    file = folder / SET
    if not file.is_file():
        raise InputError(
            f"weights: found no file {file}; expected the word reference, or a folder made by "
            "`ldct export-weights`"
        )
    content = read_json(file)
    validate(content, "weights", str(file))
    return {**content, "folder": str(folder), "sha256": sha256_of_file(file)}


def with_set(
    config: Mapping[str, Any], dataset: Mapping[str, Any], given: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Configuration and data set of a run without trainings: the set's budget, test patients alone.

    Such a data set has a `folder` of its own below data/. Raises InputError where another key asks
    for a training, or a test patient is one that the set was trained on.
    """
    for key, found in (
        ("cross_validation", config.get("cross_validation")),
        ("validation.patient", (config.get("validation") or {}).get("patient")),
    ):
        if found is not None:
            raise InputError(
                f"configuration: key '{key}': found {found} beside 'weights', with which nothing "
                "is trained; expected null"
            )
    if config["seeds"] != [given["seed"]]:
        raise InputError(
            f"configuration: key 'seeds': found {config['seeds']}, but the models of "
            f"{given['folder']} are of seed {given['seed']}; expected [{given['seed']}]"
        )
    patients = {name: own for name, own in dataset["patients"].items() if own["split"] == "test"}
    seen = [name for name in patients if name in given["data"]["patients"]]
    if seen:
        raise InputError(
            f"configuration: key 'weights': the models of {given['folder']} were trained on "
            f"{', '.join(seen)}, which {dataset['name']} has as test patients; expected others: "
            "take them out of `split: test`, or train (weights: null)"
        )
    folder = f"{dataset['name']}-test"
    left_out = sorted(dataset["patients"].keys() - patients)
    tested = {**dataset, "patients": patients, "folder": folder, "left_out": left_out}
    if dataset["name"] == "demo" or "manifest" in dataset:
        tested["root"] = f"data/{folder}/dicom"
    tested["credit"] = f"{dataset.get('credit', dataset['title'] + '.')} {credit_of(given)}"
    tiles = {**config["tiles"], "size": given["tile_size"]}
    return {**config, "budget": given["budget"], "tiles": tiles}, tested


def take_models(
    models: Mapping[str, Any],
    chains: Mapping[str, list[str]],
    methods: Iterable[str],
    tuned: Iterable[str],
    given: Mapping[str, Any],
    remedy: str = "leave the others out of `methods` and `controls`, or train them (weights: null)",
) -> tuple[dict[str, Any], list[str]]:
    """Resolved stages as the set has them, with the files of this suite's networks.

    models, chains : of `resolve_models` under the set's budget, for some methods.
    tuned : methods and controls that have parameters. remedy : end of the error.
    Returns the stages, and a text for each whose card or code is not as it was when the set was
    trained. Raises InputError naming what the set lacks.
    """
    taken, lacking, changed = {}, {}, []
    for name, stage in models.items():
        plain, own = plain_stage(stage), given["stages"].get(name)
        if own is None:
            lacking[name] = "no weights"
        elif other := _unlike(plain, own["stage"]):
            lacking[name] = f"weights of another {', '.join(other)}"
        else:
            differing = [key for key in TRAINED if plain[key] != own["stage"][key]]
            differing += ["code"] if code_of(stage) != own["code"] else []
            changed += [f"{name} ({', '.join(differing)})"] if differing else []
            taken[name] = _with_files(own["stage"], stage) | {"scaling": own["scaling"]}
    missing = {
        method: f"{model}: {lacking[model]}"
        for method in methods
        for model in chains.get(method, [])
        if model in lacking
    }
    missing |= {name: "no parameters" for name in tuned if name not in given["parameters"]}
    if missing:
        named = "; ".join(f"{name} ({why})" for name, why in missing.items())
        raise InputError(
            f"{Path(given['folder'], SET)}: found no models of {named}; it has those of "
            f"{', '.join([*given['stages'], *given['parameters']])}: {remedy}"
        )
    return taken, changed


def plain_stage(stage: Mapping[str, Any]) -> dict[str, Any]:
    """A resolved stage without the paths of its files, as it stands in weights.json."""

    def without_file(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {key: without_file(each) for key, each in value.items() if key != "file"}

    plain = {key: stage[key] for key in ("model", *APPLIED, *TRAINED)}
    return without_file(json.loads(json.dumps(plain)))


def _unlike(stage: Mapping[str, Any], trained: Mapping[str, Any]) -> list[str]:
    """Why weights of one plain stage are none of another."""
    other = [key for key in APPLIED if stage[key] != trained[key]]
    return other + (["critic"] if bool(_critic(stage)) != bool(_critic(trained)) else [])


def _with_files(plain: Mapping[str, Any], stage: Mapping[str, Any]) -> dict[str, Any]:
    """A plain stage with the paths of a resolved one, which has the same networks."""
    found = json.loads(json.dumps(plain))
    found["network"]["file"] = stage["network"]["file"]
    if critic := _critic(found):
        critic["file"] = _critic(stage)["file"]
    return found


def _critic(stage: Mapping[str, Any]) -> dict[str, Any]:
    return stage["loss"].get("adversarial", {}).get("discriminator", {})


def code_of(stage: Mapping[str, Any], root: Path = Path()) -> str:
    """sha256 over the code of a stage's network and critic, the suite's own left out.

    root : folder that their paths start from.
    """
    files = [root / each["file"] for each in (stage["network"], _critic(stage)) if each]
    own = set(code_behind("train", *files)) - set(code_behind("train"))
    digests = sorted(sha256_of_file(file) for file in own)
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def summary_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """What a run keeps of a set: its folder and sha256, what it holds, what changed since."""
    keys = ("folder", "sha256", "run", "training", "tiles", "changed")
    lists = {"patients": given["data"]["patients"], "parameters": given["parameters"]}
    return {key: given[key] for key in keys} | {key: list(each) for key, each in lists.items()}


def title_of(given: Mapping[str, Any]) -> str:
    """What readers call a set."""
    folder = Path(given["folder"])
    return "reference weights" if folder.match(REFERENCE) else f"weights of {folder.name}"


def describe_set(given: Mapping[str, Any]) -> str:
    """What captions say of the budget of a run that took a set's models."""
    since = ", ".join(given["changed"])
    return (
        f"{title_of(given)} ({given['budget_text']}; trained on {len(given['data']['patients'])} "
        f"patients: {given['data']['title']})" + (f", CHANGED SINCE: {since}" if since else "")
    )


def credit_of(given: Mapping[str, Any]) -> str:
    """Where a set's models come from, in full sentences for the foot of tables."""
    data = given["data"]
    dose = "of the data set"
    if data.get("simulate"):
        terms = ", ".join(f"{key} {value}" for key, value in data["simulate"].items())
        dose = f"simulated ({terms})"
    return (
        f"Models: {title_of(given)}, training {given['training']} of run {given['run']}, on "
        f"{', '.join(data['patients'])} of {data['title']}; quarter dose {dose}; licence and "
        "credits: MODEL_CARD.md of the set."
    )
