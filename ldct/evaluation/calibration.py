"""The protocol solver: under which evaluation protocol do these images give a published row?

The raw low-dose images have no method in them: what they score against the full dose depends on the
protocol alone. So every protocol of a grid is scored, and compared with the printed numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import chi2

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
CUTS_AT_A_TIME = 50


@dataclass(frozen=True)
class Calibration:
    """What the solver found.

    settings : one row per setting, best first: lower, upper, centre, width (HU), clip, psnr_range,
        ssim (variant), averaging, used_by; psnr_found (dB), ssim_found, rmse_hu_found;
        <measure>_scale of the printed measures; misfit, p_value, verdict, told_apart (from the
        best), exact (scored on every pixel).
    row : the published values. n_slices : slices scored. same_slices : whether they are the very
        slices of the row.
    """

    settings: pd.DataFrame
    row: PublishedRow
    n_slices: int
    same_slices: bool
    variants: Mapping[str, SsimVariant]

    @property
    def best(self) -> pd.Series:
        """The setting with the smallest misfit."""
        return self.settings.iloc[0]

    def best_protocol(self, name: str) -> Protocol:
        """The best setting as a protocol."""
        return protocol_of(self.best, self.variants, name)

    def best_by(self, columns: Sequence[str]) -> pd.DataFrame:
        """The best setting for each value of some columns, best first."""
        return self.settings.drop_duplicates(list(columns))


def solve(
    pairs: Sequence[Pair],
    row: PublishedRow,
    grid: Grid,
    *,
    same_slices: bool = False,
    seed: int = 0,
    workers: int = 1,
) -> Calibration:
    """Score the raw low dose under every setting of the grid and compare it with a published row.

    pairs : LDCT and NDCT of every slice, HU.
    same_slices : True where these are the slices of the row: then the slices bring no uncertainty.
    seed : of the bootstrap over slices. workers : threads of the exact scoring.

    Misfit = sqrt(sum of ((computed - printed) / scale)^2) over the printed measures; scale^2 =
    tolerance^2 + rounding^2 + variance of the mean over slices (bootstrap; 0 for the same
    slices). Under these scales misfit^2 has the chi-squared distribution with as many degrees as
    measures: p_value; verdict "fits", "unlikely" (p <= 0.05) or "ruled out" (p <= 0.0027). A
    setting is told apart from the best where its misfit^2 is larger by the 95 % point.
    Raises InputError where slices are smaller than an SSIM window, or all of them score perfectly.
    """
    case = open_case(pairs, row, grid, same_slices, seed)
    cuts = grid.cuts()
    parts = [cuts[start : start + CUTS_AT_A_TIME] for start in range(0, len(cuts), CUTS_AT_A_TIME)]
    settings = pd.concat(
        [score_cuts(case, part) for part in track(parts, "windows")], ignore_index=True
    )
    settings = pd.concat([settings, refine(case, settings)], ignore_index=True)
    settings = score_exactly(case, _best_first(settings), workers)
    settings = _judge(_best_first(settings), len(row.values))
    return Calibration(settings, row, len(pairs), same_slices, case.variants)


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


def _judge(settings: pd.DataFrame, degrees: int) -> pd.DataFrame:
    squares = settings["misfit"] ** 2
    if not np.isfinite(squares.iloc[0]):
        raise InputError(
            "calibration: no setting has a finite misfit; expected low-dose images that differ "
            "from the full dose and are not constant"
        )
    p_value = pd.Series(chi2.sf(squares.fillna(np.inf), degrees), settings.index)
    return settings.assign(
        p_value=p_value,
        verdict=np.select(
            [p_value <= RULED_OUT, p_value <= UNLIKELY], ["ruled out", "unlikely"], "fits"
        ),
        told_apart=~(squares - squares.iloc[0] <= chi2.ppf(1 - UNLIKELY, degrees)),
    )
