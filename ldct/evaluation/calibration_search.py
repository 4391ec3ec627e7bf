"""Scores of one test set under many protocol settings, and their distance from a published row."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby, product
from typing import Any

import numpy as np
import pandas as pd

from ldct.evaluation.calibration_grid import WINDOW, Cut, Grid, PublishedRow, SsimVariant
from ldct.evaluation.calibration_scores import (
    Pair,
    Places,
    prediction_ranges,
    squared_errors,
    ssim_of_cuts,
    take_places,
)
from ldct.evaluation.metrics import slice_scores
from ldct.evaluation.protocol import Protocol, SsimWindow
from ldct.evaluation.resampling import (
    FEWEST_PATIENTS,
    block_length,
    degrees_of_freedom,
    has_spread,
    slice_weights,
)

RESAMPLES = 500

# A value, and how far each resample deviates from it: [resample]. The product of two such arrays
# is the covariance of two values over slices.
Estimate = tuple[float, np.ndarray]


@dataclass(frozen=True)
class Case:
    """One test set, one published row, and what all settings share.

    variants : SSIM variants by their description; one alone where the row has no SSIM.
    places : SSIM window to the places at which it is taken; empty where the row has no SSIM.
    complete : whether these are all places, so that searching is exact.
    weights : share of every slice in every resample, [resample, slice]; None where the slices are
        those of the row and bring no uncertainty, and where they cannot show any.
    df : degrees of freedom of the covariance over slices: infinite and 0 in these two cases.
    """

    pairs: Sequence[Pair]
    row: PublishedRow
    grid: Grid
    variants: Mapping[str, SsimVariant]
    places: Mapping[SsimWindow, Places]
    complete: bool
    weights: np.ndarray | None
    df: float


def open_case(
    pairs: Sequence[Pair],
    patients: Sequence[str],
    row: PublishedRow,
    grid: Grid,
    same_slices: bool,
    seed: int,
) -> Case:
    """Take the places of SSIM and draw the resamples. Raises InputError on too small slices.

    patients : the patient of every pair; slices of one patient stand together.
    """
    with_ssim = "ssim" in row.values
    variants = {
        variant.describe(): variant for variant in (grid.ssim if with_ssim else grid.ssim[:1])
    }
    windows = {variant.window for variant in variants.values()} if with_ssim else set()
    places = {window: take_places(pairs, window, grid.positions) for window in windows}
    complete = all(
        len(own.slices)
        == sum(int(np.prod(np.subtract(ldct.shape, window.side - 1))) for ldct, _ in pairs)
        for window, own in places.items()
    )
    weights, df = (None, np.inf) if same_slices else _resamples(pairs, patients, seed)
    return Case(pairs, row, grid, variants, places, complete, weights, df)


def _resamples(
    pairs: Sequence[Pair], patients: Sequence[str], seed: int
) -> tuple[np.ndarray | None, float]:
    """Shares of the slices in resamples of patients and of blocks of neighbouring slices; their df.

    One length of blocks serves all settings: that of the errors without a window.
    """
    sizes = tuple(len(list(group)) for _, group in groupby(patients))
    if not has_spread(sizes):
        return None, 0.0
    [squares] = squared_errors(pairs, [Cut(-1.0, 1.0, clip=False)])
    series = np.split(10 * np.log10(np.maximum(squares, 1e-9)), np.cumsum(sizes)[:-1])
    length = block_length(series)
    weights = slice_weights(sizes, length, RESAMPLES, seed).astype(float)
    many = len(sizes) >= FEWEST_PATIENTS
    df = len(sizes) - 1.0 if many else degrees_of_freedom(sizes, length)
    return weights / weights.sum(axis=1, keepdims=True), df


def score_cuts(case: Case, cuts: Sequence[Cut]) -> pd.DataFrame:
    """One row per setting: these cuts with every range, SSIM variant and averaging.

    Choices that the row's measures do not depend on are not varied.
    """
    psnr_ranges = case.grid.psnr_ranges if "psnr" in case.row.values else case.grid.psnr_ranges[:1]
    has_error = set(case.row.values) != {"ssim"}
    averagings = case.grid.averagings if has_error else case.grid.averagings[:1]
    squares = squared_errors(case.pairs, cuts)
    rows = []
    for cut, cut_squares, by_variant in zip(cuts, squares, _ssim(case, cuts), strict=True):
        errors = {averaging: _errors(case, cut_squares, averaging) for averaging in averagings}
        ssim = {name: _mean(case, values) for name, values in by_variant.items()}
        for psnr_range, name, averaging in product(psnr_ranges, ssim, averagings):
            choices = (psnr_range, name, averaging)
            rows.append(_setting(case, cut, choices, errors[averaging], ssim[name]))
    return pd.DataFrame(rows)


def score_exactly(case: Case, settings: pd.DataFrame, workers: int) -> pd.DataFrame:
    """The first settings again, with the code that makes all scores, on every pixel.

    settings : best first. As many combinations of window, clipping and SSIM variant are scored as
        the grid says; all settings that share one are replaced.
    """
    if case.complete:
        return settings
    keys = [*WINDOW, "clip", "ssim"]
    chosen = settings[keys].drop_duplicates().head(case.grid.exact)
    replaced: dict[Any, dict[str, Any]] = {}
    for _, group in settings.merge(chosen.reset_index(names="group"), on=keys, how="left").groupby(
        "group"
    ):
        table = _exact_scores(case, group.iloc[0], workers)
        ssim = _mean(case, table["ssim"].to_numpy())
        for index, setting in group.iterrows():
            cut = Cut(setting["lower"], setting["upper"], bool(setting["clip"]))
            errors = _errors(case, table["rmse_hu"].to_numpy() ** 2, setting["averaging"])
            choices = (setting["psnr_range"], setting["ssim"], setting["averaging"])
            replaced[index] = _setting(case, cut, choices, errors, ssim) | {"exact": True}
    exact = pd.DataFrame.from_dict(replaced, orient="index")
    return pd.concat([exact, settings.drop(index=exact.index)], ignore_index=True)


def protocol_of(
    setting: Mapping[str, Any], variants: Mapping[str, SsimVariant], name: str
) -> Protocol:
    """A row of the table of settings as a protocol."""
    variant = variants[setting["ssim"]]
    psnr_range = float(setting["psnr_range"])
    return Protocol(
        name=name,
        window=(float(setting["lower"]), float(setting["upper"])),
        clip=bool(setting["clip"]),
        data_range=psnr_range,
        ssim=variant.window,
        averaging=setting["averaging"],
        ssim_data_range=None if variant.data_range == psnr_range else variant.data_range,
    )


def _setting(
    case: Case,
    cut: Cut,
    choices: tuple[float, str, str],
    errors: Mapping[str, Estimate],
    ssim: Estimate,
) -> dict[str, Any]:
    """One row: what is set, what it gives, and how far that is from the published row."""
    psnr_range, variant, averaging = choices
    level, deviations = errors["level_db"]
    found = {
        "psnr": (level + 20 * np.log10(psnr_range * cut.width), deviations),
        "ssim": ssim,
        "rmse_hu": errors["rmse_hu"],
    }
    scales, residuals = _residuals(case, found)
    return {
        "lower": cut.lower,
        "upper": cut.upper,
        "centre": (cut.lower + cut.upper) / 2,
        "width": cut.width,
        "clip": cut.clip,
        "psnr_range": psnr_range,
        "ssim": variant,
        "averaging": averaging,
        "used_by": case.grid.used_by.get((cut.lower, cut.upper), ""),
        "psnr_found": found["psnr"][0],
        "ssim_found": found["ssim"][0],
        "rmse_hu_found": found["rmse_hu"][0],
        **{f"{name}_scale": scale for name, scale in zip(case.row.values, scales, strict=True)},
        **{f"{name}_residual": each for name, each in zip(case.row.values, residuals, strict=True)},
        "misfit": float(np.linalg.norm(residuals)),
        "exact": case.complete,
    }


def _residuals(case: Case, found: Mapping[str, Estimate]) -> tuple[np.ndarray, np.ndarray]:
    """Standard deviation of every measure; differences from the row, freed of their correlation.

    Slices that are worse in one measure are worse in another: what the one says beyond the other
    counts. Tolerance and rounding are independent. The norm of the residuals is the misfit.
    """
    names = list(case.row.values)
    difference = np.array([found[name][0] - case.row.values[name] for name in names])
    deviations = np.stack([found[name][1] for name in names])
    own = [np.hypot(case.grid.tolerance[name], case.row.rounding(name)) for name in names]
    covariance = deviations @ deviations.T + np.diag(np.square(own))
    residuals = np.linalg.solve(np.linalg.cholesky(covariance), difference)
    return np.sqrt(np.diag(covariance)), residuals


def _ssim(case: Case, cuts: Sequence[Cut]) -> Iterator[dict[str, np.ndarray]]:
    """Cut by cut: SSIM variant to its value in every slice; NaN where the row has no SSIM."""
    if not case.places:
        for _ in cuts:
            yield {name: np.full(len(case.pairs), np.nan) for name in case.variants}
        return
    ranges = prediction_ranges(case.pairs, cuts)
    names = {
        window: [name for name, variant in case.variants.items() if variant.window == window]
        for window in case.places
    }
    streams = [
        ssim_of_cuts(places, cuts, [case.variants[name] for name in names[window]], ranges)
        for window, places in case.places.items()
    ]
    for values in zip(*streams, strict=True):
        found = {
            name: row
            for window, rows in zip(case.places, values, strict=True)
            for name, row in zip(names[window], rows, strict=True)
        }
        yield {name: found[name] for name in case.variants}


def _errors(case: Case, squares: np.ndarray, averaging: str) -> dict[str, Estimate]:
    """From squared errors per slice (HU^2): -10 log10 of them (dB) and RMSE (HU)."""
    with np.errstate(divide="ignore", invalid="ignore"):  # identical images: infinite PSNR
        if averaging == "mean_of_slices":
            return {
                "level_db": _mean(case, -10 * np.log10(squares)),
                "rmse_hu": _mean(case, np.sqrt(squares)),
            }
        mean, resampled = squares.mean(), _resample(case, squares)
        return {
            "level_db": (float(-10 * np.log10(mean)), _deviations(-10 * np.log10(resampled))),
            "rmse_hu": (float(np.sqrt(mean)), _deviations(np.sqrt(resampled))),
        }


def _mean(case: Case, values: np.ndarray) -> Estimate:
    return float(values.mean()), _deviations(_resample(case, values))


def _deviations(resampled: np.ndarray) -> np.ndarray:
    if not np.isfinite(resampled).all():  # identical images: there is no value to deviate from
        return np.zeros_like(resampled)
    return (resampled - resampled.mean()) / np.sqrt(max(1, len(resampled) - 1))


def _resample(case: Case, values: np.ndarray) -> np.ndarray:
    """Means of the resamples; all the same where nothing is resampled (the spread is 0)."""
    if case.weights is None:
        return np.ones(1)
    if not np.isfinite(values).all():
        return np.ones(RESAMPLES)
    return case.weights @ values


def _exact_scores(case: Case, setting: Mapping[str, Any], workers: int) -> pd.DataFrame:
    protocol = protocol_of(setting, case.variants, "exact")

    def scores(pair: Pair) -> dict[str, float]:
        ldct, ndct = (np.asarray(image, dtype=np.float32) for image in pair)
        return slice_scores(ldct, ndct, protocol)

    with ThreadPoolExecutor(max_workers=workers) as pool:
        return pd.DataFrame(list(pool.map(scores, case.pairs)))
