"""From method cards and a budget to the models that must be trained, and in which order."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ldct.errors import InputError
from ldct.registry import method_folder, read_card

# Full-size networks and every stage for real, but few steps: 200 steps of batch 8 at 1e-3 bring DRL
# close to its plateau on the demo data. `paper` leaves the cards' recipes as they are.
BUDGETS: dict[str, dict[str, Any]] = {
    "quick": {"steps": 200, "batch": 8, "learning_rate": 1e-3},
    "paper": {},
}
LEARNED = ("network", "cascade")


def resolve_models(
    names: list[str], methods: Mapping[str, Path], budget: str | Mapping[str, int], tile_size: int
) -> tuple[dict[str, dict[str, Any]], dict[str, list[str]]]:
    """All models behind the named methods, and the chain of models of each learned method.

    names : methods of the run; stages they refer to are added.
    methods : method name to folder.
    budget : "quick", "paper" or {"steps": N}.
    Returns (models, chains). models: name to {"model", "network", "target", "loss", "recipe",
    "tile_size", "upstream"}; a network's model bears the method's name, level k of a cascade that
    the cascade defines itself is `<method>_level<k>`. chains: method to its models, first level
    first. A model is listed once however many methods use it.
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
    stages = [card] if card["kind"] == "network" else card["stages"]
    chain: list[str] = []
    for level, stage in enumerate(stages, start=1):
        if isinstance(stage, str):
            if level > 1:
                raise InputError(
                    f"{folder}/method.yaml: key 'stages.{level - 1}': found the method '{stage}', "
                    "expected network, target, loss and recipe: only the first stage can be a "
                    "method of its own, since later ones are trained on its output"
                )
            _resolve_method(stage, methods, budget, tile_size, models, chains, (*ancestors, name))
            if stage not in chains:
                raise InputError(
                    f"{folder}/method.yaml: key 'stages.0': '{stage}' is not a network or cascade"
                )
            chain += chains[stage]
            continue
        model = name if card["kind"] == "network" else f"{name}_level{level}"
        models[model] = _resolve_stage(model, stage, folder, methods, budget, tile_size, chain)
        chain.append(model)
    chains[name] = chain


def _resolve_stage(
    model: str,
    stage: Mapping[str, Any],
    folder: Path,
    methods: Mapping[str, Path],
    budget: str | Mapping[str, int],
    tile_size: int,
    upstream: list[str],
) -> dict[str, Any]:
    where = f"{folder}/method.yaml"
    network = stage["network"]
    if isinstance(network, str):
        network = {"name": network}
    loss = dict(stage["loss"])
    if "adversarial" in loss:
        critic = loss["adversarial"]["discriminator"]
        file = method_folder(critic, dict(methods), where) / "discriminator.py"
        built = {"name": critic, "file": str(file), "options": {"tile_size": tile_size}}
        loss["adversarial"] = {**loss["adversarial"], "discriminator": built}
        if "critic_steps" not in stage["recipe"]:
            raise InputError(f"{where}: key 'recipe': missing critic_steps (loss has adversarial)")
    return {
        "model": model,
        "network": {
            "name": network["name"],
            "file": str(method_folder(network["name"], dict(methods), where) / "network.py"),
            "options": network.get("options", {}),
        },
        "target": stage.get("target", "image"),
        "loss": loss,
        "recipe": apply_budget(stage["recipe"], budget),
        "tile_size": tile_size,
        "upstream": list(upstream),
    }


def apply_budget(recipe: Mapping[str, Any], budget: str | Mapping[str, int]) -> dict[str, Any]:
    """Recipe under a budget: `steps` replaces `epochs` where the budget sets it.

    A stage with a critic keeps the card's learning rate: at the quick budget's rate the critic
    diverges (at 1e-3 the demo LSGAN ended 3 dB below the one trained at its own 2e-4).
    """
    changes = dict(BUDGETS[budget] if isinstance(budget, str) else budget)
    if "critic_steps" in recipe:
        changes.pop("learning_rate", None)
    changed = {**recipe, **changes}
    if "steps" in changes:
        changed.pop("epochs")
    return changed


def network_files(models: Mapping[str, Mapping[str, Any]], model: str) -> list[str]:
    """Python files of the networks that one model and its upstream levels are built from."""
    files = []
    for name in [*models[model]["upstream"], model]:
        files.append(models[name]["network"]["file"])
    adversarial = models[model]["loss"].get("adversarial")
    if adversarial is not None:
        files.append(adversarial["discriminator"]["file"])
    return sorted(set(files))


def describe_budget(budget: str | Mapping[str, int]) -> str:
    """Budget in words for captions."""
    if budget == "paper":
        return "the paper's budget (recipes of the cards)"
    if isinstance(budget, str):
        change = BUDGETS[budget]
        return f"{budget} budget ({change['steps']} steps of batch {change['batch']} per stage)"
    return f"{budget['steps']} steps per stage"
