"""Scores of one pair of images under very many windows: what they share is computed once.

PSNR is taken on every pixel. SSIM is taken at places spread evenly over all slices (on small data:
at every place): without clipping, the local means and variances of all windows follow from those
in HU; with clipping, only places whose neighbourhood the window cuts into need work.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ldct.data.disc_set import PATIENT as DISCS
from ldct.data.volumes import Volume, load_volume
from ldct.errors import InputError
from ldct.evaluation.calibration_grid import Cut, SsimVariant
from ldct.evaluation.protocol import SsimWindow

# LDCT and NDCT of one slice, HU, [row, column].
Pair = tuple[np.ndarray, np.ndarray]
BLOCK = 1024  # places whose temporaries stay in the processor's cache
# Roberts' two-dimensional low-discrepancy sequence: even cover without the beat of a lattice.
STEPS = (0.7548776662466927, 0.5698402909980532)
K1, K2 = 0.01, 0.03  # Wang et al. 2004; scikit-image


@dataclass(frozen=True)
class Places:
    """Neighbourhoods of the places at which SSIM of one local window is taken.

    ldct, ndct : float32 [place, pixel of the neighbourhood], HU. weights : [pixel], sum 1.
    correction : factor from population to the variance that SSIM uses.
    slices : int [place], rising. n_slices : slices in all; every one has places.
    low, high : float32 [place], the extremes over both images; where both lie on one side of a
        window, clipping leaves nothing and SSIM is 1.
    """

    ldct: np.ndarray
    ndct: np.ndarray
    weights: np.ndarray
    correction: float
    slices: np.ndarray
    n_slices: int
    low: np.ndarray
    high: np.ndarray


def load_pairs(test_folders: Sequence[Path]) -> tuple[list[Pair], list[str]]:
    """Slices of test-set folders (`quarter.npy`, `full.npy`), memory-mapped, in order.

    Returns the pairs and the patient of every pair; slices of one patient stand together.
    Raises InputError where a file is missing, where the two shapes differ, where a folder holds
    inserted discs (crops, which no table scores), and where a patient stands twice.
    """
    volumes = list(load_patients(test_folders).values())
    volumes.sort(key=lambda volume: volume.info["patient"])
    pairs = [pair for each in volumes for pair in zip(each.quarter, each.full, strict=True)]
    patients = [each.info["patient"] for each in volumes for _ in each.full]
    if not pairs:
        raise InputError("calibration: the test folders hold no slices")
    return pairs, patients


def load_patients(folders: Sequence[Path]) -> dict[Path, Volume]:
    """Volumes of real slices by folder, each patient once. InputError as for `load_pairs`."""
    volumes: dict[Path, Volume] = {}
    taken: dict[str, Path] = {}
    for folder in folders:
        volume = load_volume(folder)
        patient = volume.info["patient"]
        if patient == DISCS or (folder / "discs.json").exists():
            raise InputError(
                f"calibration: {folder}: found crops with inserted discs, expected the slices of a "
                "patient; leave this folder out: name the patients' folders instead of "
                f"{folder.parent}/*"
            )
        if patient in taken:
            raise InputError(
                f"calibration: {folder}: found patient {patient}, whom {taken[patient]} holds "
                "already; expected each patient once: leave one of the two out"
            )
        volumes[folder] = volume
        taken[patient] = folder
    return volumes


def squared_errors(pairs: Sequence[Pair], cuts: Sequence[Cut]) -> np.ndarray:
    """Mean squared error in HU^2 of every slice after clipping: [cut, slice]."""
    unclipped = np.array([not cut.clip for cut in cuts])
    found = np.empty((len(cuts), len(pairs)))
    for number, (ldct, ndct) in enumerate(pairs):
        # Clipped pixels differ only where one of the two images lies inside the window.
        unequal = np.asarray(ldct) != np.asarray(ndct)
        x = np.asarray(ldct)[unequal].astype(np.float32)
        y = np.asarray(ndct)[unequal].astype(np.float32)
        found[unclipped, number] = _sum_of_squares(x - y) / unequal.size
        for row in np.flatnonzero(~unclipped):
            cut = cuts[row]
            difference = x.clip(cut.lower, cut.upper) - y.clip(cut.lower, cut.upper)
            found[row, number] = _sum_of_squares(difference) / unequal.size
    return found


def prediction_ranges(pairs: Sequence[Pair], cuts: Sequence[Cut]) -> np.ndarray:
    """Maximum minus minimum of every low-dose slice after clipping, HU: [cut, slice]."""
    low = np.array([np.min(ldct) for ldct, _ in pairs], float)
    high = np.array([np.max(ldct) for ldct, _ in pairs], float)
    return np.array(
        [
            high.clip(cut.lower, cut.upper) - low.clip(cut.lower, cut.upper)
            if cut.clip
            else high - low
            for cut in cuts
        ]
    )


def take_places(pairs: Sequence[Pair], window: SsimWindow, positions: int) -> Places:
    """Neighbourhoods at about `positions` places, the same number in every slice.

    Where a slice has no more places than its share, all are taken and SSIM is exact.
    Raises InputError where a slice is smaller than the window.
    """
    side = window.side
    share = -(-positions // len(pairs))
    columns: tuple[list, list, list] = ([], [], [])
    for number, pair in enumerate(pairs):
        rows, cols = (size - side + 1 for size in pair[0].shape)
        if min(rows, cols) < 1:
            raise InputError(
                f"calibration: slices of {pair[0].shape[0]}x{pair[0].shape[1]} pixels are smaller "
                f"than the {side}x{side} SSIM window; take larger slices or a smaller window"
            )
        chosen = _spread(rows, cols, share, number)
        for column, image in zip(columns, pair, strict=False):
            view = np.lib.stride_tricks.sliding_window_view(np.asarray(image), (side, side))
            column.append(view[chosen].reshape(-1, side * side).astype(np.float32))
        columns[2].append(np.full(len(chosen[0]), number))
    ldct, ndct, slices = (np.concatenate(column) for column in columns)
    weights = _weights(window)
    uniform = window.kind == "uniform"
    return Places(
        ldct=ldct,
        ndct=ndct,
        weights=weights,
        correction=side**2 / (side**2 - 1) if uniform else 1.0,
        slices=slices,
        n_slices=len(pairs),
        low=np.minimum(ldct.min(axis=1), ndct.min(axis=1)),
        high=np.maximum(ldct.max(axis=1), ndct.max(axis=1)),
    )


def ssim_of_cuts(
    places: Places,
    cuts: Sequence[Cut],
    variants: Sequence[SsimVariant],
    prediction_hu: np.ndarray,
) -> Iterator[np.ndarray]:
    """Mean SSIM of every slice, cut by cut: [variant, slice].

    variants : of the local window that `places` were taken for.
    prediction_hu : [cut, slice], as `prediction_ranges` gives it; a range of 0 gives NaN.
    """
    in_hu = _local_moments(places, slice(None), None)
    per_slice = np.bincount(places.slices, minlength=places.n_slices)
    for cut, extent in zip(cuts, prediction_hu, strict=True):
        if cut.clip:
            inside = (places.high > cut.lower) & (places.low < cut.upper)
            moments = _local_moments(places, inside, cut)
            slices = places.slices[inside]
        else:
            moments, slices = in_hu, places.slices
        flat = per_slice - np.bincount(slices, minlength=places.n_slices)
        found = np.empty((len(variants), places.n_slices))
        for row, variant in enumerate(variants):
            in_window = np.full(places.n_slices, _range_hu(variant, cut))
            ranges = extent if variant.data_range == "prediction" else in_window
            values = _ssim(moments, cut.lower, ranges[slices])
            sums = np.bincount(slices, weights=values, minlength=places.n_slices)
            found[row] = np.where(ranges > 0, (sums + flat) / per_slice, np.nan)
        yield found


def _ssim(moments: tuple[np.ndarray, ...], lower: float, ranges: np.ndarray) -> np.ndarray:
    mean_x, mean_y, variances, covariance = moments
    c1, c2 = (K1 * ranges) ** 2, (K2 * ranges) ** 2
    x, y = mean_x - lower, mean_y - lower
    with np.errstate(invalid="ignore", divide="ignore"):  # a range of 0: replaced by NaN
        luminance = (2 * x * y + c1) / (x * x + y * y + c1)
        return luminance * (2 * covariance + c2) / (variances + c2)


def _local_moments(
    places: Places, chosen: slice | np.ndarray, cut: Cut | None
) -> tuple[np.ndarray, ...]:
    """Means, sum of variances and covariance (HU, HU^2) of the chosen places, float64."""
    ldct, ndct = places.ldct[chosen], places.ndct[chosen]
    origin = 0.0 if cut is None else np.float32((cut.lower + cut.upper) / 2)
    root = np.sqrt(places.weights).astype(float if cut is None else np.float32)
    found = np.empty((4, len(ldct)))
    for start in range(0, len(ldct), BLOCK):
        block = np.s_[start : start + BLOCK]
        x, y = ldct[block], ndct[block]
        if cut is None:
            x, y = x.astype(float), y.astype(float)
        else:
            x, y = x.clip(cut.lower, cut.upper) - origin, y.clip(cut.lower, cut.upper) - origin
        # Sum and difference hold all second moments in two products instead of three.
        total, difference = (x + y) * root, (x - y) * root
        mean_total, mean_difference = total @ root, difference @ root
        # Before squaring: a difference of squares would lose a small variance in float32.
        total -= np.outer(mean_total, root)
        difference -= np.outer(mean_difference, root)
        squares = np.einsum("pk,pk->p", total, total)
        square_differences = np.einsum("pk,pk->p", difference, difference)
        found[0, block] = (mean_total + mean_difference) / 2 + origin
        found[1, block] = (mean_total - mean_difference) / 2 + origin
        found[2, block] = places.correction * (squares + square_differences) / 2
        found[3, block] = places.correction * (squares - square_differences) / 4
    return tuple(found)


def _range_hu(variant: SsimVariant, cut: Cut) -> float:
    return 0.0 if variant.data_range == "prediction" else variant.data_range * cut.width


def _weights(window: SsimWindow) -> np.ndarray:
    """Weights of a neighbourhood, flattened; the Gaussian is that of scipy, cut at the side."""
    if window.kind == "uniform":
        return np.full(window.side**2, 1 / window.side**2)
    offset = np.arange(window.side) - window.side // 2
    one = np.exp(-0.5 * (offset / window.extent) ** 2)
    one /= one.sum()
    return np.outer(one, one).ravel()


def _spread(rows: int, columns: int, share: int, number: int) -> tuple[np.ndarray, np.ndarray]:
    if share >= rows * columns:
        return np.divmod(np.arange(rows * columns), columns)
    # Every slice starts elsewhere in the sequence, so that slices do not share their gaps.
    index = np.arange(share) + number * share
    return tuple(
        (np.modf(0.5 + index * step)[0] * size).astype(int)
        for step, size in zip(STEPS, (rows, columns), strict=True)
    )


def _sum_of_squares(values: np.ndarray) -> float:
    return float(np.dot(values, values))
