"""Method folders outside the repository, in the real workflow: all three ways, and broken ones."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import median_filter
from workflow_runs import LIGHT, REPOSITORY, edit_yaml, snakemake, write_yaml

from ldct.common.provenance import of_no_machine
from ldct.table1.completeness import finished_scores

CARD = {
    "title": "Not named",
    "kind": "classical",
    "in_paper": False,
    "source": "a test",
    "departures": [],
}
# Three examples, and one that starts from DRL's weights.
SOUND = ["drl_l1", "box_blur", "external_median", "flipped"]
FLIPPED = """
import torch
def denoise(slice_hu, parameters, levels, scaling):
    noisy = torch.from_numpy(slice_hu)[None, None].flip(3)
    with torch.inference_mode():
        return scaling.improved(noisy, levels[0].network).flip(3)[0, 0].numpy()
"""
TABLE = "results/tiny/tables/table1.csv"
BROKEN = ["typo", "wrong_rules", "raises"]


def write_method(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name.replace("_py", ".py").replace("_smk", ".smk")).write_text(text)


@pytest.fixture(scope="module")
def run(finished_run, tmp_path_factory):
    """A finished run goes on to Table I with four sound methods and three broken ones.

    Returns its folder and what `--keep-going` printed.
    """
    folder = tmp_path_factory.mktemp("external") / "checkout"
    shutil.copytree(finished_run, folder, symlinks=True)
    shutil.copytree(REPOSITORY / "examples", folder / "examples")
    mine = folder / "mine"
    write_method(mine / "flipped", denoise_py=FLIPPED)
    kind = {"kind": "network_finetuned", "weights_of": "drl"}
    write_yaml(mine / "flipped/method.yaml", {**CARD, "title": "DRL, flipped", **kind})
    write_method(mine / "typo", denoise_py="")
    write_yaml(mine / "typo/method.yaml", {**CARD, "titel": "T"})
    write_method(mine / "wrong_rules", rules_smk="rule wrong:\n    outptu: 'x'\n")
    write_yaml(mine / "wrong_rules/method.yaml", {**CARD, "kind": "external"})
    code = "def denoise(slice_hu, parameters):\n    raise RuntimeError('no such organ')\n"
    write_method(mine / "raises", denoise_py=code)
    write_yaml(mine / "raises/method.yaml", {**CARD, "title": "Raises"})
    methods = ["low_dose", *SOUND, *BROKEN]
    edit_yaml(
        folder / "small.yaml", methods=methods, method_paths=["examples/methods", "mine"], **LIGHT
    )
    return folder, snakemake(folder, TABLE, "--cores", "2", "--keep-going")


def table(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / TABLE).set_index("method")


def test_broken_folders_are_named_at_the_start(run):
    _, outcome = run
    assert outcome.returncode != 0
    said = outcome.stdout
    assert "warning: typo is left out: mine/typo/method.yaml: unknown key 'titel'" in said
    assert "warning: wrong_rules is left out: mine/wrong_rules/rules.smk" in said
    assert "outptu" in said
    assert said.index("typo is left out") < said.index("Building DAG")


def test_table_has_the_sound_rows_and_no_number_for_the_broken_ones(run):
    folder, _ = run
    rows = table(folder)
    for name in ("low_dose", *SOUND):
        assert rows.loc[name, "status"] == "scored"
        assert np.isfinite(rows.loc[name, "psnr"])
    for name in BROKEN:
        assert rows.loc[name, "status"] == "not run"
        assert rows.loc[name, ["psnr", "ssim", "rmse_hu"]].isna().all()
    assert "unknown key 'titel'" in rows.loc["typo", "reason"]
    assert "rules.smk" in rows.loc["wrong_rules", "reason"]
    assert "no such organ" in rows.loc["raises", "reason"]
    assert "logs/tiny/denoise/raises" in rows.loc["raises", "reason"]


def test_external_program_was_given_the_test_slices(run):
    folder, _ = run
    quarter = np.load(folder / "results/tiny/test/L903/quarter.npy")
    found = np.load(folder / "results/tiny/predictions/external_median/fixed/L903.npy")
    np.testing.assert_array_equal(found, median_filter(quarter, (1, 3, 3)).astype(np.float32))


def test_a_repaired_method_gets_its_row(run, tmp_path):
    folder = Path(shutil.copytree(run[0], tmp_path / "checkout", symlinks=True))
    code = "def denoise(slice_hu, parameters):\n    return slice_hu\n"
    (folder / "mine/raises/denoise.py").write_text(code)
    outcome = snakemake(folder, TABLE, "--cores", "2")
    assert outcome.returncode == 0, outcome.stdout[-2000:]
    rows = table(folder)
    assert rows.loc["raises", "status"] == "scored"
    assert rows.loc["raises", "psnr"] == pytest.approx(rows.loc["low_dose", "psnr"])
    assert rows.loc["typo", "status"] == "not run"


def test_all_methods_broken_is_one_line(run, tmp_path):
    folder = Path(shutil.copytree(run[0], tmp_path / "checkout", symlinks=True))
    write_yaml(folder / "only.yaml", {"methods": ["typo"]})
    outcome = snakemake(folder, "-n", configfiles=("small.yaml", "only.yaml"))
    assert outcome.returncode != 0
    assert "error: mine/typo/method.yaml: unknown key 'titel'" in outcome.stdout
    assert "Traceback" not in outcome.stdout


SETTINGS = {
    "cards": {"net": {"kind": "network"}},
    "chains": {"net": ["level1", "net"]},
    "method_seeds": {"net": ["0"]},
    "test_patients": ["A"],
}
CHAIN = [
    "models/level1/0/weights.safetensors",
    "models/net/0/weights.safetensors",
    "predictions/net/0/A.npy",
    "scores/net/0/A.parquet",
]


def make_chain(run: Path) -> list[Path]:
    paths = [run / name for name in CHAIN]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return paths


def test_complete_chain_counts(tmp_path):
    paths = make_chain(tmp_path)
    assert finished_scores(SETTINGS, tmp_path, tmp_path / "logs") == ([paths[-1]], {})


@pytest.mark.parametrize("missing", range(4))
def test_a_missing_link_gives_the_last_line_of_its_log(tmp_path, missing):
    """A score of an earlier run does not count once the training behind it fails."""
    paths = make_chain(tmp_path)
    paths[missing].unlink()
    logs = ["train/level1/0", "train/net/0", "denoise/net/0/A", "score/net/0/A"]
    log = tmp_path / f"logs/{logs[missing]}.log"
    log.parent.mkdir(parents=True)
    log.write_text("step 1\nerror: it broke\n\n")
    scores, failed = finished_scores(SETTINGS, tmp_path, tmp_path / "logs")
    assert scores == []
    why = f"{paths[missing].name} was not made: it broke ({log})"
    assert failed["net"] == of_no_machine(why)


def test_examples_run_without_the_suite(tmp_path):
    """The external program knows nothing of ldct."""
    np.save(tmp_path / "in.npy", np.zeros((2, 5, 5), dtype=np.int16))
    program = REPOSITORY / "examples/methods/external_median/median.py"
    command = ["python", str(program), str(tmp_path / "in.npy"), str(tmp_path / "out.npy"), "3"]
    environment = {"PATH": os.environ["PATH"]}
    subprocess.run(command, check=True, env=environment, cwd=tmp_path)
    assert np.load(tmp_path / "out.npy").dtype == np.float32
