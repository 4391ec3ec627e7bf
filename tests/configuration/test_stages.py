"""From cards to the models that are trained, each once, and in order."""

from pathlib import Path

import pytest
import yaml

from ldct.common.errors import InputError
from ldct.configuration.registry import find_methods
from ldct.configuration.stages import (
    BUDGETS,
    apply_budget,
    describe_budget,
    network_files,
    resolve_models,
)

METHODS = Path(__file__).resolve().parents[2] / "methods"
RECIPE = {"learning_rate": 1e-4, "betas": [0.9, 0.999], "batch": 32, "epochs": 20}
STAGE = {"network": "drl", "target": "residual", "loss": {"mse": 1.0}, "recipe": RECIPE}
TARGETS = {"real": 1.0, "fake": 0.0, "generator": 1.0}
CRITIC = {"adversarial": {"weight": 1.0, "discriminator": "lsgan", "targets": TARGETS}}
WIDE = {"scaling": {"window": [-1024, 3071], "clip": True}}


def write_card(folder: Path, name: str, **content) -> None:
    about = {"title": name, "source": "test", "in_paper": False, "departures": []}
    (folder / name).mkdir(parents=True)
    (folder / name / "method.yaml").write_text(yaml.safe_dump(about | content))


def resolve(names, *folders, budget="paper", tile_size=64):
    return resolve_models(names, find_methods([METHODS, *folders]), budget, tile_size)


def test_level_one_is_shared_however_many_methods_use_it():
    models, chains = resolve(["drl", "lsgan", "drl_drl", "proposed"])
    assert set(models) == {"drl", "lsgan", "drl_drl_level2", "proposed_level2"}
    assert chains["proposed"] == ["lsgan", "proposed_level2"]
    assert chains["drl_drl"] == ["drl", "drl_drl_level2"]
    assert models["proposed_level2"]["upstream"] == ["lsgan"]
    assert models["proposed_level2"]["target"] == "residual"


def test_a_card_with_a_scaling_is_a_training_of_its_own():
    models, _ = resolve(["drl", "ablation_wide_range"])
    own = {"model": "ablation_wide_range", **WIDE}
    assert models["ablation_wide_range"] == models["drl"] | own


def test_cascade_brings_stages_that_the_run_does_not_name():
    models, chains = resolve(["low_dose", "proposed"])
    assert set(models) == {"lsgan", "proposed_level2"}
    assert set(chains) == {"lsgan", "proposed"}


def test_order_of_methods_does_not_change_the_models():
    names = ["drl", "lsgan", "drl_drl", "proposed"]
    assert resolve(names)[0] == resolve(names[::-1])[0]


def test_paper_budget_leaves_recipes_as_they_are():
    assert apply_budget(RECIPE, "paper") == RECIPE


def test_control_of_updates_has_twice_the_steps_under_every_budget():
    for budget in ("quick", "paper", {"steps": 7}):
        models, _ = resolve(["drl", "drl_2x_steps"], budget=budget)
        once, twice = (models[name]["recipe"] for name in ("drl", "drl_2x_steps"))
        assert twice == once | {key: 2 * once[key] for key in ("steps", "epochs") if key in once}


def test_quick_budget_has_a_drop_of_its_own():
    models, _ = resolve(["fc_aide"], budget="quick")
    assert models["fc_aide"]["recipe"]["learning_rate_drop"] == {"after": 0.75, "factor": 0.1}


def test_quick_and_steps_budgets_replace_epochs():
    quick = apply_budget(RECIPE, "quick")
    assert "epochs" not in quick
    assert quick["steps"] == BUDGETS["quick"]["steps"]
    assert quick["batch"] == BUDGETS["quick"]["batch"]
    kept = {key: value for key, value in RECIPE.items() if key != "epochs"}
    assert apply_budget(RECIPE, {"steps": 7}) == kept | {"steps": 7}


def test_quick_budget_takes_the_quick_rate_of_a_card():
    recipe = RECIPE | {"quick_rate": 2e-4}
    assert apply_budget(recipe, "quick")["learning_rate"] == 2e-4
    for budget in ("paper", {"steps": 7}):
        assert apply_budget(recipe, budget)["learning_rate"] == RECIPE["learning_rate"]
        assert "quick_rate" not in apply_budget(recipe, budget)


def test_the_authors_critic_is_what_the_paper_budget_runs():
    paper, quick = (
        resolve(["lsgan"], budget=budget)[0]["lsgan"]["loss"]["adversarial"]
        for budget in ("paper", "quick")
    )
    assert (paper["weight"], quick["weight"]) == (1.0, 0.2)
    assert paper["discriminator"]["options"] == {"tile_size": 64}
    options = {"tile_size": 64, "difference": True, "batch_norm": False}
    assert quick["discriminator"]["options"] == options


def test_discriminator_is_built_for_the_tile_size():
    models, _ = resolve(["lsgan"], tile_size=32)
    critic = models["lsgan"]["loss"]["adversarial"]["discriminator"]
    assert critic["options"]["tile_size"] == 32
    assert Path(critic["file"]) == METHODS / "lsgan/discriminator.py"


def test_network_files_of_a_model_and_its_upstream_levels():
    models, _ = resolve(["proposed"])
    drl, critic = str(METHODS / "drl/network.py"), str(METHODS / "lsgan/discriminator.py")
    assert network_files(models, "lsgan") == sorted([drl, critic])
    assert drl in network_files(models, "proposed_level2")


def test_three_levels_chain_in_order(tmp_path):
    write_card(tmp_path, "three", kind="cascade", stages=["proposed", STAGE])
    models, chains = resolve(["three"], tmp_path)
    assert chains["three"] == ["lsgan", "proposed_level2", "three_level2"]
    assert models["three_level2"]["upstream"] == ["lsgan", "proposed_level2"]


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ({"stages": ["mine"]}, "stages go in a circle: mine -> mine"),
        ({"stages": [STAGE, "drl"]}, r"mine/method.yaml: key 'stages.1': found the method 'drl'"),
        ({"stages": ["low_dose", STAGE]}, "found 'low_dose', expected a network or cascade"),
        ({"stages": ["lsgam", STAGE]}, r"unknown method 'lsgam' \(did you mean 'lsgan'\?\)"),
        ({"stages": [STAGE | {"network": "bm3d"}]}, "network"),
        ({"stages": [STAGE | {"loss": CRITIC}]}, "missing critic_steps"),
        ({"stages": ["drl", STAGE]} | WIDE, r"'scaling': found .*1024.*, expected the run's as in"),
        ({"stages": ["ablation_wide_range", STAGE]}, r"found the run's, expected .*1024.* as in"),
        ({"stages": [STAGE], "scaling": {"window": [9, 3], "clip": True}}, "the lower bound first"),
        ({"kind": "network_finetuned", "weights_of": "drl"} | WIDE, "which alone have a scaling"),
    ],
)
def test_mistakes_in_cards_name_card_and_key(tmp_path, card, message):
    write_card(tmp_path, "mine", **{"kind": "cascade", **card})
    with pytest.raises(InputError, match=message) as caught:
        resolve(["mine"], tmp_path)
    assert "\n" not in str(caught.value)


def test_budget_in_words_for_captions():
    assert "paper" in describe_budget("paper")
    assert "quick budget" in describe_budget("quick")
    assert describe_budget({"steps": 12}) == "12 steps per stage"


@pytest.mark.parametrize(
    ("card", "network", "side"),
    [
        ({"tile": 128}, {"tile": 128}, 128),
        ({"multiple_of": 16}, {"multiple_of": 16}, 64),
        ({"multiple_of": 7}, {"multiple_of": 7}, 70),
        ({"multiple_of": 40, "loss": CRITIC}, {"multiple_of": 40}, 80),
        ({}, {}, 64),
    ],
)
def test_training_tiles_are_of_a_size_that_the_network_takes(tmp_path, card, network, side):
    recipe = RECIPE | {"critic_steps": 1}
    base = {"kind": "network", "network": "mine", "loss": {"mse": 1.0}, "recipe": recipe}
    write_card(tmp_path, "mine", **(base | card))
    (tmp_path / "mine/network.py").touch()
    write_card(tmp_path, "variant", **(base | {"loss": card.get("loss", {"mae": 1.0})}))
    write_card(tmp_path, "cascade", kind="cascade", stages=["drl", {**STAGE, "network": "mine"}])
    models, _ = resolve(["mine", "variant", "cascade"], tmp_path)
    for name in ("mine", "variant", "cascade_level2"):
        own = models[name]["network"]
        assert {key: own[key] for key in own if key in ("tile", "multiple_of")} == network
    assert models["mine"]["tile_size"] == models["variant"]["tile_size"] == side
    assert models["drl"]["tile_size"] == 64
    assert not {"tile", "multiple_of"} & set(models["drl"]["network"])


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ({"tile": 50, "loss": CRITIC}, "key 'tile': found 50 beside loss.adversarial"),
        ({"tile": 64, "multiple_of": 8}, "expected tile or multiple_of, not both"),
        ({"tile": "64"}, "key 'tile': found '64'"),
        ({"multiple_of": 1}, "key 'multiple_of': found 1"),
        ({"kind": "classical", "tile": 64}, "expected network or cascade"),
    ],
)
def test_sizes_that_cannot_be_served_are_told(tmp_path, card, message):
    recipe = RECIPE | {"critic_steps": 1}
    base = {"kind": "network", "network": "mine", "loss": {"mse": 1.0}, "recipe": recipe}
    write_card(tmp_path, "mine", **(base | card))
    (tmp_path / "mine/network.py").touch()
    with pytest.raises(InputError, match=message):
        resolve(["mine"], tmp_path)
