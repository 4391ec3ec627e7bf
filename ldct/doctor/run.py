"""What a run needs before it starts: its data, weights, methods and earlier results."""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ldct.common.errors import InputError
from ldct.configuration.paths import check_source
from ldct.configuration.registry import NOT_INSTALLED
from ldct.configuration.stages import perceptual_network
from ldct.data.dicom.listing import NO_SLICES, list_files
from ldct.doctor.machine import Finding
from ldct.plan.counts import SIDE, expected_slices, listed_slices
from ldct.rendering.numbers import counted
from ldct.runs.version import upgrade_text

SLICE_MB = SIDE**2 * 2 / 2**20  # int16
# Archives, pretrained weights, weights and figures of a run.
OTHER_MB = 1000


def needed_mb(settings: Mapping[str, Any]) -> float:
    """MiB that data and results of a run take, about; slices that no file lists are not counted."""
    slices = listed_slices(settings, settings["dataset"]["patients"])
    dicom_too = settings["dataset"]["name"] == "demo"
    both_doses = 2 * SLICE_MB * (2 if dicom_too else 1)
    predictions = sum(map(len, settings["method_seeds"].values()))
    tested = sum(expected_slices(settings).values())
    return slices * both_doses + tested * 2 * SLICE_MB * (1 + predictions) + OTHER_MB


def methods(settings: Mapping[str, Any]) -> Iterator[Finding]:
    """Methods of the run that will be left out."""
    for name, why in settings["broken"].items():
        state = "note" if why.startswith(NOT_INSTALLED) else "fix"
        yield Finding(state, f"{name} is left out: {why}")
    if not settings["broken"]:
        yield Finding("ok", f"{len(settings['cards'])} methods, run {settings['run']}")


def data(settings: Mapping[str, Any]) -> Finding:
    """The data set's folder or index, and the patients."""
    dataset = settings["dataset"]
    index = Path("data", dataset["name"], "index.parquet")
    try:
        check_source(dataset, index)
    except InputError as error:
        return Finding("fix", str(error))
    if index.is_file():
        return Finding("ok", f"data set {dataset['name']}: {index}")
    if dataset["name"] == "demo":
        return Finding("note", "data set demo: 80 MB are fetched from the package index")
    folder = dataset.get("source", dataset["root"])
    if folder is None:
        return Finding("ok", f"data set {dataset['name']}: fetched by SeriesInstanceUID")
    found = [name for name in list_files(Path(folder))[0] if not name.endswith(NO_SLICES)]
    if not found:
        return Finding("fix", f"data set {dataset['name']}: {folder} holds no DICOM file")
    return Finding("ok", f"data set {dataset['name']}: {counted(len(found), 'file')} in {folder}")


def budget(settings: Mapping[str, Any]) -> Iterator[Finding]:
    """Whether trainings are too long for this machine."""
    if settings["budget"] == "paper" and settings["models"] and not shutil.which("nvidia-smi"):
        yield Finding("note", "budget: paper without a GPU takes weeks; ldct plan says how long")


def weights(settings: Mapping[str, Any]) -> Iterator[Finding]:
    """Pretrained weights that the run will have to fetch."""
    models, own = settings["models"], settings["perceptual_weights"]
    names = {perceptual_network(models, model) for model in models}
    wanted = {name for name in names if name and not own.get(name)}
    lpips = (settings.get("image_quality") or {}).get("lpips")
    wanted |= {f"lpips_{lpips}"} if lpips else set()
    missing = [
        name for name in sorted(wanted) if not Path(f"data/weights/{name}.safetensors").is_file()
    ]
    if missing:
        yield Finding("note", f"weights {', '.join(missing)} are fetched from the package index")
    elif wanted:
        yield Finding("ok", f"weights {', '.join(sorted(wanted))}: data/weights/")


def earlier(settings: Mapping[str, Any]) -> Iterator[Finding]:
    """Results of the run that another version made."""
    try:
        text = upgrade_text(Path("results", settings["run"]))
    except InputError as error:
        yield Finding("fix", str(error))
        return
    if text:
        yield Finding("note", text)
