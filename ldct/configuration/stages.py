"""From method cards and a budget to the models that must be trained, and in which order."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ldct.common.errors import InputError
from ldct.common.files import read_yaml
from ldct.common.scaling import Scaling
from ldct.configuration.registry import method_folder, read_card

# Full-size networks and every stage for real, but few steps. Chosen on a training patient that was
# held out (docs/methods.md, Budgets). `paper` leaves the cards' recipes as they are.
BUDGETS: dict[str, dict[str, Any]] = {
    "quick": {
        "steps": 450,
        "batch": 4,
        "learning_rate": 5e-4,
        "learning_rate_drop": {"after": 0.75, "factor": 0.1},
    },
    "paper": {},
}
LEARNED = ("network", "cascade", "network_finetuned")
# Memory that a training asks for: of each process, and for a tile where no card says it.
PROCESS_MEMORY_MB, TILE_MEMORY_MB, LEAST_MEMORY_MB = 1000, 55, 2500
# Critics halve a tile four times: `tiles.size` is a multiple of it.
CRITIC_HALVES = 16
# HU that networks see, where neither their card nor a run says it.
USUAL_SCALING = {"window": [-160.0, 240.0], "clip": True}
PERCEPTUAL_DEFAULTS = {"normalisation": "imagenet", "distance": "mse"}


def resolve_models(
    names: list[str], methods: Mapping[str, Path], budget: str | Mapping[str, int], tile_size: int
) -> tuple[dict[str, dict[str, Any]], dict[str, list[str]]]:
    """All models behind the named methods, and the chain of models of each learned method.

    names : methods of the run; stages they refer to are added.
    methods : method name to folder.
    budget : "quick", "paper" or {"steps": N}.
    Returns (models, chains). models: name to {"model", "network", "target", "inputs", "loss",
    "recipe", "tile_size", "upstream"}, and "scaling" where the card has one; a network's model
    bears the method's name, level k of a cascade that the cascade defines itself is
    `<method>_level<k>`. chains: method to its models, first level first. A model is listed once
    however many methods use it.
    Raises InputError naming card and key.
    """
    models: dict[str, dict[str, Any]] = {}
    chains: dict[str, list[str]] = {}
    for name in names:
        _resolve_method(name, methods, budget, tile_size, models, chains, ancestors=())
    return models, chains


def _resolve_method(
    name: str,
    methods: Mapping[str, Path],
    budget: str | Mapping[str, int],
    tile_size: int,
    models: dict[str, dict[str, Any]],
    chains: dict[str, list[str]],
    ancestors: tuple[str, ...],
) -> None:
    if name in ancestors:
        circle = " -> ".join([*ancestors, name])
        raise InputError(f"{methods[name]}/method.yaml: stages go in a circle: {circle}")
    folder = method_folder(name, dict(methods), "methods")
    card = read_card(folder)
    if name in chains or card["kind"] not in LEARNED:
        return
    where = f"{folder}/method.yaml"

    def chain_of(other: str, key: str) -> list[str]:
        kind = read_card(method_folder(other, dict(methods), f"{where}: key '{key}'"))["kind"]
        if kind not in ("network", "cascade"):
            raise InputError(
                f"{where}: key '{key}': found '{other}', expected a network or cascade"
            )
        _resolve_method(other, methods, budget, tile_size, models, chains, (*ancestors, name))
        return chains[other]

    if card["kind"] == "network_finetuned":
        chains[name] = chain_of(card["weights_of"], "weights_of")
        return
    stages = [card] if card["kind"] == "network" else card["stages"]
    own = {"scaling": card["scaling"]} if "scaling" in card else {}
    scaling_from(card, where=where)
    chain: list[str] = []
    for level, stage in enumerate(stages, start=1):
        if isinstance(stage, str):
            if level > 1:
                raise InputError(
                    f"{where}: key 'stages.{level - 1}': found the method '{stage}', "
                    "expected network, target, loss and recipe: only the first stage can be a "
                    "method of its own, since later ones are trained on its output"
                )
            chain += chain_of(stage, "stages.0")
            mine, theirs = (each.get("scaling", "the run's") for each in (card, models[chain[0]]))
            if mine != theirs:
                raise InputError(
                    f"{where}: key 'scaling': found {mine}, expected {theirs} as in '{stage}', "
                    "since all levels share one; change either card, or write level 1 out"
                )
            continue
        model = name if card["kind"] == "network" else f"{name}_level{level}"
        found = _resolve_stage(model, stage, where, methods, budget, tile_size, chain)
        models[model] = found | own
        chain.append(model)
    chains[name] = chain


def _resolve_stage(
    model: str,
    stage: Mapping[str, Any],
    where: str,
    methods: Mapping[str, Path],
    budget: str | Mapping[str, int],
    tile_size: int,
    upstream: list[str],
) -> dict[str, Any]:
    adversarial = "adversarial" in stage["loss"]
    if adversarial and "critic_steps" not in stage["recipe"]:
        raise InputError(f"{where}: key 'recipe': missing critic_steps (loss has adversarial)")
    target = stage.get("target", "image")
    network = _to_build(stage["network"], methods, where, "network", "network.py")
    network |= sizes_of(stage) or sizes_of(read_card(Path(network["file"]).parent))
    tile_size = _tile_size(network, tile_size, adversarial, where)
    return {
        "model": model,
        "network": network,
        "target": target,
        "inputs": list(stage.get("inputs", ["previous"])),
        "loss": _resolve_loss(stage["loss"], target, methods, budget, tile_size, where),
        "recipe": apply_budget(stage["recipe"], budget),
        "tile_size": tile_size,
        "upstream": list(upstream),
    }


def sizes_of(card: Mapping[str, Any]) -> dict[str, int]:
    """What a card says of the sizes that its network takes: `tile`, `multiple_of`, or nothing."""
    return {key: card[key] for key in ("tile", "multiple_of") if key in card}


def _tile_size(network: Mapping[str, Any], usual: int, adversarial: bool, where: str) -> int:
    """Side of a stage's training tiles: the run's, as far as its network takes it."""
    halved = CRITIC_HALVES if adversarial else 1
    if "tile" not in network:
        step = math.lcm(network.get("multiple_of", 1), halved)
        return -(-usual // step) * step
    if network["tile"] % halved:
        raise InputError(
            f"{where}: key 'tile': found {network['tile']} beside loss.adversarial, whose critic "
            f"halves tiles four times; expected a multiple of {halved}"
        )
    return network["tile"]


def _resolve_loss(
    loss: Mapping[str, Any],
    target: str,
    methods: Mapping[str, Path],
    budget: str | Mapping[str, int],
    tile_size: int,
    where: str,
) -> dict[str, Any]:
    """The card's loss with defaults filled in and the discriminator's file found."""
    resolved = dict(loss)
    of_images = sorted({"dssim", "perceptual", "sharpness"} & set(loss))
    if of_images and target == "residual":
        raise InputError(
            f"{where}: key 'loss.{of_images[0]}': found beside target residual, expected target "
            "image: this term compares images; use mse or mae on a residual"
        )
    if "perceptual" in loss:
        resolved["perceptual"] = {**PERCEPTUAL_DEFAULTS, **loss["perceptual"]}
    if "adversarial" in loss:
        adversarial = dict(loss["adversarial"])
        changes = adversarial.pop("short_budget", {})
        if budget != "paper":
            adversarial |= changes
        place = "loss.adversarial.discriminator", "discriminator.py"
        critic = _to_build(adversarial["discriminator"], methods, where, *place)
        critic["options"] = {"tile_size": tile_size, **critic["options"]}
        resolved["adversarial"] = {
            "kind": "least_squares",
            **adversarial,
            "discriminator": critic,
        }
    return resolved


def _to_build(
    given: str | Mapping[str, Any], methods: Mapping[str, Path], where: str, key: str, file: str
) -> dict[str, Any]:
    """Name, file and options of the network or critic that a card names or describes."""
    described = {"name": given} if isinstance(given, str) else given
    name = described["name"]
    path = method_folder(name, dict(methods), f"{where}: key '{key}'") / file
    if not path.is_file():
        raise InputError(
            f"{where}: key '{key}': found '{name}', whose folder {path.parent} has no {file}; add "
            "the file, or name a method that has one"
        )
    return {"name": name, "file": str(path), "options": described.get("options", {})}


def scaling_from(
    content: Mapping[str, Any], run: Mapping[str, Any] = USUAL_SCALING, where: str = "configuration"
) -> Scaling:
    """Network units that a configuration, card or resolved stage names, else those of the run.

    Raises InputError, `where` in front, for a window without its lower bound first.
    """
    lower, upper = content.get("scaling", run)["window"]
    if lower >= upper:
        raise InputError(
            f"{where}: key 'scaling.window': found [{lower}, {upper}], expected the lower bound "
            "first"
        )
    return Scaling(lower, upper, content.get("scaling", run)["clip"])


def apply_budget(recipe: Mapping[str, Any], budget: str | Mapping[str, int]) -> dict[str, Any]:
    """Recipe under a budget: `steps` replaces `epochs` where the budget sets it.

    A recipe's `quick_rate` is its learning rate under the quick budget. Its `times` multiplies the
    steps or epochs of every budget.
    """
    changes = dict(BUDGETS[budget] if isinstance(budget, str) else budget)
    changed = {**recipe, **changes}
    quick_rate = changed.pop("quick_rate", None)
    if quick_rate is not None and budget == "quick":
        changed["learning_rate"] = quick_rate
    if "steps" in changes:
        changed.pop("epochs")
    length = "steps" if "steps" in changed else "epochs"
    changed[length] *= changed.pop("times", 1)
    return changed


def network_files(models: Mapping[str, Mapping[str, Any]], model: str) -> list[str]:
    """Python files of the networks that one model and its upstream levels are built from."""
    files = {models[name]["network"]["file"] for name in [*models[model]["upstream"], model]}
    adversarial = models[model]["loss"].get("adversarial")
    if adversarial is not None:
        files.add(adversarial["discriminator"]["file"])
    return sorted(files)


def perceptual_network(models: Mapping[str, Mapping[str, Any]], model: str) -> str | None:
    """Name of the pretrained network that a model's loss needs ("vgg16", "vgg19"), or None."""
    perceptual = models[model]["loss"].get("perceptual")
    return None if perceptual is None else perceptual["features"]


def describe_budget(budget: str | Mapping[str, int]) -> str:
    """Budget in words for captions."""
    if budget == "paper":
        return "the paper's budget (recipes of the cards)"
    if isinstance(budget, str):
        change = BUDGETS[budget]
        return f"{budget} budget ({change['steps']} steps of batch {change['batch']} per stage)"
    return f"{budget['steps']} steps per stage"


def requested_memory_mb(stage: Mapping[str, Any], processes: int) -> int:
    """Memory that a training asks for: measured per 64 x 64 tile, on its network's card."""
    card = read_yaml(Path(stage["network"]["file"]).parent / "method.yaml")
    area = (stage["tile_size"] / 64) ** 2
    tiles = card.get("memory_mb_per_tile", TILE_MEMORY_MB) * area * stage["recipe"]["batch"]
    return max(LEAST_MEMORY_MB, round(PROCESS_MEMORY_MB * processes + tiles))
