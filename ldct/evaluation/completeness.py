"""Which methods of a run have valid scores, and why the others have none: from files alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

# A file, and the log of the job that makes it.
Step = tuple[Path, Path]


def finished_scores(
    settings: Mapping[str, Any], run: Path, logs: Path
) -> tuple[list[Path], dict[str, str]]:
    """Score files that may stand in a table, and the reason for each method that has none.

    settings : resolved run: cards, chains, method_seeds, test_patients.
    run, logs : folders `results/<run>` and `logs/<run>`.
    A score counts where every file it is made from exists and none is newer than what was made
    from it: a score left over from an earlier run is not taken for one of this run. A method counts
    with all its seeds and patients or not at all.
    """
    finished: list[Path] = []
    failed: dict[str, str] = {}
    for method in settings["cards"]:
        scores, problem = [], None
        for seed in settings["method_seeds"][method]:
            for patient in settings["test_patients"]:
                steps = steps_to_score(settings, run, logs, method, seed, patient)
                problem = problem or _first_problem(steps)
                scores.append(steps[-1][0])
        if problem:
            failed[method] = problem
        else:
            finished += scores
    return finished, failed


def steps_to_score(
    settings: Mapping[str, Any], run: Path, logs: Path, method: str, seed: str, patient: str
) -> list[Step]:
    """The files from trained weights to the score of one method, seed and patient, in order."""
    steps = [
        (run / f"models/{model}/{seed}/weights.safetensors", logs / f"train/{model}/{seed}.log")
        for model in settings["chains"].get(method, [])
    ]
    if settings["cards"][method]["kind"] in ("classical", "network_finetuned"):
        parameters = run / f"models/{method}/fixed/parameters.json"
        steps.append((parameters, logs / f"tune_classical/{method}.log"))
    place = f"{method}/{seed}/{patient}"
    steps.append((run / f"predictions/{place}.npy", logs / f"denoise/{place}.log"))
    steps.append((run / f"scores/{place}.parquet", logs / f"score/{place}.log"))
    return steps


def _first_problem(steps: list[Step]) -> str | None:
    for file, log in steps:
        if not file.is_file():
            return f"{file.name} was not made: {_last_line(log)}"
    # Weights and parameters do not depend on each other; the prediction does on both.
    made = [file.stat().st_mtime for file, _ in steps]
    if max(made[:-1]) > made[-1] or max(made[:-2], default=0.0) > made[-2]:
        return f"{steps[-1][0].name} is older than what it is made from"
    return None


def _last_line(log: Path) -> str:
    if not log.is_file():
        return "its job did not run"
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    lines = [line.strip() for line in lines if line.strip()]
    return f"{lines[-1].removeprefix('error: ')} ({log})" if lines else f"see {log}"
