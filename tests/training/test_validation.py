"""Validation: whole slices of a patient that is not trained on, scored by a named protocol."""

import csv
import json

import numpy as np
import pytest
import torch
from training_inputs import stage_of, train_arguments, write_cards, write_training_data
from workflow_runs import REPOSITORY

from ldct.cli import main
from ldct.common.errors import InputError
from ldct.common.files import read_yaml, sha256_of_file
from ldct.configuration.resolve import resolve_run
from ldct.data.tiles import VOLUME
from ldct.metrics.pixelwise import psnr, ssim
from ldct.metrics.protocol import load_protocol
from ldct.networks.files import build_network, load_weights
from ldct.training import history
from ldct.training.checkpoint import Training
from ldct.training.validation import Validation

PROTOCOL = REPOSITORY / "config/protocols/abdomen.yaml"


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    folder = tmp_path_factory.mktemp("validation")
    volumes, tiles = write_training_data(folder)
    return volumes, tiles, write_cards(folder / "cards")


def train(material, folder, steps, *more):
    volumes, tiles, cards = material
    stage = stage_of("small_drl", cards, steps)
    assert main(train_arguments(stage, volumes, tiles, folder, *more)) == 0
    with (folder / "history.csv").open() as stream:
        return stage, list(csv.DictReader(stream))


def held_out(every=4, slices=2):
    chosen = json.dumps({"patient": "L002", "every": every, "slices": slices})
    return "--validation", chosen, "--validation-protocol", str(PROTOCOL)


def test_scores_are_those_of_the_saved_network_on_whole_slices(material, tmp_path):
    stage, rows = train(material, tmp_path, 6, *held_out())
    assert [(int(row["step"]), bool(row["val_psnr"])) for row in rows] == [
        (0, False),
        (3, True),
        (5, True),
    ]
    network = build_network(stage["network"], 1, "other")
    network = load_weights(tmp_path / "weights.safetensors", network).eval()
    low, normal = (np.load(material[0][1] / f"{dose}.npy") for dose in ("quarter", "full"))
    protocol = load_protocol(PROTOCOL)
    scores = []
    for row in (0, 2):
        unit = torch.from_numpy((np.clip(low[row], -160, 240) + 160) / 400.0).float()
        with torch.no_grad():
            change = network(unit[None, None])[0, 0].numpy() - unit.numpy()
        predicted = low[row] + 400 * change
        scores.append(
            [psnr(predicted, normal[row], protocol), ssim(predicted, normal[row], protocol)]
        )
    expected = np.mean(scores, axis=0)
    found = float(rows[-1]["val_psnr"]), float(rows[-1]["val_ssim"])
    assert found == pytest.approx(expected, rel=1e-4)


def test_held_out_patient_is_not_trained_on(material, tmp_path):
    """The weights are those of a training that never saw the patient, and do not follow from how
    often it is looked at."""
    volumes, tiles, cards = material
    train(material, tmp_path / "held", 5, *held_out())
    train(material, tmp_path / "often", 5, *held_out(every=1, slices=1))
    table = np.load(tiles)
    np.save(tmp_path / "tiles.npy", table[table[:, VOLUME] == 0])
    train((volumes[:1], tmp_path / "tiles.npy", cards), tmp_path / "alone", 5)
    folders = ("held", "often", "alone")
    assert len({sha256_of_file(tmp_path / one / "weights.safetensors") for one in folders}) == 1
    train(material, tmp_path / "all", 5)
    weights = "weights.safetensors"
    assert sha256_of_file(tmp_path / "all" / weights) != sha256_of_file(tmp_path / "held" / weights)


def test_time_of_a_training_is_that_of_its_steps(monkeypatch):
    clock = np.zeros(2)

    def score(network):
        clock[:] += 100
        return {}

    monkeypatch.setattr(history, "clocks", clock.copy)
    observer = history.Observer(Training(None, None, None), "drl", 1, 3, [Validation(1, score)])
    for step in range(3):
        clock += (2, 1)
        observer.see(step, {"mse": torch.tensor(0.1)})
    assert (observer.training.seconds, observer.training.cpu_seconds) == (6, 3)


@pytest.mark.parametrize("patient", ["L903", "nobody"])
def test_patient_that_is_not_trained_on_is_refused(patient):
    """A test patient must not be looked at while training."""
    config = read_yaml(REPOSITORY / "config/config.yaml")
    config["validation"]["patient"] = patient
    with pytest.raises(InputError, match=r"'validation.patient': found .*\(L901, L902\), or null"):
        resolve_run(config, REPOSITORY)


def test_overlay_holds_out_a_patient_of_the_paper():
    config = read_yaml(REPOSITORY / "config/config.yaml")
    for name in ("paper", "holdout"):
        config |= read_yaml(REPOSITORY / f"config/{name}.yaml")
    settings = resolve_run(config, REPOSITORY)
    assert settings["validation"]["patient"] in settings["train_patients"]
    assert settings["validation_protocol_file"].endswith("abdomen.yaml")
    default = resolve_run(read_yaml(REPOSITORY / "config/config.yaml"), REPOSITORY)
    assert default["validation_protocol_file"] is None
