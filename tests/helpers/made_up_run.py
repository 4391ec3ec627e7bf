"""A made-up run of four scans with scores, and claims about it."""

from pathlib import Path

import numpy as np
import pandas as pd
from repository_files import REPOSITORY

from ldct.claims.measures import Source
from ldct.metrics.protocol import load_protocol

PROTOCOL = REPOSITORY / "config/protocols/abdomen.yaml"
PAPER = REPOSITORY / "config/claims.yaml"
METHODS = ("better", "worse", "reference", "noisy")
SEEDS = {name: ["0"] for name in METHODS} | {"untrained": ["fixed"]}
SETTINGS = {
    "run": "made-up",
    "dataset": {"title": "made-up images", "simulated": True},
    "budget_text": "no training",
    "seeds": [0],
    "test_patients": ["L1", "L2", "L3", "L4"],
    "method_seeds": SEEDS,
    "cards": {name: {"title": name.title(), "kind": "network"} for name in METHODS},
    "control_cards": {},
    "broken": {},
    "protocol_file": str(PROTOCOL),
}
ONE_SCAN = SETTINGS | {"test_patients": ["L1"]}
RULE = {"confidence": 0.95, "verdicts": "As it is."}


def write_scores(run: Path, slices: int = 6) -> Path:
    """PSNR 1 dB above and below the reference's, and one that differs by chance alone."""
    generator = np.random.default_rng(5)
    shift = {"better": 1.0, "worse": -1.0, "reference": 0.0, "noisy": 0.0}
    by_chance = [-2.0, 2.0, -1.5, 1.6]
    for name, by in shift.items():
        for number, patient in enumerate(SETTINGS["test_patients"]):
            chance = by_chance[number] if name == "noisy" else generator.normal(0, 0.03)
            noise = chance + generator.normal(0, 0.05, slices)
            frame = pd.DataFrame(
                {
                    "method": name,
                    "seed": 0,
                    "patient": patient,
                    "slice_index": range(slices),
                    "z_mm": np.arange(slices, dtype=float),
                    "protocol": "abdomen",
                    "psnr": 30 + number + by + noise,
                    "ssim": np.nan,
                }
            )
            path = run / f"scores/{name}/0/{patient}.parquet"
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
    return Source(run, settings, load_protocol(PROTOCOL), confidence)
