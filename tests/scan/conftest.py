"""The verb, with a network and weights of its own."""

from pathlib import Path

import pytest
from own_scans import write_method, write_set

from ldct.cli import main

RECIPE = {"learning_rate": 1e-4, "betas": [0.9, 0.999], "batch": 4, "epochs": 1}
CARD = {"kind": "network", "network": "mine", "loss": {"mse": 1.0}, "recipe": RECIPE}


@pytest.fixture(scope="session")
def methods(tmp_path_factory) -> Path:
    return write_method(tmp_path_factory.mktemp("methods"), "mine", **CARD)


@pytest.fixture(scope="session")
def weights(tmp_path_factory, methods) -> Path:
    return write_set(tmp_path_factory.mktemp("set"), methods)


@pytest.fixture
def denoise(methods, weights, tmp_path):
    """Run the verb on a place below tmp_path; the status, with the output in tmp_path/out."""

    def run(method: str = "low_dose", source: str = "in", output: str = "out", *more: str) -> int:
        places = [str(tmp_path / source), str(tmp_path / output), "--method", method]
        given = ["--path", str(methods), "--weights", str(weights), "--workers", "1"]
        return main(["denoise", *places, *given, "--device", "cpu", *more])

    return run
