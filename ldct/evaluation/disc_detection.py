"""Detectability of the inserted discs in what a method makes of them."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ldct.data.disc_set import PATIENT
from ldct.errors import InputError
from ldct.evaluation import observers
from ldct.evaluation.lesion_bench import image_files, seed_number, write_table
from ldct.files import read_json

OBSERVERS = ("cho", "npw")
# The matched filter's template is the disc: nothing is trained, and d' has a sign.
FIXED_TEMPLATE = ("npw",)
DISC = ["contrast_hu", "diameter_mm"]
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
SeedValues = tuple[np.ndarray, np.ndarray]  # d' (seeds,), d' without each site (seeds, sites)


@dataclass(frozen=True)
class SeedInterval:
    """A mean d', or a mean difference of two, with its interval over sites and training seeds.

    std_error, df : the bounds are the estimate plus and minus Student's t of `df` degrees of
        freedom times `std_error`. n_seeds : 1 also for a method that is not trained; then nothing
        is said of other trainings. All numbers are NaN where one of the values is.
    """

    estimate: float
    lower: float
    upper: float
    std_error: float
    df: float
    n_seeds: int


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
    for `paired_interval` of any two methods. No rows where there are no discs.
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
            own, low = (
                observers.detectability(
                    *_outputs(part, full, discs, signal, observer),
                    confidence,
                    fixed_template=observer in FIXED_TEMPLATE,
                )
                for part in (images, quarter)
            )
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


def mean_over_seeds(rows: pd.DataFrame, confidence: float = 0.95) -> SeedInterval:
    """d' of one method, mean over training seeds, then over discs, with its interval.

    rows : of one method and observer, as `measure_discs` gives them, of any number of seeds.
    NaN where no disc has a value for every seed.
    """
    discs = _values_of_discs(rows)
    return _interval(list(discs.values()), rows["seed"].nunique(), confidence)


def paired_interval(
    own: pd.DataFrame, other: pd.DataFrame, confidence: float = 0.95
) -> SeedInterval:
    """d' of one method minus that of another at the same sites, mean over seeds and discs.

    own, other : rows of one observer, as `measure_discs` gives them. Methods with the same seeds
        are paired by seed; a method with one seed (or none) is compared with all of the other.
    Sites, and the noise in them, are shared, so the interval is much narrower than those of the two
    values suggest. NaN where no disc has a value for every seed of both.
    Raises InputError where the seeds do not pair.
    """
    seeds = [sorted(map(int, frame["seed"].unique())) for frame in (own, other)]
    if seeds[0] != seeds[1] and 1 not in map(len, seeds):
        names = " minus ".join(str(frame["method"].iloc[0]) for frame in (own, other))
        raise InputError(
            f"paired change of d', {names}: found seeds {seeds[0]} and {seeds[1]}, expected the "
            "same seeds, or one seed for one of them"
        )
    first, second = (_values_of_discs(frame) for frame in (own, other))
    differences = [
        (first[disc][0] - second[disc][0], first[disc][1] - second[disc][1])
        for disc in first
        if disc in second
    ]
    return _interval(differences, max(map(len, seeds)), confidence)


def _values_of_discs(rows: pd.DataFrame) -> dict[tuple[float, float], SeedValues]:
    """(d', d' without each site) of every disc that has a value for every seed."""
    seeds = rows["seed"].nunique()
    known = rows.dropna(subset=["d_prime"]).sort_values("seed")
    return {
        disc: (own["d_prime"].to_numpy(), np.stack(own["leave_one_out"].to_list()))
        for disc, own in known.groupby(DISC)
        if len(own) == seeds
    }


def _interval(discs: Sequence[SeedValues], n_seeds: int, confidence: float) -> SeedInterval:
    """Mean over discs and seeds, with the interval over sites and seeds.

    Its variance is the sum of two: of the mean over seeds, by the jackknife over sites, and of the
    seeds' values over their number. What a seed adds at single sites is in both.
    """
    nothing = SeedInterval(*[np.nan] * 5, n_seeds)
    if not discs:
        return nothing
    per_seed, without = (np.mean(parts, axis=0) for parts in zip(*discs, strict=True))
    if np.isnan(without).any():
        return nothing
    of_seeds = per_seed.var(ddof=1) / n_seeds if n_seeds > 1 else 0.0
    of_sites = observers.jackknife_variance(without.mean(axis=0))
    std_error = float(np.sqrt(of_sites + of_seeds))
    df = satterthwaite(std_error, per_seed, without.shape[1] - 1)
    estimate = float(per_seed.mean())
    reach = float(stats.t.ppf((1 + confidence) / 2, df)) * std_error
    return SeedInterval(estimate, estimate - reach, estimate + reach, std_error, df, n_seeds)


def satterthwaite(std_error: float, per_seed: np.ndarray, df: float) -> float:
    """Degrees of freedom of a standard error that holds the spread of training seeds.

    std_error : of the mean over seeds, the seeds' own variance of it included. per_seed : one value
    of each seed, NaN where it has none. df : of what the variance holds beside the seeds.
    `df` itself for one seed. Source: Satterthwaite, Biometrics Bulletin 2:110-114, 1946.
    """
    if len(per_seed) == 1 or std_error == 0:
        return df
    total = std_error**2
    of_seeds = min(total, float(np.nanvar(per_seed, ddof=1)) / len(per_seed))
    return total**2 / ((total - of_seeds) ** 2 / df + of_seeds**2 / (len(per_seed) - 1))


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
