"""A sealed plan: what no run changes without saying so, written before its first score."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ldct.common.errors import InputError
from ldct.common.files import read_json, read_yaml, write_json
from ldct.common.provenance import of_no_machine

PLAN = "plan.json"
# Of the resolved settings; models are the recipes of all stages.
KEYS = ("methods", "cards", "models", "controls", "budget", "seeds", "folds", "test", "scaling")
KEYS += ("texture_slices", "image_quality", "statistics", "detectability")


def plan_of(settings: Mapping[str, Any], repository: Path) -> dict[str, Any]:
    """What is sealed: methods, budgets, patients, metrics and claims of a resolved run.

    settings : of `resolve_run`. repository : folder that holds `config/`.
    """
    files = {"claims": repository / "config/claims.yaml"}
    files |= {"margins": repository / "config/margins.yaml"}
    plan = {
        **{key: settings.get(key) for key in KEYS},
        "weights": settings["weights"] and settings["weights"]["sha256"],
        "data set": settings["dataset"]["name"],
        "patients": settings["dataset"]["patients"],
        "protocols": {
            name: read_yaml(path) if Path(path).is_file() else None
            for name, path in zip(
                settings["protocol_names"], settings["protocol_files"], strict=True
            )
        },
        **{key: hashlib.sha256(path.read_bytes()).hexdigest() for key, path in files.items()},
    }
    # Files of networks are named from wherever the run was started.
    here = "" if repository == Path() else f"{repository.as_posix()}/"
    return of_no_machine(json.loads(json.dumps(plan, sort_keys=True).replace(here, "")))


def digest(plan: Mapping[str, Any]) -> str:
    """sha256 of a plan's content, in hex."""
    return hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()


def seal_text(run: Path, plan: Mapping[str, Any]) -> str:
    """What captions say after the budget: the plan's hash, and what changed since it was sealed.

    run : folder results/<run>. Raises InputError where the sealed plan was edited.
    """
    sealed = _sealed(run) or _content(run, plan)
    first = of_no_machine(sealed["plan"])
    changed = [key for key in {**first, **plan} if first.get(key) != plan.get(key)]
    before = sealed["scores_before"]
    return (
        f", plan sealed (sha256 {sealed['sha256'][:12]})"
        + (f" when {before} score files were there already" if before else "")
        + (f", CHANGED SINCE: {', '.join(changed)}" if changed else "")
    )


def seal(run: Path, plan: Mapping[str, Any]) -> None:
    """Write the plan into a run's folder, once; a plan that lies there stays."""
    if _sealed(run) is None:
        write_json(run / PLAN, _content(run, plan))


def _content(run: Path, plan: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "sealed": datetime.now(UTC).isoformat(timespec="seconds"),
        "scores_before": len(list(run.glob("scores/*/*/*.parquet"))),
        "sha256": digest(plan),
        "plan": plan,
    }


def _sealed(run: Path) -> dict[str, Any] | None:
    path = run / PLAN
    if not path.is_file():
        return None
    sealed = read_json(path)
    if digest(sealed.get("plan", {})) != sealed.get("sha256"):
        raise InputError(
            f"{path}: its plan has not the sha256 that it names; expected the file as it was "
            "sealed: take it from a copy, or choose another `run`"
        )
    return sealed
