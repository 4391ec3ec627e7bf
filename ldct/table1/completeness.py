"""Which methods of a run have all their scores, and why the others have none: from files alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ldct.common.files import read_json
from ldct.common.provenance import RECORD_SUFFIX, of_no_machine
from ldct.common.run_files import FIXED, training_name


def finished_scores(
    settings: Mapping[str, Any], run: Path, logs: Path
) -> tuple[list[Path], dict[str, str]]:
    """Score files that may stand in a table, and the reason for each method that has none.

    settings : resolved run: cards, chains, method_seeds, folds, test_patients.
    run, logs : folders `results/<run>` and `logs/<run>`.
    A score counts where every file it is made from exists. A method counts with all its seeds and
    patients or not at all.
    """
    finished: list[Path] = []
    failed: dict[str, str] = {}
    for method in settings["cards"]:
        seeds, patients = settings["method_seeds"][method], settings["test_patients"]
        places = [f"{seed}/{patient}" for seed in seeds for patient in patients]
        made = {}
        for place in places:
            made |= _files_behind(settings, run, logs, method, place)
        missing = [(file, log) for file, log in made.items() if not file.is_file()]
        if missing:
            file, log = missing[0]
            failed[method] = of_no_machine(f"{file.name} was not made: {_last_line(log)}")
        else:
            finished += [run / f"scores/{method}/{place}.parquet" for place in places]
    return finished, failed


def _files_behind(
    settings: Mapping[str, Any], run: Path, logs: Path, method: str, place: str
) -> dict[Path, Path]:
    """Files from trained weights to one score, in order, with the log of the job of each."""
    seed, patient = place.split("/")
    name, tuned = (training_name(settings, each, patient) for each in (seed, FIXED))
    files = {
        run / f"models/{model}/{name}/weights.safetensors": logs / f"train/{model}/{name}.log"
        for model in settings["chains"].get(method, [])
    }
    if settings["cards"][method]["kind"] in ("classical", "network_finetuned"):
        parameters = run / f"models/{method}/{tuned}/parameters.json"
        files[parameters] = logs / f"tune_classical/{method}/{tuned}.log"
    files[run / f"predictions/{method}/{place}.npy"] = logs / f"denoise/{method}/{place}.log"
    files[run / f"scores/{method}/{place}.parquet"] = logs / f"score/{method}/{place}.log"
    return files


def equal_to_references(settings: Mapping[str, Any], run: Path) -> list[str]:
    """Sentences on given predictions that are LDCT or NDCT itself, from the records beside them.

    settings : resolved run: cards. run : folder results/<run>.
    """
    notes = []
    for name, card in settings.get("cards", {}).items():
        if card["kind"] == "predictions":
            for path in sorted((run / f"predictions/{name}/{FIXED}").glob(f"*{RECORD_SUFFIX}")):
                if equals := read_json(path)["settings"]["equals"]:
                    patient = path.name.removesuffix(f".npy{RECORD_SUFFIX}")
                    notes.append(f"{card['title']}, {patient}: equals {equals.upper()}.")
    return notes


def _last_line(log: Path) -> str:
    if not log.is_file():
        return "its job did not run"
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    lines = [line.strip() for line in lines if line.strip()]
    return f"{lines[-1].removeprefix('error: ')} ({log})" if lines else f"see {log}"
