"""A run with one untrained stage in place of a trained one, and what a set of it asks for."""

import json
from pathlib import Path

import numpy as np
import yaml
from made_up_volumes import write_doses
from scipy.ndimage import gaussian_filter
from workflow_runs import REPOSITORY

from ldct.configuration.resolve import resolve_run
from ldct.networks.files import build_network, save_weights
from ldct.weights.export import export_weights

DEFAULT = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text(encoding="utf-8"))
METHODS = ["low_dose", "bm3d", "drl"]
NOISE_HU = {"L901": 20.0, "L902": 30.0}  # of the quarter dose; the demo's training patients


def write_run(folder: Path, **changes) -> Path:
    """Write results/made-up and data/demo below `folder`; returns the run's folder."""
    given = {"run": "made-up", "methods": METHODS, "budget": {"steps": 3}}
    settings = resolve_run(DEFAULT | given | changes, REPOSITORY)
    rng = np.random.default_rng(1)
    for number, (name, noise) in enumerate(NOISE_HU.items()):
        full = 40 + 30 * gaussian_filter(rng.standard_normal((3, 64, 64)), (0, 4, 4))
        about = {"thickness_mm": 1.0 + number, "pixel_mm": [0.5, 0.5], "kernel": f"B{number}"}
        quarter = full + rng.normal(0, noise, full.shape)
        write_doses(folder / "data/demo/volumes" / name, full, quarter, **about)
    np.save(folder / "data/demo/tiles.npy", np.zeros((7, 4), np.int32))
    run = folder / "results/made-up"
    model = run / "models/drl/0"
    model.mkdir(parents=True)
    (run / "config.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(settings))))
    stage = settings["models"]["drl"]
    network = build_network(stage["network"], 0, "drl")
    for parameter in network.parameters():
        parameter.data += 0.001  # untrained it returns its input
    save_weights(model / "weights.safetensors", network, stage)
    (model / "history.csv").write_text("step,mse\n0,0.5\n2,0.25\n")
    write(model / "training.json", steps=3, seconds=9.0, critic_auc=None, loss_shares=None)
    made = {"settings": {"precision": "fp32"}, "packages": {"torch": "0"}, "host": {"node": "mine"}}
    made["code"] = {"git": "abc"}
    write(model / "weights.safetensors.provenance.json", **made)
    write(run / "models/bm3d/fixed/parameters.json", factor=1.25)
    return run


def write(path: Path, **content) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def write_set(folder: Path) -> Path:
    """A set of weights made of such a run."""
    export_weights(write_run(folder), None, folder / "set")
    return folder / "set"


def resolve_with(folder: Path, **changes) -> dict:
    """The default configuration with the set's methods and models."""
    return resolve_run(DEFAULT | {"methods": METHODS, "weights": str(folder)} | changes, REPOSITORY)
