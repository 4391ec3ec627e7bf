"""A made-up run of four scans with scores, and claims about it."""

from pathlib import Path

import numpy as np
import pandas as pd
from repository_files import REPOSITORY

from ldct.claims.measures import Source
from ldct.configuration.published import read_margins
from ldct.metrics.protocol import load_protocol
from ldct.runs.version import RESULTS

PROTOCOL = REPOSITORY / "config/protocols/abdomen.yaml"
PAPER = REPOSITORY / "config/claims.yaml"
METHODS = ("better", "worse", "reference", "noisy", "twin")
SEEDS = {name: ["0"] for name in METHODS} | {"untrained": ["fixed"]}
SETTINGS = {
    "run": "made-up",
    "results": RESULTS,
    "dataset": {"title": "made-up images", "simulated": True},
    "budget_text": "no training",
    "seeds": [0],
    "test_patients": ["L1", "L2", "L3", "L4"],
    "method_seeds": SEEDS,
    "chains": {},
    "cards": {name: {"title": name.title(), "kind": "network"} for name in METHODS},
    "control_cards": {},
    "broken": {},
    "protocol_file": str(PROTOCOL),
}
ONE_SCAN = SETTINGS | {"test_patients": ["L1"]}
MARGINS = REPOSITORY / "config/margins.yaml"
LIMIT = {"paper": 1000, "share": 0.1}
RULE = {"confidence": 0.95, "tile_presentations": LIMIT, "verdicts": "As it is."}


def write_scores(run: Path, slices: int = 6) -> Path:
    """PSNR 1 dB above and below the reference's, the same, and one that differs by chance alone."""
    shifts = {"better": [1.0] * 4, "worse": [-1.0] * 4, "reference": [0.0] * 4}
    return write_values(run, shifts | {"noisy": [-2.0, 2.0, -1.5, 1.6], "twin": [0.01] * 4}, slices)


def write_values(run: Path, shifts: dict, slices: int = 6) -> Path:
    """Scores whose patients (and seeds: a list of lists) lie by so much beside 30, 31, ... dB."""
    generator = np.random.default_rng(5)
    for name, by_seed in shifts.items():
        for seed, by_patient in enumerate(np.atleast_2d(by_seed)):
            for number, by in enumerate(by_patient):
                patient = SETTINGS["test_patients"][number]
                noise = generator.normal(0, 0.03) + generator.normal(0, 0.05, slices)
                frame = pd.DataFrame(
                    {
                        "method": name,
                        "seed": seed,
                        "patient": patient,
                        "slice_index": range(slices),
                        "z_mm": np.arange(slices, dtype=float),
                        "protocol": "abdomen",
                        "psnr": 30 + number + by + noise,
                        "ssim": np.nan,
                    }
                )
                path = run / f"scores/{name}/{seed}/{patient}.parquet"
                path.parent.mkdir(parents=True, exist_ok=True)
                frame.to_parquet(path)
    return run


def claim(*parts: dict, **changes) -> dict:
    told = {"quotation": "It is so.", "place": "Section I", "reading": "As said."}
    return {"id": "a_claim", "statement": "So it is", **told, "parts": list(parts)} | changes


def above(method: str, *references: str, **changes) -> dict:
    part = {"kind": "difference", "table": "scores", "metric": "psnr", "better": "higher"}
    return part | {"method": method, "references": list(references)} | changes


def source_of(run: Path, settings: dict = SETTINGS, confidence: float = 0.95) -> Source:
    rule = RULE | {"confidence": confidence}
    return Source(run, settings, load_protocol(PROTOCOL), rule, read_margins(MARGINS))
