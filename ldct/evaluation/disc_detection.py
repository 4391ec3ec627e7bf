"""Detectability of the inserted discs in what a method makes of them."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ldct.data.disc_set import PATIENT
from ldct.errors import InputError
from ldct.evaluation import observers
from ldct.evaluation.lesion_bench import image_files, seed_number, write_table
from ldct.files import read_json

OBSERVERS = ("cho", "npw")
COLUMNS = [
    "method",
    "seed",
    "patient",
    "contrast_hu",
    "diameter_mm",
    "observer",
    "d_prime",
    "lower",
    "upper",
    "n_signals",
    "change",
    "change_lower",
    "change_upper",
    "leave_one_out",
]
NUMBERS = [name for name in COLUMNS[3:] if name not in ("observer", "n_signals", "leave_one_out")]
Outputs = tuple[np.ndarray, np.ndarray]  # of an observer, without and with the disc: (sites, p)


def read_disc_set(folder: Path) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """discs.json of a folder of discs, its full and its quarter dose [crop, row, column]."""
    return (
        read_json(folder / "discs.json"),
        np.load(folder / "full.npy"),
        np.load(folder / "quarter.npy"),
    )


def measure_discs(
    images: np.ndarray, folder: Path, method: str, seed: int, confidence: float = 0.95
) -> pd.DataFrame:
    """d' of every disc and observer in one method's images; one row each, columns COLUMNS.

    images : [crop, row, column] in the order of the folder of discs (`ldct.data.disc_set`).
    The NPW template is the disc as the full dose shows it (mean difference over all sites).
    `change` is d' minus that of the quarter dose, with its interval. All bounds are at
    `confidence`, over the sites of one patient. `leave_one_out` : d' without each site in turn,
    for `paired_change` of any two methods. No rows where there are no discs.
    Raises InputError where the shapes do not agree.
    """
    discs, full, quarter = read_disc_set(folder)
    if images.shape != full.shape:
        raise InputError(
            f"discs of {method}: found shape {images.shape}, expected {full.shape} as in "
            f"{folder / 'full.npy'}; predict {PATIENT} again"
        )
    rows = []
    for signal in discs["signals"]:
        for observer in OBSERVERS:
            low = observers.detectability(*_outputs(quarter, full, discs, signal, observer))
            outputs = _outputs(images, full, discs, signal, observer)
            own = observers.detectability(*outputs, confidence)
            change = observers.jackknife_interval(
                own.d_prime - low.d_prime, own.leave_one_out - low.leave_one_out, confidence
            )
            names = ("change", "change_lower", "change_upper")
            rows.append(
                {
                    "method": method,
                    "seed": seed,
                    "patient": discs["patient"],
                    **signal,
                    "observer": observer,
                    **asdict(own),
                    **dict(zip(names, change, strict=True)),
                }
            )
    frame = pd.DataFrame(rows, columns=COLUMNS)
    return frame.astype(dict.fromkeys(NUMBERS, float))


def paired_change(
    own: pd.DataFrame, other: pd.DataFrame, confidence: float = 0.95
) -> tuple[float, float, float]:
    """d' of one method minus that of another at the same sites, mean over the discs of both.

    own, other : rows of one observer, as `measure_discs` gives them, of any number of seeds (their
        mean counts). Returns the difference and its jackknife interval. Sites, and the noise in
        them, are shared, so it is much narrower than the intervals of the two values suggest.
    NaN where no disc has a value for both.
    """
    first, second = (_mean_over_seeds(frame) for frame in (own, other))
    shared = first.index.intersection(second.index)
    if shared.empty:
        return np.nan, np.nan, np.nan
    difference = first.loc[shared] - second.loc[shared]
    without = np.stack(difference["leave_one_out"].to_list()).mean(axis=0)
    return observers.jackknife_interval(difference["d_prime"].mean(), without, confidence)


def _mean_over_seeds(frame: pd.DataFrame) -> pd.DataFrame:
    """d_prime and leave_one_out (an array) of every disc that has a value."""
    groups = frame.dropna(subset=["d_prime"]).groupby(["contrast_hu", "diameter_mm"])
    rows = {
        disc: {
            "d_prime": rows["d_prime"].mean(),
            "leave_one_out": np.stack(rows["leave_one_out"].to_list()).mean(axis=0),
        }
        for disc, rows in groups
    }
    columns = ["d_prime", "leave_one_out"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns, dtype=object)


def _outputs(
    images: np.ndarray,
    full: np.ndarray,
    discs: Mapping[str, Any],
    signal: Mapping[str, float],
    observer: str,
) -> Outputs:
    diameter_px = signal["diameter_mm"] / discs["pixel_mm"][0]
    side = observers.region_side(diameter_px, full.shape[-1])
    pair = [observers.central_regions(part, side) for part in pair_of(images, discs, signal)]
    if observer == "cho":
        return tuple(observers.cho_outputs(part, diameter_px) for part in pair)
    absent, present = (
        observers.central_regions(part, side) for part in pair_of(full, discs, signal)
    )
    template = (present.astype(np.float64) - absent).mean(axis=0)
    return tuple(observers.npw_outputs(part, template) for part in pair)


def pair_of(
    images: np.ndarray, discs: Mapping[str, Any], signal: Mapping[str, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Crops without and with one disc, both [site, row, column] in the order of the sites."""
    crops = pd.DataFrame(discs["crops"]).sort_values("site", kind="stable")
    absent = crops.index[crops["contrast_hu"].isna()]
    same = (crops["contrast_hu"] == signal["contrast_hu"]) & (
        crops["diameter_mm"] == signal["diameter_mm"]
    )
    return images[absent], images[crops.index[same]]


def write_detectability(
    folder: Path, predictions: Sequence[Path], output: Path, confidence: float = 0.95
) -> None:
    """Measure every prediction of the discs, and both doses of the folder itself.

    predictions : paths `.../<method>/<seed>/discs.npy`. confidence : of all bounds. Writes
    `<output>/<method>/<seed>.parquet` with COLUMNS; the references are `ndct/fixed` and
    `ldct/fixed`.
    """
    for method, seed, path in image_files(folder, predictions, PATIENT):
        started = time.perf_counter()
        frame = measure_discs(np.load(path), folder, method, seed_number(seed), confidence)
        write_table(
            frame,
            output / method / f"{seed}.parquet",
            [folder / "full.npy", folder / "discs.json", path],
            {
                "method": method,
                "seed": seed,
                "observers": list(OBSERVERS),
                "confidence": confidence,
                "channels": observers.CHANNELS,
                "channel_width_diameters": observers.CHANNEL_WIDTH_DIAMETERS,
                "region_diameters": observers.REGION_DIAMETERS,
            },
            started,
        )
