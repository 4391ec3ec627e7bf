"""Detectability of the inserted discs in what a method makes of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from ldct.common.errors import InputError
from ldct.common.files import write_frame
from ldct.common.inputs import open_array, open_prediction, read_mapping
from ldct.common.provenance import recorded
from ldct.common.run_files import PATIENT, image_files, seed_number
from ldct.detectability import observers

DISC = ["contrast_hu", "diameter_mm"]
VALUES = ["d_prime", "lower", "upper"]
CHANGES = ["change", "change_lower", "change_upper"]
COLUMNS = ["method", "seed", "patient", *DISC, *VALUES, "n_signals", *CHANGES, "leave_one_out"]
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

    @property
    def numbers(self) -> list[float]:
        """The estimate and its bounds."""
        return [self.estimate, self.lower, self.upper]


def measure_discs(
    images: np.ndarray,
    quarter: np.ndarray,
    discs: Mapping[str, Any],
    method: str,
    seed: int,
    confidence: float,
) -> pd.DataFrame:
    """d' of every disc in one method's images; one row each, columns COLUMNS.

    images, quarter : [crop, row, column] in HU, in the order of the folder of discs.
    discs : content of its discs.json.
    `change` is d' minus that of the quarter dose, with its interval. All bounds are at
    `confidence`, over the sites of one patient. `leave_one_out` : d' without each site in turn,
    for `paired_interval` of any two methods. No rows where there are no discs.
    """
    rows = []
    for diameter in discs["diameters_mm"]:
        own, low = (_observe(part, discs, diameter) for part in (images, quarter))
        value = _interval([own], confidence)
        change = _interval([(own[0] - low[0], own[1] - low[1])], confidence)
        rows.append(
            {
                "method": method,
                "seed": seed,
                "patient": discs["patient"],
                "contrast_hu": discs["contrast_hu"],
                "diameter_mm": diameter,
                **dict(zip(VALUES, np.maximum(value.numbers, 0), strict=True)),
                "n_signals": len(discs["sites"]),
                **dict(zip(CHANGES, change.numbers, strict=True)),
                "leave_one_out": own[1][0],
            }
        )
    frame = pd.DataFrame(rows, columns=COLUMNS)
    return frame.astype(dict.fromkeys([*DISC, *VALUES, *CHANGES], float))


def pair_of(
    images: np.ndarray, discs: Mapping[str, Any], diameter_mm: float
) -> tuple[np.ndarray, np.ndarray]:
    """Crops without and with one disc, both [site, row, column] in the order of the sites."""
    crops = pd.DataFrame(discs["crops"]).sort_values("site", kind="stable")
    absent = crops.index[crops["diameter_mm"].isna()]
    return images[absent], images[crops.index[crops["diameter_mm"] == diameter_mm]]


def _observe(images: np.ndarray, discs: Mapping[str, Any], diameter_mm: float) -> SeedValues:
    diameter_px = diameter_mm / discs["pixel_mm"][0]
    pair = pair_of(images, discs, diameter_mm)
    outputs = (observers.channel_outputs(part, diameter_px) for part in pair)
    d_prime, without = observers.detectability(*outputs)
    return np.array([d_prime]), without[None]


def mean_over_seeds(rows: pd.DataFrame, confidence: float = 0.95) -> SeedInterval:
    """d' of one method, mean over training seeds, then over discs, with its interval.

    rows : of one method, as `measure_discs` gives them, of any number of seeds.
    NaN where no disc has a value for every seed.
    """
    return _interval(list(_values_of_discs(rows).values()), confidence, rows["seed"].nunique())


def paired_interval(
    own: pd.DataFrame, other: pd.DataFrame, confidence: float = 0.95
) -> SeedInterval:
    """d' of one method minus that of another at the same sites, mean over seeds and discs.

    own, other : rows as `measure_discs` gives them. Methods with the same seeds are paired by seed;
        a method with one seed (or none) is compared with all of the other.
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
    return _interval(differences, confidence, max(map(len, seeds)))


def _values_of_discs(rows: pd.DataFrame) -> dict[tuple[float, float], SeedValues]:
    """(d', d' without each site) of every disc that has a value for every seed."""
    seeds = rows["seed"].nunique()
    known = rows.dropna(subset=["d_prime"]).sort_values("seed")
    return {
        disc: (own["d_prime"].to_numpy(), np.stack(own["leave_one_out"].to_list()))
        for disc, own in known.groupby(DISC)
        if len(own) == seeds
    }


def _interval(discs: Sequence[SeedValues], confidence: float, n_seeds: int = 1) -> SeedInterval:
    """Mean over discs and seeds, with the interval over sites and seeds.

    Its variance is the sum of two: of the mean over seeds, by the jackknife over sites, and of the
    seeds' values over their number. What a seed adds at single sites is in both. Degrees of freedom
    of the sum: Satterthwaite, Biometrics Bulletin 2:110-114, 1946.
    """
    nothing = SeedInterval(*[np.nan] * 5, n_seeds)
    if not discs:
        return nothing
    per_seed, without = (np.mean(parts, axis=0) for parts in zip(*discs, strict=True))
    if np.isnan(per_seed).any():
        return nothing
    of_seeds = per_seed.var(ddof=1) / n_seeds if n_seeds > 1 else 0.0
    of_sites = observers.jackknife_variance(without.mean(axis=0))
    variance, df = of_sites + of_seeds, without.shape[1] - 1.0
    if of_seeds > 0:
        df = variance**2 / (of_sites**2 / df + of_seeds**2 / (n_seeds - 1))
    std_error = float(np.sqrt(variance))
    estimate = float(per_seed.mean())
    reach = float(special.stdtrit(df, (1 + confidence) / 2)) * std_error
    return SeedInterval(estimate, estimate - reach, estimate + reach, std_error, df, n_seeds)


def write_detectability(
    folder: Path, predictions: Sequence[Path], output: Path, confidence: float = 0.95
) -> None:
    """Measure every prediction of the discs, and both doses of the folder itself.

    predictions : paths `.../<method>/<seed>/discs.npy`. confidence : of all bounds. Writes
    `<output>/<method>/<seed>.parquet` with COLUMNS; the references are `ndct/fixed` and
    `ldct/fixed`. Raises InputError where a prediction has another shape than the discs.
    """
    discs, quarter = read_mapping(folder / "discs.json"), open_array(folder / "quarter.npy")
    for method, seed, path in image_files(folder, predictions, PATIENT):
        target = output / method / f"{seed}.parquet"
        inputs = [folder / "full.npy", folder / "discs.json", path]
        settings = {"method": method, "seed": seed, "confidence": confidence}
        with recorded([target], inputs, settings):
            images, _ = open_prediction(path, folder)
            frame = measure_discs(images, quarter, discs, method, seed_number(seed), confidence)
            write_frame(target, frame)
