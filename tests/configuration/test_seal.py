"""A sealed plan: written before the first score, and every later change is named."""

import json
from pathlib import Path

import pytest
from test_configuration import DEFAULT, resolve
from workflow_runs import REPOSITORY, edit_yaml, snakemake, write_yaml

from ldct.common.errors import InputError
from ldct.common.files import read_json, read_yaml
from ldct.configuration.resolve import resolve_run
from ldct.configuration.seal import PLAN, plan_of, seal, seal_text


def plan(**changes):
    return plan_of(resolve(**changes), REPOSITORY)


def test_text_is_the_same_before_and_after_sealing_and_sealing_happens_once(tmp_path):
    before = seal_text(tmp_path, plan())
    seal(tmp_path, plan())
    sealed = (tmp_path / PLAN).read_bytes()
    assert seal_text(tmp_path, plan()) == before and "CHANGED" not in before
    seal(tmp_path, plan(seeds=[1]))
    assert (tmp_path / PLAN).read_bytes() == sealed
    assert read_json(tmp_path / PLAN)["sha256"][:12] in before


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"seeds": [0, 1]}, "seeds"),
        ({"budget": {"steps": 3}}, "budget, models"),
        ({"methods": ["low_dose", "drl"]}, "cards, methods, models"),
        ({"test": "all"}, "test"),
        ({"protocol": "soft_tissue_500"}, "protocols"),
        ({"image_quality": {"lpips": None}}, "image_quality"),
        ({"cross_validation": {"folds": 3}}, "folds"),
    ],
)
def test_later_change_is_named(tmp_path, changes, named):
    seal(tmp_path, plan())
    assert seal_text(tmp_path, plan(**changes)).endswith(f", CHANGED SINCE: {named}")


def test_plan_is_the_same_from_another_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(REPOSITORY)
    assert plan_of(resolve_run(DEFAULT, Path()), Path()) == plan()


def test_changed_claims_are_named(tmp_path):
    seal(tmp_path, plan())
    assert seal_text(tmp_path, plan() | {"claims": "other"}).endswith("SINCE: claims")


def test_sealing_after_scores_says_so_and_an_edited_plan_is_refused(tmp_path):
    score = tmp_path / "scores/drl/0/L903.parquet"
    score.parent.mkdir(parents=True)
    score.touch()
    seal(tmp_path, plan())
    assert "when 1 score files were there already" in seal_text(tmp_path, plan())
    sealed = read_json(tmp_path / PLAN)
    sealed["plan"]["seeds"] = [7]
    (tmp_path / PLAN).write_text(json.dumps(sealed))
    with pytest.raises(InputError, match=r"plan.json: its plan has not the sha256"):
        seal_text(tmp_path, plan())


def test_run_seals_before_its_first_job_and_tells_in_its_captions(tmp_path):
    write_yaml(tmp_path / "own.yaml", {"run": "s", "sealed": True, "methods": ["low_dose"]})
    target, snakefile = "results/s/config.yaml", ("--snakefile", str(REPOSITORY / "Snakefile"))

    def text_of_captions():
        outcome = snakemake(tmp_path, target, *snakefile, "--cores", "1", configfiles=("own.yaml",))
        assert outcome.returncode == 0, outcome.stdout[-2000:]
        return read_yaml(tmp_path / target)["budget_text"]

    text = text_of_captions()
    assert text.endswith(f"(sha256 {read_json(tmp_path / 'results/s' / PLAN)['sha256'][:12]})")
    edit_yaml(tmp_path / "own.yaml", seeds=[3])
    assert text_of_captions().endswith("CHANGED SINCE: seeds")
