"""Runs that differ from the usual one: several test patients and seeds, no lesions, bad data."""

import re
import shutil

import pandas as pd
import pytest
import yaml
from lookalike import lookalike_description
from workflow_runs import (
    copy_checkout,
    edit_yaml,
    job_environment,
    snakemake,
    write_inputs,
    write_yaml,
)

SLICES = 6


@pytest.fixture(scope="module")
def variant(tmp_path_factory):
    """A run with two test patients, two seeds, all slices and no lesion list."""
    folder = copy_checkout(tmp_path_factory.mktemp("variant") / "checkout")
    tree = write_inputs(folder, slices=SLICES)
    write_yaml(
        folder / "lookalike.yaml", lookalike_description(tree, test=["L902", "L903"], root="dicom")
    )
    edit_yaml(
        folder / "small.yaml",
        methods=["low_dose", "drl"],
        seeds=[0, 1],
        test="all",
        lesions_csv=None,
        controls=["control_blur"],
        calibration_grid=None,
    )
    environment = job_environment() | {"LDCT_TIME_AHEAD": "1"}
    outcome = snakemake(folder, "--cores", "2", environment=environment)
    assert outcome.returncode == 0, outcome.stdout[-3000:]
    assert re.search(r"jobs, about .* on 2 cores .*Results: results/tiny/", outcome.stdout)
    return folder


def test_all_slices_of_both_patients_and_both_seeds_are_scored(variant):
    table = pd.read_csv(variant / "results/tiny/tables/table1.csv").set_index("method")
    assert table.loc["drl", "n_slices"] == 2 * SLICES
    assert table.loc["drl", "n_patients"] == 2
    scores = [
        pd.read_parquet(path) for path in (variant / "results/tiny/scores/drl").glob("*/*.parquet")
    ]
    assert len(scores) == 4
    rows = pd.concat(scores)
    by_seed = rows[rows["protocol"] == "abdomen"].groupby("seed")["psnr"].mean()
    assert by_seed.nunique() == 2
    assert table.loc["drl", "psnr"] == pytest.approx(by_seed.mean(), abs=1e-9)


def test_figures_and_lesion_page_without_any_annotation(variant):
    assert (variant / "results/tiny/figures/fig3_lesion.png").is_file()
    page = (variant / "results/tiny/lesions/index.html").read_text(encoding="utf-8")
    assert "No annotated lesion" in page


def test_report_of_the_data_doctor_outlives_a_failed_index(tmp_path):
    folder = copy_checkout(tmp_path / "checkout")
    tree = write_inputs(folder, slices=3, size=64)
    shutil.rmtree(folder / "dicom" / next(iter(tree.files)))
    outcome = snakemake(folder, "--cores", "1", "data/lookalike/inventory.md")
    assert outcome.returncode != 0
    kept = folder / "logs/lookalike/inventory.md"
    assert str(kept.relative_to(folder)) in outcome.stdout
    report = kept.read_text(encoding="utf-8")
    missing, present = list(tree.files)[:2]
    assert f"| {missing} | train | 3 | 0 | 0 | 0 |" in report
    assert f"| {present} | train | 3 | 3 | 3 | 3 |" in report
    assert not (folder / "data/lookalike/index.parquet").exists()


def test_two_methods_of_one_title_lose_the_second(tmp_path):
    folder = copy_checkout(tmp_path / "checkout")
    write_inputs(folder, slices=3, size=64)
    shutil.copytree(folder / "methods/drl", folder / "methods/drl_copy")
    edit_yaml(folder / "small.yaml", methods=["low_dose", "drl", "drl_copy"])
    outcome = snakemake(folder, "-n")
    assert outcome.returncode == 0
    assert "drl_copy is left out" in outcome.stdout
    assert "found 'DRL', which the method 'drl' has already" in outcome.stdout


def test_credit_of_a_data_set_makes_neither_volumes_nor_weights_anew(variant):
    description = yaml.safe_load((variant / "lookalike.yaml").read_text(encoding="utf-8"))
    before = snakemake(variant, "-n")
    assert "Nothing to be done" in before.stdout
    write_yaml(variant / "lookalike.yaml", description | {"credit": "Somebody, 2026"})
    after = snakemake(variant, "-n")
    assert "Rendering Table I" in after.stdout
    for work in ("Reading every DICOM header", "Writing the volumes", "Training", "Scoring"):
        assert work not in after.stdout
    write_yaml(variant / "lookalike.yaml", description)
