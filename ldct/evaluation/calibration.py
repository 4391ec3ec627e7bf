"""The protocol solver: under which evaluation protocol do these images give a published row?

The raw low-dose images have no method in them: what they score against the full dose depends on the
protocol alone. So every protocol of a grid is scored, and compared with the printed numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import chi2, f

from ldct.errors import InputError
from ldct.evaluation.calibration_descent import refine
from ldct.evaluation.calibration_grid import Grid, PublishedRow, SsimVariant
from ldct.evaluation.calibration_scores import Pair
from ldct.evaluation.calibration_search import (
    open_case,
    protocol_of,
    score_cuts,
    score_exactly,
)
from ldct.evaluation.protocol import Protocol
from ldct.progress import track

UNLIKELY, RULED_OUT = 0.05, 0.0027  # p values: two and three standard deviations
UNKNOWN = "spread unknown"  # the verdict where slices cannot show how far their mean may be off
CUTS_AT_A_TIME = 50


@dataclass(frozen=True)
class Calibration:
    """What the solver found.

    settings : one row per setting, best first: lower, upper, centre, width (HU), clip, psnr_range,
        ssim (variant), averaging, used_by; psnr_found (dB), ssim_found, rmse_hu_found;
        <measure>_scale and _residual of the printed measures; misfit, p_value, verdict, told_apart
        (from the best), exact (scored on every pixel).
    row : the published values. n_slices : slices scored. same_slices : whether they are the very
        slices of the row. df : degrees of freedom of the covariance over slices; infinite for the
        same slices.
    """

    settings: pd.DataFrame
    row: PublishedRow
    n_slices: int
    same_slices: bool
    variants: Mapping[str, SsimVariant]
    df: float

    @property
    def spread_known(self) -> bool:
        """False where the slices are others and too few to show how far their mean may be off."""
        return self.df > len(self.row.values) - 1

    @property
    def limit(self) -> float:
        """Misfit up to which a setting fits; needs a known spread."""
        return float(np.sqrt(_limit(UNLIKELY, len(self.row.values), self.df)))

    @property
    def best(self) -> pd.Series:
        """The setting with the smallest misfit."""
        return self.settings.iloc[0]

    def best_protocol(self, name: str) -> Protocol:
        """The best setting as a protocol."""
        return protocol_of(self.best, self.variants, name)

    @property
    def not_determined(self) -> list[str]:
        """Choices of the best setting that its numbers do not depend on: the grid's first."""
        measures = set(self.row.values)
        lower = "window" if "psnr" not in measures else "lower bound of the window"
        told = {
            lower: "ssim" in measures or bool(self.best["clip"]),
            "PSNR range": "psnr" in measures,
            "SSIM": "ssim" in measures,
            "averaging": measures != {"ssim"},
        }
        return [choice for choice, is_told in told.items() if not is_told]

    def best_by(self, columns: Sequence[str]) -> pd.DataFrame:
        """The best setting for each value of some columns, best first."""
        return self.settings.drop_duplicates(list(columns))


def solve(
    pairs: Sequence[Pair],
    row: PublishedRow,
    grid: Grid,
    *,
    patients: Sequence[str] | None = None,
    same_slices: bool = False,
    seed: int = 0,
    workers: int = 1,
) -> Calibration:
    """Score the raw low dose under every setting of the grid and compare it with a published row.

    pairs : LDCT and NDCT of every slice, HU, in the order of z.
    patients : the patient of every slice, those of one together; all of one where not given.
    same_slices : True where these are the slices of the row: then the slices bring no uncertainty.
    seed : of the bootstrap over slices. workers : threads of the exact scoring.

    Misfit is the Mahalanobis distance of the computed values from the printed ones. Covariance:
    tolerance^2 + rounding^2 of each measure, and the covariance of the means over slices
    (bootstrap of patients and of blocks of neighbouring slices; 0 for the same slices). Misfit^2
    then has Hotelling's T^2 distribution (chi-squared for the same slices), with as many dimensions
    as measures: p_value; verdict "fits", "unlikely" (p <= 0.05) or "ruled out" (p <= 0.0027). A
    setting is told apart from the best where its misfit^2 is larger by the 95 % point. Other
    slices, too few to show a covariance, rule nothing out: verdict UNKNOWN, no p_value.
    Raises InputError where slices are smaller than an SSIM window, or all of them score perfectly.
    """
    patients = patients or [""] * len(pairs)
    case = open_case(pairs, patients, row, grid, same_slices, seed)
    cuts = grid.cuts()
    parts = [cuts[start : start + CUTS_AT_A_TIME] for start in range(0, len(cuts), CUTS_AT_A_TIME)]
    settings = pd.concat(
        [score_cuts(case, part) for part in track(parts, "windows")], ignore_index=True
    )
    settings = pd.concat([settings, refine(case, settings)], ignore_index=True)
    settings = score_exactly(case, _best_first(settings), workers)
    settings = _judge(_best_first(settings), len(row.values), case.df)
    return Calibration(settings, row, len(pairs), same_slices, case.variants, case.df)


def _best_first(settings: pd.DataFrame) -> pd.DataFrame:
    """Sort by misfit; of settings with the same numbers by construction, the usual one first."""
    order = pd.DataFrame(
        {
            "misfit": settings["misfit"].round(6),
            "unnamed": settings["used_by"] == "",
            "unclipped": ~settings["clip"].astype(bool),
            "psnr_range": (settings["psnr_range"] - 1).abs(),
            "pooled": settings["averaging"] == "pooled",
            "other_range": ~settings["ssim"].str.endswith("range 1"),
        }
    )
    order = order.sort_values(list(order), kind="stable", na_position="last")
    return settings.loc[order.index].reset_index(drop=True)


def _p_value(squares: pd.Series, measures: int, df: float) -> np.ndarray:
    """Of squared misfits: chi-squared, or Hotelling's T^2 where the spread is an estimate."""
    if np.isinf(df):
        return chi2.sf(squares, measures)
    rest = df - measures + 1
    return f.sf(squares * rest / (measures * df), measures, rest)


def _limit(p_value: float, measures: int, df: float) -> float:
    """The squared misfit with a given p value."""
    if np.isinf(df):
        return float(chi2.isf(p_value, measures))
    rest = df - measures + 1
    return float(f.isf(p_value, measures, rest) * measures * df / rest)


def _judge(settings: pd.DataFrame, measures: int, df: float) -> pd.DataFrame:
    squares = settings["misfit"] ** 2
    if not np.isfinite(squares.iloc[0]):
        raise InputError(
            "calibration: no setting has a finite misfit; expected low-dose images that differ "
            "from the full dose and are not constant"
        )
    if df <= measures - 1:
        return settings.assign(p_value=np.nan, verdict=UNKNOWN, told_apart=squares.isna())
    p_value = pd.Series(_p_value(squares.fillna(np.inf), measures, df), settings.index)
    return settings.assign(
        p_value=p_value,
        verdict=np.select(
            [p_value <= RULED_OUT, p_value <= UNLIKELY], ["ruled out", "unlikely"], "fits"
        ),
        told_apart=~(squares - squares.iloc[0] <= _limit(UNLIKELY, measures, df)),
    )
