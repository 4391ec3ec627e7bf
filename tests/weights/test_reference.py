"""The weights that come with the repository: whole, small, of open patients, and at work."""

import numpy as np
import pandas as pd
import pytest
import torch
from repository_files import REPOSITORY

import ldct
from ldct.common.files import read_json
from ldct.configuration.resolve import resolve_run
from ldct.plan.verbs import merged_configuration
from ldct.weights.card import CARD, model_card
from ldct.weights.find import find_models, history_file

SET = REPOSITORY / "results/reference/weights"
VALUES = REPOSITORY / "results/reference/weights_scores.csv"
TILES = REPOSITORY / "tests/training/tiles_of_lung1.npz"
CPU = torch.device("cpu")
pytestmark = pytest.mark.skipif(not SET.is_dir(), reason="this checkout has no reference weights")


@pytest.fixture(scope="module")
def run():
    return resolve_run(
        merged_configuration([REPOSITORY / "config/reference_weights.yaml"]), REPOSITORY
    )


def test_overlay_takes_them_for_the_demos_test_patients_alone(run):
    assert run["test_patients"] == ["L903", "L904"] and run["train_patients"] == []
    assert len(run["weights"]["patients"]) == 8
    assert "reference weights" in run["budget_text"]


def test_set_is_whole_small_and_has_its_own_card(run):
    content = read_json(SET / "weights.json")
    assert (SET / CARD).read_text(encoding="utf-8") == model_card(content)
    assert sum(path.stat().st_size for path in SET.iterdir()) < 25e6
    given = content | {"folder": str(SET)}
    for model in content["stages"]:
        assert "step" in history_file(given, model).read_text(encoding="utf-8")


def test_every_learned_method_denoises_tiles(run):
    """Tiles of a patient they were trained on: a sign of life, no result."""
    stored = np.load(TILES)
    low, normal = (stored[name].astype(np.float32) for name in ("ldct", "ndct"))

    def psnr(image: np.ndarray) -> float:
        return float(20 * np.log10(400 / np.sqrt(np.mean((image.clip(-160, 240) - normal) ** 2))))

    for method in run["chains"].keys() & run["cards"].keys():
        found = find_models(method)
        levels = ldct.load_levels(found.levels, found.weights, CPU)
        gain = psnr(ldct.denoise_slices(low, levels, found.scaling, CPU)) - psnr(low)
        # A perceptual loss costs PSNR: DRLP gains 0.97 dB on these tiles.
        assert gain > (0.5 if method == "drlp" else 1), method


@pytest.mark.skipif(not VALUES.is_file(), reason="this checkout has no expected scores")
def test_expected_scores_are_of_every_row_and_patient(run):
    table = pd.read_csv(VALUES)
    rows = {(method, patient) for method in run["cards"] for patient in run["test_patients"]}
    assert set(zip(table["method"], table["patient"], strict=True)) == rows
    assert table[["psnr", "ssim"]].notna().all(axis=None)
