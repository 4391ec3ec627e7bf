"""Scores of one test set under many protocol settings, and their distance from a published row."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
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

RESAMPLES = 500

# A value, and its standard deviation under resampling of slices.
Estimate = tuple[float, float]


@dataclass(frozen=True)
class Case:
    """One test set, one published row, and what all settings share.

    variants : SSIM variants by their description; one alone where the row has no SSIM.
    places : SSIM window to the places at which it is taken; empty where the row has no SSIM.
    complete : whether these are all places, so that searching is exact.
    weights : share of every slice in every resample, [resample, slice]; None where the slices are
        those of the row and bring no uncertainty.
    """

    pairs: Sequence[Pair]
    row: PublishedRow
    grid: Grid
    variants: Mapping[str, SsimVariant]
    places: Mapping[SsimWindow, Places]
    complete: bool
    weights: np.ndarray | None


def open_case(
    pairs: Sequence[Pair], row: PublishedRow, grid: Grid, same_slices: bool, seed: int
) -> Case:
    """Take the places of SSIM and draw the resamples. Raises InputError on too small slices."""
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
    weights = None
    if not same_slices:
        count = len(pairs)
        draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), RESAMPLES)
        weights = draws / count
    return Case(pairs, row, grid, variants, places, complete, weights)


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
    level, spread = errors["level_db"]
    found = {
        "psnr": (level + 20 * np.log10(psnr_range * cut.width), spread),
        "ssim": ssim,
        "rmse_hu": errors["rmse_hu"],
    }
    squares = 0.0
    scales = {}
    for measure, printed in case.row.values.items():
        value, spread = found[measure]
        parts = (case.grid.tolerance[measure], case.row.rounding(measure), spread)
        scales[f"{measure}_scale"] = float(np.linalg.norm(parts))
        squares += ((value - printed) / scales[f"{measure}_scale"]) ** 2
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
        **scales,
        "misfit": float(np.sqrt(squares)),
        "exact": case.complete,
    }


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
            "level_db": (float(-10 * np.log10(mean)), float(np.std(-10 * np.log10(resampled)))),
            "rmse_hu": (float(np.sqrt(mean)), float(np.std(np.sqrt(resampled)))),
        }


def _mean(case: Case, values: np.ndarray) -> Estimate:
    return float(values.mean()), float(np.std(_resample(case, values)))


def _resample(case: Case, values: np.ndarray) -> np.ndarray:
    """Means of the resamples; one value where nothing is resampled (its spread is 0)."""
    if case.weights is None or not np.isfinite(values).all():
        return np.ones(1)
    return case.weights @ values


def _exact_scores(case: Case, setting: Mapping[str, Any], workers: int) -> pd.DataFrame:
    protocol = protocol_of(setting, case.variants, "exact")

    def scores(pair: Pair) -> dict[str, float]:
        ldct, ndct = (np.asarray(image, dtype=np.float32) for image in pair)
        return slice_scores(ldct, ndct, protocol)

    with ThreadPoolExecutor(max_workers=workers) as pool:
        return pd.DataFrame(list(pool.map(scores, case.pairs)))
