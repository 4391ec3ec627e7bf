"""Files of a run that the claims are judged on: names alone, nothing is opened."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ldct.common.run_files import IMAGES, TABLES, table_files
from ldct.statistics.adversary import training_records


def files_of_claims(
    claims: Iterable[Mapping[str, Any]], run: Path, settings: Mapping[str, Any]
) -> list[Path]:
    """Files behind the claims of config/claims.yaml for the methods that the run has."""
    found: dict[Path, None] = {}
    for claim, part in ((each, part) for each in claims for part in each["parts"]):
        methods = (part.get("method"), *part.get("references", []))
        trained = any(settings["chains"].get(name) for name in methods)
        if part["kind"] in ("cost", "micro") or trained:  # it says how long they were trained
            found[run / "tables/cost.json"] = None
        table = part.get("table", part["kind"])
        for method in methods:
            if table in TABLES and method in (*settings["method_seeds"], *IMAGES):
                found |= dict.fromkeys(table_files(run, settings, table, method))
            if "needs" in claim:
                found |= dict.fromkeys(training_records(run, settings, method))
    return list(found)
