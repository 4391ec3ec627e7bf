"""A made-up finished run with all kinds of tables, written as the suite's commands write them."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from made_up_run import PROTOCOL, SETTINGS
from repository_files import REPOSITORY

from ldct.common.files import write_json
from ldct.common.provenance import recorded
from ldct.detectability import detection as disc_detection
from ldct.lesions import bench as lesion_bench
from ldct.metrics import scores
from ldct.metrics.columns import IMAGE_QUALITY
from ldct.metrics.protocol import load_protocol
from ldct.runs.formulas import FORMULAS
from ldct.runs.version import RESULTS
from ldct.texture.measure import MEASURES

POOLED = REPOSITORY / "config/protocols/drl_author.yaml"
SEEDS = {"drl": ["0", "1"], "bm3d": ["fixed"]}
IMAGES = {"ndct": ["fixed"], "ldct": ["fixed"]}
OPTIONS = {"confidence": 0.9}
SLICES, SITES = 4, 30
PATIENTS = ["L1", "L2", "L3"]
MAIN = load_protocol(PROTOCOL)
SETTING = {
    "run": "made-up",
    "results": RESULTS,
    "methods": list(SEEDS),
    "test_patients": PATIENTS,
    "method_seeds": SEEDS,
    "cards": {
        "drl": {"title": "DRL", "kind": "network"},
        "bm3d": {"title": "BM3D", "kind": "classical"},
    },
    "folders": {name: f"methods/{name}" for name in SEEDS},
    "models": {},
    "chains": {},
    "statistics": OPTIONS,
    "protocol_files": [str(PROTOCOL), str(POOLED)],
}


def numbers(columns, generator, rows: int) -> pd.DataFrame:
    return pd.DataFrame(generator.normal(0.6, 0.05, (rows, len(columns))), columns=list(columns))


def place(method: str, seed: str, **columns) -> pd.DataFrame:
    number = 0 if seed == "fixed" else int(seed)
    frame = pd.DataFrame({"slice_index": range(SLICES), "z_mm": np.arange(SLICES, dtype=float)})
    return frame.assign(method=method, seed=number, patient="L1", **columns)


def score_rows(method, seed, generator) -> pd.DataFrame:
    frames = []
    for protocol in (MAIN, load_protocol(POOLED)):
        error = generator.uniform(10, 30, SLICES)
        decibel = 20 * np.log10(protocol.psnr_range * protocol.scaling.width / error)
        ssim = generator.uniform(0.5, 0.9, SLICES)
        rows = place(method, seed, protocol=protocol.name)
        frames.append(rows.assign(psnr=decibel, ssim=ssim, rmse_hu=error))
    return pd.concat(frames, ignore_index=True)[scores.KEYS + scores.METRICS]


def quality_rows(method, seed, generator) -> pd.DataFrame:
    names = list(IMAGE_QUALITY)
    rows = place(method, seed, protocol=MAIN.name)
    return pd.concat([rows, numbers(names, generator, SLICES)], axis=1).assign(lpips=np.nan)


def texture_rows(method, seed, generator) -> pd.DataFrame:
    values = numbers(MEASURES, generator, SLICES)
    values.loc[:0] = np.nan
    return pd.concat([place(method, seed, n_squares=4, reason=""), values], axis=1)


def lesion_rows(method, seed, generator) -> pd.DataFrame:
    values = numbers([*lesion_bench.MEASURES, *lesion_bench.FURTHER[:1]], generator, SLICES)
    lesion = {"lesion": "1", "label": "nodule", "diameter_mm": 9.0, "note": ""}
    return pd.concat([place(method, seed, **lesion), values], axis=1)[lesion_bench.COLUMNS]


def disc_rows(method, seed, generator) -> pd.DataFrame:
    rows = []
    for diameter in (4.0, 8.0):
        value = generator.normal(diameter / 4, 0.1)
        bounds = {"lower": value - 0.4, "upper": value + 0.4}
        change = {"change": 0.1, "change_lower": -0.1, "change_upper": 0.3}
        without = value + generator.normal(0, 0.02, SITES)
        row = {"contrast_hu": -10.0, "diameter_mm": diameter}
        row |= {"d_prime": value, "n_signals": SITES, "leave_one_out": without}
        rows.append(row | bounds | change)
    number = 0 if seed == "fixed" else int(seed)
    frame = pd.DataFrame(rows).assign(method=method, seed=number, patient="L1")
    return frame[disc_detection.COLUMNS]


# Table to: what makes its rows, settings in its record, whether NDCT and LDCT are in it.
TABLES = {
    "scores": (score_rows, {"protocols": [asdict(MAIN), asdict(load_protocol(POOLED))]}, False),
    "image_quality": (quality_rows, {"protocol": asdict(MAIN), "lpips": None}, False),
    "texture": (texture_rows, {"side_px": 32}, True),
    "lesion_bench": (lesion_rows, {"protocol": asdict(MAIN)}, True),
    "detectability": (disc_rows, {"observer": "channelised Hotelling", "channels": 5}, True),
}
COST = {
    "drl": {"parameters": 12, "inference_seconds_per_slice": 0.5, "stages": ["drl"]},
    "bm3d": {"inference_seconds_per_slice": 8.0, "stages": []},
}
COST = {
    name: {**dict.fromkeys(FORMULAS["cost"]), **entry, "title": name, "kind": "x"}
    for name, entry in COST.items()
}


def write_tables() -> dict[str, pd.DataFrame]:
    """Write results/made-up below the current folder; returns all rows of each table."""
    generator = np.random.default_rng(3)
    run = Path("results/made-up")
    found = {}
    for table, (make, record, with_images) in TABLES.items():
        frames = []
        for method, seeds in (SEEDS | (IMAGES if with_images else {})).items():
            for seed in seeds:
                for patient in PATIENTS if table != "detectability" else [""]:
                    rows = make(method, seed, generator)
                    if patient:
                        rows = rows.assign(patient=patient)
                    path = run / table / method / seed / f"{patient}.parquet"
                    if table == "detectability":
                        path = run / table / method / f"{seed}.parquet"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    with recorded([path], [], record):
                        rows.to_parquet(path)
                    frames.append(rows)
        found[table] = pd.concat(frames, ignore_index=True)
    write_json(run / "tables/cost.json", {"methods": COST, "stages": {}, "micro": {}})
    (run / "config.yaml").write_text(yaml.safe_dump(SETTINGS | SETTING))
    return found
