"""Runs of the real workflow on a small synthetic data set, in a copy of the checkout."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from lookalike import Lookalike, lookalike_description, write_lookalike_tree
from planted.marks import plant

REPOSITORY = Path(__file__).resolve().parents[2]
CHECKOUT = ("Snakefile", "workflow", "ldct", "methods", "config", "profiles", "environment.yml")
CHECKOUT += ("notebooks",)
PATIENT = "L903"
LEARNED = ["drl", "proposed"]
METHODS = ["low_dose", "bm3d", *LEARNED]
MODELS = ["drl", "lsgan", "proposed_level2"]
CONTROLS = ["control_shift_20"]
SMOKE = yaml.safe_load((REPOSITORY / "config/smoke.yaml").read_text(encoding="utf-8"))
CONFIG = SMOKE | {
    "run": "tiny",
    "dataset": "lookalike.yaml",
    "lesions_csv": "lesions_neutral.csv",
    "methods": METHODS,
    "controls": CONTROLS,
    "test": {"every": 4},
    "tiles": {"size": 32, "stride": 32, "keep_above_hu": -500},
    "image_quality": {"lpips": None},  # its weights are a download
    "detectability": {"contrast_hu": -10, "diameters_mm": [8], "locations": 4, "crop": 32},
}
# What a pretended run has instead: it costs nothing.
MORE = {
    "methods": ["low_dose", "bm3d", "bm3d_psd", "drl", "lsgan", "drl_drl", "proposed"],
    "controls": [*CONTROLS, "control_blur", "control_blur_noise", "control_shuffled"],
}
# Switches off what a test about other things need not wait for.
LIGHT = {"controls": [], "detectability": None, "calibration_grid": None}


def copy_checkout(folder: Path) -> Path:
    """Copy what a run needs of the checkout into `folder`, so that a test can change it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in CHECKOUT:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / name)
    return folder


def write_inputs(folder: Path, **tree_options: Any) -> Lookalike:
    """Write a look-alike tree with lesions, its description and a configuration into `folder`.

    All paths are relative to `folder`, so that the finished run can be copied elsewhere. Marks
    stand in the identifying attributes of the DICOM files.
    """
    tree = write_lookalike_tree(folder / "dicom", lesions=True, **tree_options)
    for doses in tree.files.values():
        for path in [*doses["full"], *doses["quarter"]]:
            plant(path)
    description = lookalike_description(tree, root="dicom")
    write_yaml(folder / "lookalike.yaml", description)
    write_yaml(folder / "small.yaml", CONFIG)
    card = folder / "methods/bm3d/method.yaml"
    settings = yaml.safe_load(card.read_text(encoding="utf-8"))["settings"]
    edit_yaml(card, settings=settings | {"tuning_slices": 1, "factors": [1.0, 1.4]})
    return tree


def write_yaml(path: Path, content: Mapping[str, Any]) -> Path:
    """Write one YAML file; returns its path."""
    path.write_text(yaml.safe_dump(dict(content), sort_keys=False), encoding="utf-8")
    return path


def edit_yaml(path: Path, **changes: Any) -> None:
    """Change top-level keys of a YAML file."""
    write_yaml(path, yaml.safe_load(path.read_text(encoding="utf-8")) | changes)


def job_environment() -> dict[str, str]:
    """Environment in which the rules' `python` is the interpreter that runs the tests."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return os.environ | {"PATH": path, "OMP_NUM_THREADS": "1"}


def snakemake(
    folder: Path,
    *arguments: str,
    configfiles: tuple[str, ...] = ("small.yaml",),
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run snakemake in `folder` and return its status and all it printed (as stdout)."""
    overlay = ["--configfile", *configfiles] if configfiles else []
    return subprocess.run(
        [sys.executable, "-m", "snakemake", *arguments, *overlay],
        cwd=folder,
        env=job_environment() if environment is None else environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1200,
        check=False,
    )


def rows_of_summary(folder: Path) -> list[list[str]]:
    """File, date, rule, log, state and plan of every output behind the run's targets."""
    outcome = snakemake(folder, "--summary")
    assert outcome.returncode == 0, outcome.stdout[-2000:]
    rows = [line.split("\t") for line in outcome.stdout.splitlines()]
    return [row for row in rows if len(row) == 6 and row[0] != "output_file"]


def pretend_run(folder: Path) -> str:
    """Make all outputs of a run, empty, and let snakemake take them for its own; "" or why not."""
    for file, *_ in rows_of_summary(folder):
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix:
            path.touch()
        else:
            path.mkdir()
    outcome = snakemake(folder, "--touch", "--forceall", "--cores", "2")
    return outcome.stdout[-2000:] if outcome.returncode else ""


def plans(folder: Path) -> dict[str, bool]:
    """All jobs behind the run's targets, and whether `snakemake` would run each of them.

    Jobs bear the names of their log files: "train/drl/0", "score/drl/0/L903", "table1", ...; jobs
    on the data set begin with "data/".
    """
    return {job_of(row[3]): row[5] == "update pending" for row in rows_of_summary(folder)}


def job_of(log: str) -> str:
    """Job that writes the log file `log`."""
    name = log.removeprefix("logs/").removesuffix(".log")
    return name.removeprefix("tiny/").replace("lookalike/", "data/", 1)


def pending(folder: Path) -> set[str]:
    """Jobs that `snakemake` would run (see `plans`)."""
    return {job for job, runs in plans(folder).items() if runs}


def wait_for_new_checkpoint(checkpoint: Path, process: subprocess.Popen) -> None:
    """Until the running training has written a checkpoint of its own, or has ended."""
    before = checkpoint.stat().st_ino if checkpoint.is_file() else None
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if checkpoint.is_file() and checkpoint.stat().st_ino != before:
            return
        time.sleep(0.01)
