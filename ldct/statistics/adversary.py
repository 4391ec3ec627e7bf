"""Whether a run's critics tell NDCT from generated tiles, from the records of its trainings."""

from collections.abc import Mapping
from math import isnan
from pathlib import Path
from statistics import fmean
from typing import Any

from ldct.common.files import read_json
from ldct.common.run_files import training_names

# AUC of NDCT against generated tiles from which on an adversary counts as one; 0.5 is chance.
ADVERSARY_AT_WORK = 0.6


def training_records(run: Path, settings: Mapping[str, Any], *methods: str) -> list[Path]:
    """`training.json` of every stage, seed and fold behind some methods, each once.

    run : folder results/<run>. settings : `chains`, `method_seeds`, `folds` of the resolved run.
    """
    files = (
        run / "models" / model / name / "training.json"
        for method in methods
        for model in settings["chains"].get(method, [])
        for seed in settings["method_seeds"].get(method, [])
        for name in training_names(settings, seed)
    )
    return list(dict.fromkeys(files))


def adversary_auc(run: Path, settings: Mapping[str, Any], method: str) -> float | None:
    """Lowest AUC of the critics behind a method, each the mean over its seeds.

    run, settings : as for `training_records`. None without a critic, and where none was measured.
    """
    measured: dict[str, list[float]] = {}
    for path in training_records(run, settings, method):
        auc = read_json(path).get("critic_auc") if path.is_file() else None
        if auc is not None:
            measured.setdefault(path.parts[-3], []).append(auc)
    return min(map(fmean, measured.values()), default=None)


def adversary_state(auc: float | None) -> str:
    """What an AUC says: "at work", "not at work", or "none" without an AUC."""
    if auc is None or isnan(auc):
        return "none"
    return "at work" if auc >= ADVERSARY_AT_WORK else "not at work"
