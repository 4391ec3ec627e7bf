"""The test-set folder of inserted discs, a patient like any other to every method."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ldct.common.errors import InputError
from ldct.common.files import atomic_folder, write_json
from ldct.common.provenance import recorded
from ldct.common.run_files import PATIENT, VOLUME_FILES
from ldct.data.dose.settings import DoseSettings
from ldct.data.dose.simulate import (
    calibrate_photons,
    calibration_slices,
)
from ldct.data.lesions import lesion_slices
from ldct.data.noise import soft_tissue, soft_tissue_noise
from ldct.data.volumes import Volume, load_volume
from ldct.detectability.discs import Site, choose_sites, simulate_crops

ORDER_SEED = 4713  # any number
SMALLEST_RATIO = 1.05  # a quarter dose with no more noise than this is none


def write_disc_set(
    volume_folders: Sequence[Path],
    lesions: pd.DataFrame,
    settings: Mapping[str, Any],
    dose_fraction: float,
    folder: Path,
    workers: int = 1,
) -> None:
    """Write crops of real full dose with and without discs, and their simulated quarter dose.

    volume_folders : of test patients. Discs go into the first that has all the places wanted, else
        into the one with most. lesions : table of lesions.csv; slices with a lesion are left out.
    settings : `contrast_hu`, `diameters_mm`, `locations` (places), `crop` (side in pixels).
    dose_fraction : photons of the low dose over those of the scan. The noise is as large as in the
        patient's own quarter dose: its level is measured there.
    folder : gets full.npy, quarter.npy, volume.json, and discs.json with contrast_hu, diameters_mm,
        sites, one entry per crop (site, slice_index, row and column of the patient's volume,
        diameter_mm: null without disc), and `problem`: why there are no discs, or null. Where there
        are none the folder holds one crop, so that every method has something to denoise.
    """
    source, volume, sites = _best_patient(volume_folders, lesions, settings)
    record = {**settings, "dose_fraction": dose_fraction}
    with recorded([folder / "volume.json"], [source / name for name in VOLUME_FILES], record):
        try:
            full, quarter, content = _simulated(volume, sites, settings, dose_fraction, workers)
        except InputError as error:
            full, quarter, content = _without_discs(volume, settings["crop"], str(error))
        record |= content["dose"]
        content |= {key: volume.info[key] for key in ("patient", "pixel_mm")}
        content |= {"dose_fraction": dose_fraction, "contrast_hu": settings["contrast_hu"]}
        with atomic_folder(folder) as temporary:
            np.save(temporary / "full.npy", full)
            np.save(temporary / "quarter.npy", quarter)
            write_json(temporary / "volume.json", _description(volume.info, len(full)))
            write_json(temporary / "discs.json", content)


def _simulated(
    volume: Volume,
    sites: Sequence[Site],
    settings: Mapping[str, Any],
    dose_fraction: float,
    workers: int,
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Both doses [crop, row, column] and what discs.json says; InputError where it cannot be."""
    if not sites:
        raise InputError("no flat soft tissue large enough for the discs in the test patients")
    diameters, crop = settings["diameters_mm"], settings["crop"]
    dose = _dose(volume, dose_fraction)
    images = simulate_crops(
        volume.full,
        volume.info["pixel_mm"][0],
        sites,
        (settings["contrast_hu"], diameters),
        crop,
        dose["photons"],
        DoseSettings(dose_fraction=dose_fraction, noise_ratio=dose["noise_ratio"]),
        workers,
    )
    crops = [
        {
            "site": number,
            **{key: getattr(site, key) for key in ("slice_index", "row", "column")},
            "diameter_mm": diameter,
        }
        for number, site in enumerate(sites)
        for diameter in (None, *diameters)
    ]
    # Mixed, so that a method (or control) that takes other slices for this one finds no pattern.
    order = np.random.default_rng(ORDER_SEED).permutation(len(crops))
    full, quarter = (dose_images.reshape(-1, crop, crop)[order] for dose_images in images)
    content = {"diameters_mm": diameters, "sites": list(map(asdict, sites)), "dose": dose}
    return full, quarter, {**content, "crops": [crops[place] for place in order], "problem": None}


def _without_discs(
    volume: Volume, crop: int, problem: str
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """The middle of the volume as the only crop, and why there is no disc."""
    slices, rows, columns = volume.full.shape
    top, left = max(rows - crop, 0) // 2, max(columns - crop, 0) // 2
    middle = np.s_[slices // 2 : slices // 2 + 1, top : top + crop, left : left + crop]
    content = {"diameters_mm": [], "sites": [], "dose": {}, "crops": [], "problem": problem}
    return np.asarray(volume.full[middle]), np.asarray(volume.quarter[middle]), content


def _dose(volume: Volume, dose_fraction: float) -> dict[str, float]:
    """Noise ratio and photons of a patient's own quarter dose."""
    row_mm, column_mm = volume.info["pixel_mm"]
    if not np.isclose(row_mm, column_mm):
        raise InputError(f"pixels of {row_mm} x {column_mm} mm; expected square ones")
    chosen = calibration_slices(len(volume.full))
    full, quarter = (dose[chosen].astype(np.float32) for dose in (volume.full, volume.quarter))
    tissue = soft_tissue(full)
    ratio = soft_tissue_noise(quarter, tissue) / soft_tissue_noise(full, tissue)
    if ratio < SMALLEST_RATIO:
        raise InputError(f"its quarter dose has {ratio:.2f} times the noise of its full dose")
    settings = DoseSettings(dose_fraction=dose_fraction, noise_ratio=ratio)
    photons = calibrate_photons(volume.full, row_mm, settings)
    return {"noise_ratio": ratio, "photons": photons}


def _best_patient(
    folders: Sequence[Path], lesions: pd.DataFrame, settings: Mapping[str, Any]
) -> tuple[Path, Volume, list[Site]]:
    """First patient with all places, else the one with most of them."""
    wanted, largest = settings["locations"], max(settings["diameters_mm"])
    found = []
    for folder in folders:
        volume = load_volume(folder)
        left_out = lesion_slices(lesions, volume.info)
        sites = choose_sites(volume.full, volume.info, wanted, settings["crop"], largest, left_out)
        found.append((folder, volume, sites))
        if len(sites) == wanted:
            return found[-1]
    return max(found, key=lambda entry: len(entry[2]))


def _description(info: Mapping[str, Any], count: int) -> dict[str, Any]:
    """volume.json of the crops: of the patient they come from, at made-up positions."""
    own = {key: value for key, value in info.items() if key != "instance"}
    return own | {
        "patient": PATIENT,
        "slice_index": list(range(count)),
        "z_mm": [index * float(info["thickness_mm"]) for index in range(count)],
        "origin_mm": [0.0, 0.0],
    }
