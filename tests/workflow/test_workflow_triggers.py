"""What a change makes anew: what depends on it, and nothing else."""

import os

import pytest
import yaml
from workflow_runs import edit_yaml, pending, plans, write_yaml

pytestmark = pytest.mark.end_to_end
LEARNED = ["drl", "lsgan", "drl_drl", "proposed"]
MODELS = ["drl", "lsgan", "drl_drl_level2", "proposed_level2"]
UNSEEDED = ["low_dose", "bm3d", "bm3d_psd"]
CONTROLS = [f"control_{name}" for name in ("oracle", "blur", "blur_noise", "shift_20", "shuffled")]
# Jobs that cost something; all others render tables and figures.
COMPUTING = ("data/", "select_test_slices/", "tune_classical/", "train/", "denoise/", "score/")


def computing(jobs: set[str]) -> set[str]:
    return {job for job in jobs if job.startswith(COMPUTING)}


def training(*models: str) -> set[str]:
    return {f"train/{model}/0" for model in models}


def evaluation(*methods: str, kinds: tuple[str, ...] = ("denoise", "score")) -> set[str]:
    """Prediction and score of learned (seed 0) and unseeded methods."""
    seeds = {name: "0" if name in LEARNED else "fixed" for name in methods}
    return {f"{kind}/{name}/{seed}/L903" for name, seed in seeds.items() for kind in kinds}


def discs(*methods: str) -> set[str]:
    """Predictions of the inserted discs."""
    return {job.replace("/L903", "/discs") for job in evaluation(*methods, kinds=("denoise",))}


def edit_recipe(card: str, folder, level: int | None = None) -> None:
    path = folder / f"methods/{card}/method.yaml"
    content = yaml.safe_load(path.read_text())
    stage = content if level is None else content["stages"][level - 1]
    stage["recipe"]["learning_rate"] *= 2
    write_yaml(path, content)


def append(path, text: str) -> None:
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


LEARNING = training(*MODELS) | evaluation(*LEARNED) | discs(*LEARNED)


def test_nothing_is_pending_in_a_copy_of_the_run(copy_of_run):
    jobs = plans(copy_of_run())
    assert training(*MODELS) | {"data/index_dataset", "table1"} <= set(jobs)
    assert not any(jobs.values())


def test_touched_files_trigger_nothing(copy_of_run):
    folder = copy_of_run()
    for pattern in ("ldct/**/*.py", "methods/*/*", "config/**/*.yaml", "lesions_neutral.csv"):
        for path in folder.glob(pattern):
            if path.is_file():
                os.utime(path)
    assert pending(folder) == set()


def test_recipe_of_drl_retrains_drl_and_the_cascade_on_it(copy_of_run):
    folder = copy_of_run()
    edit_recipe("drl", folder)
    found = pending(folder)
    assert computing(found) == (
        training("drl", "drl_drl_level2") | evaluation("drl", "drl_drl") | discs("drl", "drl_drl")
    )
    assert {"table1", "draw_comparison", "draw_lesion_panels", "save_configuration"} <= found
    assert "draw_cascade" not in found


def test_recipe_of_the_second_level_keeps_the_first(copy_of_run):
    folder = copy_of_run()
    edit_recipe("proposed", folder, level=2)
    found = pending(folder)
    assert computing(found) == (
        training("proposed_level2") | evaluation("proposed") | discs("proposed")
    )
    assert {"table1", "draw_comparison", "draw_lesion_panels", "draw_cascade"} <= found


def test_discriminator_retrains_what_it_judged(copy_of_run):
    folder = copy_of_run()
    append(folder / "methods/lsgan/discriminator.py", "\n# changed\n")
    found = pending(folder)
    assert computing(found) == (
        training("lsgan", "proposed_level2")
        | evaluation("lsgan", "proposed")
        | discs("lsgan", "proposed")
    )


def test_network_retrains_all_that_use_it_and_redraws_its_figures(copy_of_run):
    folder = copy_of_run()
    append(folder / "methods/drl/network.py", "\n# changed\n")
    found = pending(folder)
    assert computing(found) == LEARNING
    assert {"table1", "draw_cascade", "draw_comparison"} <= found


def test_training_code_retrains_networks_only(copy_of_run):
    folder = copy_of_run()
    append(folder / "ldct/training/loop.py", "\n# changed\n")
    assert computing(pending(folder)) == LEARNING


def test_classical_method_is_tuned_again_when_its_code_changes(copy_of_run):
    folder = copy_of_run()
    append(folder / "methods/bm3d/denoise.py", "\n# changed\n")
    found = pending(folder)
    assert computing(found) == {"tune_classical/bm3d"} | evaluation("bm3d") | discs("bm3d")
    assert {"table1", "draw_lesion_panels"} <= found


def test_protocol_scores_again_and_trains_nothing(copy_of_run):
    folder = copy_of_run()
    edit_yaml(folder / "config/protocols/abdomen.yaml", window=[-150, 250])
    found = pending(folder)
    assert computing(found) == evaluation(*LEARNED, *UNSEEDED, *CONTROLS, kinds=("score",))
    assert {"table1", "draw_comparison", "draw_lesion_panels"} <= found


def test_title_only_renders_again(copy_of_run):
    folder = copy_of_run()
    edit_yaml(folder / "methods/bm3d/method.yaml", title="BM3D (renamed)")
    found = pending(folder)
    assert computing(found) == set()
    assert {"table1", "draw_lesion_panels"} <= found


def test_published_values_only_render_the_table(copy_of_run):
    folder = copy_of_run()
    append(folder / "config/published.yaml", "\n# changed\n")
    found = pending(folder)
    assert computing(found) == set()
    assert "table1" in found


def test_more_test_slices_train_nothing(copy_of_run):
    folder = copy_of_run()
    write_yaml(folder / "overlay.yaml", {"test": "all"})
    found = pending(folder, "overlay.yaml")
    assert computing(found) == (
        {"select_test_slices/L903"}
        | evaluation(*LEARNED, *UNSEEDED)
        | evaluation(*CONTROLS, kinds=("score",))
    )


def test_other_lesions_change_the_test_set_and_train_nothing(copy_of_run):
    folder = copy_of_run()
    path = folder / "lesions_neutral.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(lines[:-1]) + "\n", encoding="utf-8")
    found = pending(folder)
    assert {"data/list_lesions", "select_test_slices/L903", "draw_lesion_panels"} <= found
    assert not {job for job in found if job.startswith(("train/", "tune_classical/"))}


@pytest.mark.parametrize("change", [{"device": "cpu"}, {"checkpoint_every": 7}])
def test_settings_that_do_not_change_results_make_nothing_anew(copy_of_run, change):
    folder = copy_of_run()
    write_yaml(folder / "overlay.yaml", change)
    assert pending(folder, "overlay.yaml") == {"save_configuration"}


def test_budget_retrains_networks_only(copy_of_run):
    folder = copy_of_run()
    write_yaml(folder / "overlay.yaml", {"budget": {"steps": 3}})
    found = pending(folder, "overlay.yaml")
    assert computing(found) == LEARNING
    assert "table1" in found


@pytest.mark.parametrize("name", ["ldct/data/demo/scans.py", "ldct/data/dicom/aapm_writer.py"])
def test_code_that_only_makes_demo_data_changes_nothing_on_other_data(copy_of_run, name):
    folder = copy_of_run()
    append(folder / name, "\n# changed\n")
    assert pending(folder) == set()


def test_code_that_simulates_dose_only_makes_the_discs_anew(copy_of_run):
    folder = copy_of_run()
    append(folder / "ldct/data/dose/projector.py", "\n# changed\n")
    found = pending(folder)
    assert computing(found) == discs(*LEARNED, *UNSEEDED)
    assert {"insert_discs", "measure_detectability"} <= found
