"""Windows between those of the scan: where they are likely, and the descent to them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pandas as pd
from scipy.interpolate import RectBivariateSpline
from scipy.ndimage import minimum_filter
from scipy.optimize import least_squares

from ldct.evaluation.calibration_grid import CHOICES, WINDOW, Cut
from ldct.evaluation.calibration_search import Case, score_cuts
from ldct.progress import track

SLOPE_STEP_HU = 3.0
DESCENT_STEPS = 5
FAR = 1e3  # residual of what has no value, in standard deviations
FINE = 120  # points along each axis of the interpolated map
STARTS = 2  # of one combination of choices


@dataclass(frozen=True)
class Start:
    """A window (HU) at which a combination of choices is likely to fit, and its likely misfit."""

    choices: pd.Series
    centre: float
    width: float
    misfit: float


def refine(case: Case, settings: pd.DataFrame) -> pd.DataFrame:
    """Settings with windows between those of the scan, for the likeliest combinations of choices.

    settings : of the scan. What the scan gives is interpolated over centre and width; from the
        best places centre and width follow the misfit down (least squares). The whole HU around
        where that ends are scored, as pixels are whole HU. The grid's `refinements` is the
        number of places.
    """
    likely = sorted(likely_windows(case, settings), key=lambda start: start.misfit)
    # Combinations with the same numbers by construction lead to the same windows.
    starts = list({(s.choices["clip"], s.centre, s.width): s for s in reversed(likely)}.values())
    starts = starts[::-1][: case.grid.refinements]
    known = set(settings[[*WINDOW, "clip"]].itertuples(index=False, name=None))
    cuts: dict[Cut, None] = {}
    for start in track(starts, "refinement"):
        centre, width = _descend(case, start)
        lower, upper = np.round(centre - width / 2), np.round(centre + width / 2)
        for along, across in product((-1, 0, 1), repeat=2):
            cut = Cut(float(lower + along), float(upper + across), bool(start.choices["clip"]))
            if cut.width > 0 and (cut.lower, cut.upper, cut.clip) not in known:
                cuts[cut] = None
    return score_cuts(case, list(cuts)) if cuts else pd.DataFrame()


def likely_windows(case: Case, settings: pd.DataFrame) -> Iterator[Start]:
    """Places where the interpolated misfit of a combination of choices has its lowest minima.

    The residuals are smooth in centre and log width, their misfit is not: a narrow valley of misfit
    can pass between all points of the scan.
    """
    grid = case.grid
    centres, widths = np.array(grid.centres), np.array(grid.widths)
    if min(len(centres), len(widths)) < 2:
        return
    scanned = settings[settings["centre"].isin(centres) & settings["width"].isin(widths)]
    degrees = {"kx": min(3, len(widths) - 1), "ky": min(3, len(centres) - 1)}
    fine_widths = np.geomspace(widths[0], widths[-1], FINE)
    fine_centres = np.linspace(centres[0], centres[-1], FINE)
    for _, rows in scanned.groupby(CHOICES, sort=False):
        squares = np.zeros((FINE, FINE))
        for name in case.row.values:
            table = rows.pivot_table(f"{name}_residual", "width", "centre").to_numpy()
            if table.shape != (len(widths), len(centres)) or not np.isfinite(table).all():
                break
            spline = RectBivariateSpline(np.log(widths), centres, table, **degrees)
            squares += spline(np.log(fine_widths), fine_centres) ** 2
        else:
            lowest = np.argwhere(squares == minimum_filter(squares, 5))
            lowest = sorted(lowest, key=lambda place: squares[tuple(place)])[:STARTS]
            for row, column in lowest:
                misfit = float(np.sqrt(squares[row, column]))
                yield Start(rows[CHOICES].iloc[0], fine_centres[column], fine_widths[row], misfit)


def _descend(case: Case, start: Start) -> tuple[float, float]:
    """Centre and width of the window where the misfit of one combination is least, near a start."""
    names = list(case.row.values)
    narrow = _one_combination(case, start)

    def residuals(window: np.ndarray) -> np.ndarray:
        centre, width = window
        cut = Cut(centre - width / 2, centre + width / 2, bool(start.choices["clip"]))
        row = score_cuts(narrow, [cut]).iloc[0]
        found = row[[f"{name}_residual" for name in names]].to_numpy(float)
        # A constant prediction has no SSIM: far off, so that the search turns back.
        return np.nan_to_num(found, nan=FAR, posinf=FAR, neginf=-FAR)

    def slopes(window: np.ndarray) -> np.ndarray:
        steps = np.diag([SLOPE_STEP_HU, SLOPE_STEP_HU])
        sides = [(residuals(window + step), residuals(window - step)) for step in steps]
        return np.stack([(up - down) / (2 * SLOPE_STEP_HU) for up, down in sides], axis=1)

    # Not beyond the scan: windows far from any that is used fit as well, and mean nothing.
    found = least_squares(
        residuals,
        (start.centre, start.width),
        jac=slopes,
        bounds=list(zip(_range(case.grid.centres), _range(case.grid.widths), strict=True)),
        x_scale=(50.0, 50.0),
        xtol=1e-3,
        max_nfev=DESCENT_STEPS,
    )
    return tuple(found.x)


def _one_combination(case: Case, start: Start) -> Case:
    """The case with one combination of choices: scoring it costs a fraction of scoring all."""
    variant = case.variants[start.choices["ssim"]]
    grid = replace(
        case.grid,
        psnr_ranges=(start.choices["psnr_range"],),
        averagings=(start.choices["averaging"],),
    )
    places = {window: own for window, own in case.places.items() if window == variant.window}
    variants = {start.choices["ssim"]: variant}
    return replace(case, grid=grid, places=places, variants=variants)


def _range(values: tuple[float, ...]) -> tuple[float, float]:
    """The ends of a scan, a little wider than its outermost points."""
    return min(values) - SLOPE_STEP_HU, max(values) + SLOPE_STEP_HU
