"""A hospital's CT series, with what identifies a patient, and a set of weights to denoise it."""

from pathlib import Path

import numpy as np
import pydicom
import torch
import yaml

from ldct.common.files import sha256_of_file, write_json
from ldct.configuration.registry import find_methods
from ldct.configuration.stages import resolve_models
from ldct.configuration.weights import code_of, plain_stage
from ldct.data.dicom.aapm_writer import Scan, write_series
from ldct.networks.files import build_network, save_weights

SECRET = "Zz9Secret"  # in every text and date that must not be handed on
SECRET_DATE = "19121212"
SIZE = 48
WINDOW = (-160.0, 240.0)
# A patient on the belly, the feet first into the gantry; and a tilted gantry.
PRONE = [-1, 0, 0, 0, -1, 0]
TILTED = [1, 0, 0, 0, 0.9659258, -0.2588190]
NETWORK = """
from torch import nn

def build():
    return nn.Conv2d(1, 1, 3, padding=1)
"""


def write_scan(folder: Path, patient: str = "P1", slices: int = 3, **tags: object) -> list[Path]:
    """A valid series of air, water and bone with noise; tags replace those of every slice."""
    generator = np.random.default_rng(len(patient))
    hu = generator.normal(30, 20, (slices, SIZE, SIZE))
    hu[:, :8], hu[:, 8:12], hu[:, 12, :5] = -1000, 900, 3071
    z_mm = [10.0 + 2.5 * row for row in range(slices)]
    scan = Scan(hu, z_mm, (-20.0, -30.5), (0.75, 0.75), thickness_mm=3.0, kernel="B30f")
    paths = write_series(scan, patient, "quarter", folder)
    for path in paths:
        dataset = pydicom.dcmread(path)
        for keyword in ("InstitutionName", "StudyDescription", "SeriesDescription", "ProtocolName"):
            setattr(dataset, keyword, SECRET)
        for keyword in ("OperatorsName", "ReferringPhysicianName", "PatientComments"):
            setattr(dataset, keyword, SECRET)
        for keyword in ("AcquisitionDate", "SeriesDate", "ContentDate"):
            setattr(dataset, keyword, SECRET_DATE)
        dataset.PatientBirthDate, dataset.PatientSex, dataset.AccessionNumber = "", "", ""
        dataset.StudyID, dataset.KVP, dataset.AcquisitionNumber = "1", "120", 1
        dataset.PositionReferenceIndicator, dataset.BodyPartExamined = "", "ABDOMEN"
        dataset.private_block(0x0029, "MAKER", create=True).add_new(1, "LO", SECRET)
        del dataset.PatientIdentityRemoved
        for keyword, value in tags.items():
            setattr(dataset, keyword, value)
        if "PixelPaddingValue" in tags:  # pydicom leaves its type open
            dataset["PixelPaddingValue"].VR = "SS" if dataset.PixelRepresentation else "US"
        dataset.save_as(path)
    return paths


def write_method(folder: Path, name: str, code: str = "", **card: object) -> Path:
    """A method folder of a user's own; code : its denoise.py. The folder to search."""
    own = folder / name
    own.mkdir(parents=True)
    told = {"title": name.title(), "in_paper": False, "source": "a test", "departures": []}
    (own / "method.yaml").write_text(yaml.safe_dump(told | card), encoding="utf-8")
    (own / ("denoise.py" if code else "network.py")).write_text(code or NETWORK, encoding="utf-8")
    return folder


def write_set(folder: Path, methods: Path) -> Path:
    """A set of weights of the network `mine`, and parameters of total variation and BM3D."""
    (stage,) = resolve_models(["mine"], find_methods([methods]), {"steps": 1}, 64)[0].values()
    network = build_network(stage["network"], 0, "mine")
    with torch.no_grad():
        network.bias += 0.2
    weights, history = folder / "mine.safetensors", folder / "mine.csv"
    save_weights(weights, network, plain_stage(stage))
    history.write_text("step\n")
    about = {
        "stage": plain_stage(stage),
        "scaling": {"window": list(WINDOW), "clip": True},
        "code": code_of(stage),
        "steps": 1,
        "training": {},
        "weights_sha256": sha256_of_file(weights),
        "history_sha256": sha256_of_file(history),
    }
    span = {"kernel": ["B30f"], "thickness_mm": [3.0, 5.0], "pixel_mm": [0.7, 0.8]}
    content = {
        "run": "test",
        "training": "0",
        "seed": 0,
        "budget": {"steps": 1},
        "budget_text": "1 step",
        "tile_size": 64,
        "tiles": 1,
        "licence": "MIT",
        "made_with": {},
        "data": {"title": "nobody", "patients": {"N1": {}}, "simulate": None, "credit": "nobody"},
        "span": span | {"quarter_noise_hu": [5.0, 50.0]},
        "stages": {"mine": about},
        "parameters": {
            "tv": {"weight_hu": 20.0},
            "bm3d": {"sigma_hu": 20.0, "hu_per_unit": 400.0},
        },
    }
    write_json(folder / "weights.json", content)
    return folder
