"""A made-up test patient with lesions and methods, packed for the page."""

from pathlib import Path

import numpy as np
from made_up_volumes import write_doses
from repository_files import REPOSITORY

from ldct.metrics.protocol import Protocol, load_protocol
from ldct.viewer.pack import pack_slices

METHODS = {"keen": "Keen & <sharp>", "dull": "Dull", "keep": "Keep"}
ABDOMEN = load_protocol(REPOSITORY / "config/protocols/abdomen.yaml")
# Lesion 1 lies in soft tissue on three slices, lesion 2 in lung on one; pixels are 0.7 mm.
LESIONS = """patient,lesion,z_mm,x_mm,y_mm,diameter_mm,label,source
L7,1,4,42,28,8,soft,made
L7,1,5,42,28,9,soft,made
L7,1,6,42,28,8,soft,made
L7,2,5,14,14,6,lung nodule,made
"""


def write_patient(folder: Path) -> dict[str, Path]:
    """Write doses and predictions of patient L7; returns title to prediction."""
    generator = np.random.default_rng(3)
    full = np.full((10, 80, 112), 50.0)
    full[:, :40, :40] = -850
    full[:, 18:23, 18:23] = -600
    full += generator.normal(0, 6, full.shape)
    quarter = full + generator.normal(0, 20, full.shape)
    quarter[[0, 9]] = full[[0, 9]]
    test = write_doses(folder / "test/L7", np.rint(full), np.rint(quarter))
    made = {
        "keen": full + generator.normal(0, 8, full.shape),
        "dull": np.clip(quarter, -160, 240) * 0.9,
        "keep": np.load(test / "quarter.npy"),
    }
    for method, image in made.items():
        (folder / f"predictions/{method}/0").mkdir(parents=True, exist_ok=True)
        np.save(folder / f"predictions/{method}/0/L7.npy", image.astype(np.float32))
    return {title: folder / f"predictions/{name}/0/L7.npy" for name, title in METHODS.items()}


def pack(
    folder: Path, protocol: Protocol = ABDOMEN, lesions: str | None = LESIONS, **given
) -> Path:
    """Write the patient where it is not there, and pack its slices; returns the file."""
    known = {title: folder / f"predictions/{name}/0/L7.npy" for name, title in METHODS.items()}
    predictions = known if (folder / "test").is_dir() else write_patient(folder)
    if lesions is not None:
        (folder / "lesions.csv").write_text(lesions)
    output, case = folder / f"viewer_{protocol.name}.json", (folder / "test/L7", predictions)
    note = "made-up images; no training"
    crop = {"crop": 80, **given}
    pack_slices([case], folder / "lesions.csv", protocol, note, output, **crop)
    return output
