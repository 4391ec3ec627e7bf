"""Checks of methods that bring rules of their own: the rules are run on a synthetic patient."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ldct.common.errors import InputError
from ldct.common.files import REPOSITORY, write_text
from ldct.common.inputs import open_array
from ldct.configuration.registry import check_names
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

from ldct.common.errors import InputError
from ldct.configuration.registry import check_rules

RUN = "results/check"
SETTINGS = {settings!r}
try:
    workflow.include({rules!r})
    check_rules(list(workflow.rules), {outputs!r}, {rules!r})
except InputError as error:
    raise SystemExit(str(error)) from None
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
        "budget": {"steps": 2},
        "dataset": {"name": "check", "title": "synthetic", "simulated": True},
    }
    rules = str((folder / "rules.smk").resolve())
    others = [*REPOSITORY.glob("workflow/rules/*.smk"), REPOSITORY / "Snakefile"]
    check_names(Path(rules), others)
    outputs = [f"results/check/predictions/{name}/fixed/{patient}.npy" for patient in shapes]
    content = SNAKEFILE.format(settings=settings, rules=rules, outputs=outputs)
    write_text(work / "Snakefile", content)
    for patient, shape in shapes.items():
        write_pair(work / f"results/check/test/{patient}", 1, shape)
    flat = work / f"results/check/test/{FLAT_PATIENT}/quarter.npy"
    np.save(flat, np.full((1, SIDE, SIDE), CONSTANT_HU, dtype=np.int16))
    write_pair(work / "data/check/volumes/L009", 2)
    first = answers_of_rules(work, outputs, rules)
    for output in outputs:
        (work / output).unlink()
    again = answers_of_rules(work, outputs, rules)
    *images, flat_image = first
    answers = iter([*images, again[len(images) - 1], flat_image])
    # A network after two steps of training does not keep the level of an image.
    trained = (work / "results/check/models").exists()
    check_denoiser(lambda _: next(answers), rules, verdict, keeps_hu=not trained)


def answers_of_rules(work: Path, outputs: list[str], rules: str) -> list[np.ndarray]:
    """The only slice of each prediction, made by the rules. InputError where one is none."""
    run_rules(work, outputs, rules)
    images = []
    for output in outputs:
        given = open_array(work / f"results/check/test/{Path(output).stem}/quarter.npy")
        try:
            found = open_array(work / output)
        except InputError as error:
            raise InputError(f"{rules}: {str(error).replace(f'{work}/', '')}") from None
        if found.dtype != np.float32:
            raise InputError(f"{rules}: predictions are of type {found.dtype}, expected float32")
        if found.shape != given.shape:
            raise InputError(
                f"{rules}: a volume of shape {given.shape} [slice, row, column] comes back with "
                f"shape {found.shape}; expected the same"
            )
        images.append(np.array(found[0]))
    return images


def run_rules(work: Path, outputs: list[str], rules: str) -> None:
    """Run snakemake for the outputs; InputError with its last words where it fails."""
    quiet = ["--quiet", "progress", "rules", "host", "--latency-wait", "1"]
    paths = [str(REPOSITORY), *filter(None, [os.getenv("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "1", *quiet, "--", *outputs],
        cwd=work,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = last_words(done.stderr, sorted((work / "logs").rglob("*.log")))
        raise InputError(said if rules in said[: len(rules)] else f"{rules}: {said}")


def last_words(stderr: str, logs: Sequence[Path]) -> str:
    """Why snakemake failed, in one line: the last line of the program's log, or its own words."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    first = [number for number, line in enumerate(lines) if re.search("(Error|Exception)\\b", line)]
    said = " ".join(lines[first[0] :] if first else lines[-1:]).split(" Shutting down")[0]
    if "MissingOutputException" in said:
        return f"its program ends well and writes no {said.rsplit(':', 2)[1].split()[0]}"
    if "MissingInputException" in said:
        missing = said.split("affected files: ")[-1]
        return f"its rule needs {missing}, which is not there; see methods/README.md, Way 3"
    if "CalledProcessError" in said:
        status = re.search(r"exit status \d+|died with .*", said)
        # What a program says without a log of its own stands between these lines of Snakemake.
        shown = "\n".join(lines[: first[0]]).rpartition("Execute")[2].splitlines()[1:]
        logged = [line for log in logs for line in log.read_text(errors="replace").splitlines()]
        words = [line for line in [*shown, *logged] if line.strip()] or ["it says nothing"]
        return f"its program fails ({status[0] if status else 'status unknown'}): {words[-1]}"
    return said
