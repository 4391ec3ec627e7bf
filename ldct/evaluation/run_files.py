"""Where a run keeps its tables of per-slice values: names alone, nothing is opened."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ldct.configuration import FIXED

# Table to its files below results/<run>/: one format, one owner, one row per slice or lesion.
TABLES = {
    "scores": "scores/{method}/{seed}/{patient}.parquet",
    "image_quality": "image_quality/{method}/{seed}/{patient}.parquet",
    "texture": "texture/{method}/{seed}/{patient}.parquet",
    "lesion_bench": "lesion_bench/{method}/{seed}/{patient}.parquet",
    "detectability": "detectability/{method}/{seed}.parquet",
}
# Images that the texture lab measures beside the methods: normal and low dose itself.
IMAGES = {"ndct": "NDCT", "ldct": "LDCT"}


def table_files(run: Path, settings: Mapping[str, Any], table: str, method: str) -> list[Path]:
    """Files of one table that the run's settings ask for; left-over files of other runs are not.

    settings : resolved run: `method_seeds` and `test_patients`.
    """
    pattern = TABLES[table]
    patients = settings["test_patients"] if "{patient}" in pattern else [""]
    return [
        run / pattern.format(method=method, seed=seed, patient=patient)
        for seed in settings["method_seeds"].get(method, [FIXED])
        for patient in patients
    ]


def files_of_claims(
    claims: Iterable[Mapping[str, Any]], run: Path, settings: Mapping[str, Any]
) -> list[Path]:
    """Files behind the claims of config/claims.yaml for the methods that the run has."""
    found: dict[Path, None] = {}
    for part in (part for claim in claims for part in claim["parts"]):
        if part["kind"] in ("cost", "micro"):
            found[run / "tables/cost.json"] = None
        table = part.get("table", part["kind"])
        for method in (part.get("method"), *part.get("references", [])):
            if table in TABLES and method in (*settings["method_seeds"], *IMAGES):
                found |= dict.fromkeys(table_files(run, settings, table, method))
    return list(found)
