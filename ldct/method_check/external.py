"""Checks of methods that bring rules of their own: the rules are run on a synthetic patient."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ldct.common.errors import InputError
from ldct.common.files import write_text
from ldct.method_check.pair import (
    CONSTANT_HU,
    ODD_SHAPES,
    SIDE,
    Verdict,
    check_denoiser,
    write_pair,
)

FLAT_PATIENT = "L004"  # constant slices
SNAKEFILE = """
from pathlib import Path

RUN = "results/check"
SETTINGS = {settings!r}
try:
    workflow.include({rules!r})
except Exception as error:
    raise SystemExit(f"{{type(error).__name__}}: {{error}}") from None
"""


def check_external(folder: Path, card: Mapping[str, Any], work: Path, verdict: Verdict) -> None:
    """Run rules.smk in a workflow of its own on slices of several sizes, and judge the results."""
    name = folder.name
    shapes = {
        "L001": (SIDE, SIDE),
        "L002": ODD_SHAPES[0],
        "L003": ODD_SHAPES[1],
        FLAT_PATIENT: (SIDE, SIDE),
    }
    settings = {
        "run": "check",
        "cards": {name: dict(card)},
        "folders": {name: str(folder.resolve())},
        "test_patients": list(shapes),
        "train_patients": ["L009"],
        "dataset": {"name": "check", "title": "synthetic", "simulated": True},
    }
    rules = str((folder / "rules.smk").resolve())
    write_text(work / "Snakefile", SNAKEFILE.format(settings=settings, rules=rules))
    for patient, shape in shapes.items():
        write_pair(work / f"results/check/test/{patient}", 1, shape)
    flat = work / f"results/check/test/{FLAT_PATIENT}/quarter.npy"
    np.save(flat, np.full((1, SIDE, SIDE), CONSTANT_HU, dtype=np.int16))
    write_pair(work / "data/check/volumes/L009", 2)
    outputs = [f"results/check/predictions/{name}/fixed/{patient}.npy" for patient in shapes]
    run_rules(work, outputs, folder)
    first = [np.load(work / output) for output in outputs]
    for output in outputs:
        (work / output).unlink()
    run_rules(work, outputs, folder)
    again = [np.load(work / output) for output in outputs]
    if any(array.dtype != np.float32 for array in first):
        verdict.problems.append(
            f"{rules}: predictions are of type {first[0].dtype}, expected float32"
        )
    *images, flat_image = (array[0] for array in first)
    answers = iter([*images, again[len(images) - 1][0], flat_image])
    check_denoiser(lambda _: next(answers), rules, verdict, keeps_hu=True)


def run_rules(work: Path, outputs: list[str], folder: Path) -> None:
    """Run snakemake for the outputs; InputError with its last words where it fails."""
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--quiet", "all"]
    done = subprocess.run(
        [*command, "--", *outputs], cwd=work, capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    said = next((line for line in reversed(lines) if "Error" in line), lines[-1])
    raise InputError(f"{folder / 'rules.smk'}: does not make {outputs[0]}: {said}")
