"""What a change makes anew: what depends on it, and nothing else."""

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import yaml
from workflow_runs import MORE, PATIENT, edit_yaml, pending, plans, snakemake

from ldct.common.files import write_json
from ldct.common.provenance import record_path
from ldct.data.dicom.listing import digests

UNSEEDED = ["low_dose", "bm3d", "bm3d_psd"]
LEARNED = ["drl", "lsgan", "drl_drl", "proposed"]
MODELS = ["drl", "lsgan", "drl_drl_level2", "proposed_level2"]
CONTROLS = MORE["controls"]
# Jobs that cost something; all others render tables and figures.
COMPUTING = ("data/", "select_test_slices/", "tune_classical/", "train/", "denoise/", "score/")


def training(*models: str) -> set[str]:
    return {f"train/{model}/0" for model in models}


def jobs(kind: str, methods: list[str], patient: str = PATIENT) -> set[str]:
    """Jobs of learned (seed 0) and unseeded methods."""
    return {f"{kind}/{name}/{'0' if name in LEARNED else 'fixed'}/{patient}" for name in methods}


def predicted(*methods: str) -> set[str]:
    """Predictions of the test slices and their scores."""
    return jobs("denoise", methods) | jobs("score", methods)


def discs(*methods: str) -> set[str]:
    return jobs("denoise", methods, "discs")


def again(*methods: str) -> set[str]:
    return predicted(*methods) | discs(*methods)


def note(path: str, folder: Path) -> None:
    """Change a file without a change of what it does."""
    with (folder / path).open("a", encoding="utf-8") as stream:
        stream.write("\n# changed\n")


def learn_faster(card: str, level: int | None, folder: Path) -> None:
    path = folder / f"methods/{card}/method.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    stage = content if level is None else content["stages"][level - 1]
    stage["recipe"]["learning_rate"] *= 2
    edit_yaml(path, **content)


def edited(path: str, **changes: object) -> Callable[[Path], None]:
    return lambda folder: edit_yaml(folder / path, **changes)


def setting(**changes: object) -> Callable[[Path], None]:
    return edited("small.yaml", **changes)


def forget_a_lesion(folder: Path) -> None:
    path = folder / "lesions_neutral.csv"
    path.write_text("\n".join(path.read_text(encoding="utf-8").splitlines()[:-1]) + "\n")


def touch_all(folder: Path) -> None:
    for pattern in ("ldct/**/*.py", "methods/*/*", "config/**/*.yaml", "lesions_neutral.csv"):
        for path in filter(Path.is_file, folder.glob(pattern)):
            os.utime(path)


def record_volumes(folder: Path) -> None:
    """Write the records that a run leaves beside volumes."""
    description = yaml.safe_load((folder / "lookalike.yaml").read_text(encoding="utf-8"))
    patients = description["patients"]
    told = {key: description[key] for key in ("name", "root", "series")}
    for patient, files in digests(folder / "dicom", patients).items():
        if patient in patients:
            settings = {"files": files, "description": told | {"patients": {patient: {}}}}
            path = folder / f"data/lookalike/volumes/{patient}/volume.json"
            write_json(record_path(path), {"settings": settings})


ALL_LEARNED = training(*MODELS) | again(*LEARNED)
OTHER_SLICES = (
    {f"select_test_slices/{PATIENT}"} | predicted(*LEARNED, *UNSEEDED) | jobs("score", CONTROLS)
)
NEW_DISCS = {"contrast_hu": 15, "diameters_mm": [9], "locations": 2, "crop": 32}
# Change, computing jobs that it starts, other jobs among those it starts.
CHANGES = {
    "recipe of DRL": (
        partial(learn_faster, "drl", None),
        training("drl", "drl_drl_level2") | again("drl", "drl_drl"),
        {"table1", "draw_comparison", "draw_lesion_panels", "save_configuration"},
    ),
    "recipe of the second level": (
        partial(learn_faster, "proposed", 2),
        training("proposed_level2") | again("proposed"),
        {"table1", "draw_comparison", "draw_lesion_panels", "draw_cascade"},
    ),
    "discriminator": (
        partial(note, "methods/lsgan/discriminator.py"),
        training("lsgan", "proposed_level2") | again("lsgan", "proposed"),
        {"table1"},
    ),
    "network": (
        partial(note, "methods/drl/network.py"),
        ALL_LEARNED,
        {"table1", "draw_cascade", "draw_comparison"},
    ),
    "training code": (partial(note, "ldct/training/loop.py"), ALL_LEARNED, {"table1"}),
    "classical method": (
        partial(note, "methods/bm3d/denoise.py"),
        {"tune_classical/bm3d/fixed"} | again("bm3d"),
        {"table1", "draw_lesion_panels"},
    ),
    "protocol": (
        edited("config/protocols/abdomen.yaml", window=[-150, 250]),
        jobs("score", [*LEARNED, *UNSEEDED, *CONTROLS]),
        {"table1", "draw_comparison", "draw_lesion_panels"},
    ),
    "title": (
        edited("methods/bm3d/method.yaml", title="BM3D (renamed)"),
        set(),
        {"table1", "draw_lesion_panels"},
    ),
    "published values": (partial(note, "config/published.yaml"), set(), {"table1"}),
    "credit": (edited("lookalike.yaml", credit="Somebody, 2026"), set(), {"table1"}),
    "reference": (setting(statistics={"reference": "drl"}), set(), {"table1"}),
    "test slices": (setting(test="all"), OTHER_SLICES, {"table1"}),
    "lesions": (
        forget_a_lesion,
        OTHER_SLICES | {"data/list_lesions"} | discs(*LEARNED, *UNSEEDED),
        {"draw_lesion_panels"},
    ),
    "budget": (setting(budget={"steps": 3}), ALL_LEARNED, {"table1"}),
    "precision": (
        setting(inference={"tile": "auto", "precision": "bf16"}),
        again(*LEARNED),
        {"table1"},
    ),
    "code of the simulated dose": (
        partial(note, "ldct/data/dose/projector.py"),
        discs(*LEARNED, *UNSEEDED),
        {"insert_discs", "measure_detectability"},
    ),
    "discs": (
        setting(detectability=NEW_DISCS),
        discs(*LEARNED, *UNSEEDED),
        {"insert_discs", "measure_detectability", "draw_detectability"},
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_change_starts_what_depends_on_it(copy_of_pretended, change):
    make, computing, others = CHANGES[change]
    make(copy_of_pretended)
    found = pending(copy_of_pretended)
    assert {job for job in found if job.startswith(COMPUTING)} == computing
    assert others <= found
    if change == "recipe of DRL":
        assert "draw_cascade" not in found


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (touch_all, set()),
        (partial(note, "ldct/data/demo/scans.py"), set()),
        (partial(note, "ldct/data/dicom/aapm_writer.py"), set()),
        (setting(device="cpu", checkpoint_every=7, jobs_per_gpu=3), {"save_configuration"}),
    ],
    ids=["touched files", "demo scans", "writer of the demo's DICOM", "how to compute"],
)
def test_what_changes_no_result_makes_nothing_anew(copy_of_pretended, change, expected):
    change(copy_of_pretended)
    assert pending(copy_of_pretended) == expected


@pytest.mark.parametrize(
    ("new", "patients"),
    [
        ("dicom/L901/full_1mm/new.IMA", ["L901"]),
        ("dicom/new/l903/quarter_1mm/new.IMA", ["L903"]),
        ("dicom/new.IMA", ["L901", "L902", "L903"]),
        ("dicom/README.txt", []),
    ],
)
def test_new_file_makes_the_index_and_its_patients_volume_anew(copy_of_pretended, new, patients):
    record_volumes(copy_of_pretended)
    (copy_of_pretended / new).parent.mkdir(parents=True, exist_ok=True)
    (copy_of_pretended / new).touch()
    found = pending(copy_of_pretended)
    volumes = {f"data/write_volume/{patient}" for patient in patients}
    assert {job for job in found if job.startswith("data/write_volume")} == volumes
    assert "data/index_dataset" in found
    assert ("table1" in found) == bool(patients) == (len(found) > 1)


def test_what_is_only_told_of_patients_makes_no_volume_anew(copy_of_pretended):
    record_volumes(copy_of_pretended)
    description = yaml.safe_load((copy_of_pretended / "lookalike.yaml").read_text("utf-8"))
    description["patients"]["L901"]["slices"] = 99
    edit_yaml(copy_of_pretended / "lookalike.yaml", **description)
    found = pending(copy_of_pretended)
    assert "data/index_dataset" in found
    assert not [job for job in found if job.startswith("data/write_volume")]


@pytest.mark.parametrize("split", ["test", "train"])
def test_patients_of_one_split_are_enough(copy_of_pretended, split):
    patients = {name: {"split": split} for name in ("L902", PATIENT)}
    edit_yaml(copy_of_pretended / "lookalike.yaml", patients=patients)
    outcome = snakemake(copy_of_pretended, "-n", "--forceall")
    assert outcome.returncode == 0
    assert "Writing the volumes of L902" in outcome.stdout
    if split == "train":
        assert "no test patient: volumes are made, no table" in outcome.stdout
        assert "Scoring" not in outcome.stdout
    else:
        assert "warning: drl is left out: data set: key 'patients': found none of" in outcome.stdout
        assert "Scoring low_dose, seed fixed, L902" in outcome.stdout
        assert "Training" not in outcome.stdout and "Tuning bm3d" not in outcome.stdout


def test_each_stage_is_trained_once_and_nothing_is_pending(pretended_run):
    """LSGAN is a row and the cascade's level 1, DRL a row and that of another cascade."""
    found = plans(pretended_run)
    assert {job for job in found if job.startswith("train/")} == training(*MODELS)
    assert {"data/index_dataset", "table1", "calibrate", "insert_discs"} <= set(found)
    assert not any(found.values())


def test_two_patients_two_seeds_and_no_lesions(copy_of_pretended):
    description = copy_of_pretended / "lookalike.yaml"
    patients = yaml.safe_load(description.read_text(encoding="utf-8"))["patients"]
    patients["L902"]["split"] = "test"
    edit_yaml(description, patients=patients)
    setting(methods=["low_dose", "drl"], seeds=[0, 1], lesions_csv=None)(copy_of_pretended)
    printed = snakemake(copy_of_pretended, "-n", "--forceall").stdout
    for name in ("low_dose, seed fixed", "drl, seed 0", "drl, seed 1"):
        for patient in ("L902", PATIENT):
            assert f"Scoring {name}, {patient}" in printed
    assert "Training drl, seed 1" in printed


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("detectability", ("disc", "detect")),
        ("calibration_grid", ("calibrate",)),
        ("viewer", ("pack_slices",)),
    ],
)
def test_key_that_is_null_leaves_its_jobs_out(copy_of_pretended, key, words):
    setting(**{key: None})(copy_of_pretended)
    found = plans(copy_of_pretended)
    assert "measure_lesions" in found
    assert not [job for job in found for word in words if word in job]


def test_two_methods_of_one_title_lose_the_second(copy_of_pretended):
    shutil.copytree(copy_of_pretended / "methods/drl", copy_of_pretended / "methods/drl_copy")
    setting(methods=["low_dose", "drl", "drl_copy"])(copy_of_pretended)
    outcome = snakemake(copy_of_pretended, "-n")
    assert outcome.returncode == 0
    assert "drl_copy is left out" in outcome.stdout
    assert "found 'DRL', which the method 'drl' has already" in outcome.stdout
