"""Which evaluation protocol gives a published Low Dose row: a list of settings, each scored."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from ldct.common.errors import InputError
from ldct.common.progress import track
from ldct.common.run_files import PATIENT as DISCS
from ldct.common.schema import read_valid
from ldct.data.volumes import load_volume
from ldct.metrics.pixelwise import psnr, rmse_hu, ssim
from ldct.metrics.protocol import Protocol, SsimWindow, ssim_window
from ldct.metrics.scores import METRICS, mean_over_slices

# Differences that count as 1; the distance of a setting is the sum over both measures.
SCALES = {"psnr": 0.1, "ssim": 0.001}
# LDCT and NDCT of one slice, HU, [row, column].
Pair = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Grid:
    """What is tried.

    protocols : every setting, the usual ones first. used_by : window (HU) to who uses it.
    most_slices : slices scored, at most.
    """

    protocols: tuple[Protocol, ...]
    used_by: dict[tuple[float, float], str]
    most_slices: int


def load_grid(path: str | Path) -> Grid:
    """Read one file of config/calibration. InputError names the file, the key, what is allowed."""
    where = f"calibration grid {path}"
    content = read_valid(path, "calibration", "calibration grid")
    used_by = {tuple(map(float, each["window"])): each["used_by"] for each in content["windows"]}
    for lower, upper in used_by:
        if not lower < upper:
            found = f"{where}: windows: found [{lower:g}, {upper:g}]"
            raise InputError(f"{found}, expected the lower bound below the upper one")
    variants = [(ssim_window(each, where), each["data_range"]) for each in content["ssim"]]
    protocols = [
        Protocol("listed", window, clip, peak, kind, averaging, None if own == peak else own)
        for window, clip, peak, (kind, own), averaging in product(
            used_by, content["clip"], content["psnr_ranges"], variants, content["averaging"]
        )
    ]
    return Grid(tuple(protocols), used_by, content["slices"])


def load_pairs(folders: Sequence[Path]) -> tuple[list[Pair], list[str]]:
    """Regular slices of test-set folders, memory-mapped; the patients in the order of their names.

    Raises InputError where a folder is no volume or holds inserted discs (crops, which no table
    scores), and where a patient stands twice.
    """
    found: dict[str, tuple[Path, list[Pair]]] = {}
    for folder in folders:
        volume = load_volume(folder)
        patient = volume.info["patient"]
        if patient == DISCS:
            raise InputError(
                f"calibration: {folder}: found crops with inserted discs, expected the slices of a "
                "patient; leave this folder out: name the patients' folders instead of "
                f"{folder.parent}/*"
            )
        if patient in found:
            raise InputError(
                f"calibration: {folder}: found patient {patient}, whom {found[patient][0]} holds "
                "already; expected each patient once: leave one of the two out"
            )
        regular = volume.info.get("regular", [True] * len(volume.full))
        rows = np.flatnonzero(regular)
        found[patient] = folder, [(volume.quarter[row], volume.full[row]) for row in rows]
    pairs = [pair for patient in sorted(found) for pair in found[patient][1]]
    return pairs, sorted(found)


def evenly_spaced(pairs: Sequence[Pair], most: int) -> list[Pair]:
    """At most `most` of the slices: the first, the last, and others as evenly as they go."""
    count = min(most, len(pairs))
    return [pairs[place] for place in np.linspace(0, len(pairs) - 1, count).round().astype(int)]


def score_settings(pairs: Sequence[Pair], grid: Grid, workers: int = 1) -> pd.DataFrame:
    """Score the low dose under every setting, with the code that makes all scores.

    workers : threads; the result does not depend on their number.
    Returns one row per setting, in the order of `grid.protocols`: lower, upper (HU), used_by, clip,
    psnr_range, ssim_window, ssim_range, averaging; psnr (dB), ssim, rmse_hu (HU).
    Raises InputError where a slice is smaller than an SSIM window.
    """
    with ThreadPoolExecutor(max_workers=workers) as pool:
        scored = pool.map(partial(scores_of_slice, protocols=grid.protocols), pairs)
        scores = np.array(list(track(scored, "slices", len(pairs))))
    return pd.DataFrame(
        {
            "lower": protocol.window[0],
            "upper": protocol.window[1],
            "used_by": grid.used_by[protocol.window],
            "clip": protocol.clip,
            "psnr_range": protocol.psnr_range,
            "ssim_window": f"{protocol.ssim.kind} {protocol.ssim.extent:g}",
            "ssim_range": str(protocol.ssim_range),
            "averaging": protocol.averaging,
            **mean_over_slices(_unequal(scores[:, place]), protocol),
        }
        for place, protocol in enumerate(grid.protocols)
    )


def _unequal(scores: np.ndarray) -> pd.DataFrame:
    """Scores of the low dose without slices in which it equals the full dose."""
    frame = pd.DataFrame(scores, columns=METRICS)
    return frame[np.isfinite(frame["psnr"])]


def by_distance(settings: pd.DataFrame, published: Mapping[str, float]) -> pd.DataFrame:
    """Settings sorted by their distance to a published row: psnr (dB), ssim.

    Adds psnr_off, ssim_off (found - published); distance = |psnr_off| / 0.1 dB + |ssim_off| /
    0.001; rank, shared by settings with equal distance. The index stays. Without SSIM (constant
    prediction): last. Raises InputError where the low dose equals the full dose.
    """
    off = {name: settings[name] - published[name] for name in SCALES}
    # Rounded: settings that differ in the last bits only have one rank.
    distance = sum(off[name].abs() / scale for name, scale in SCALES.items()).round(6)
    if not np.isfinite(distance.min()):
        raise InputError(
            "calibration: no setting has a finite PSNR and SSIM; expected low-dose images that "
            "differ from the full dose and are not constant"
        )
    rank = distance.rank(method="min", na_option="bottom").astype(int)
    settings = settings.assign(
        psnr_off=off["psnr"], ssim_off=off["ssim"], distance=distance, rank=rank
    )
    return settings.sort_values("distance", kind="stable")


def scores_of_slice(pair: Pair, protocols: Sequence[Protocol]) -> list[list[float]]:
    """PSNR, SSIM and RMSE of one slice under every protocol: [protocol, metric].

    What several protocols share is computed once.
    """
    ldct, ndct = map(np.asarray, pair)
    once = {metric: cache(partial(metric, ldct, ndct)) for metric in (psnr, ssim, rmse_hu)}
    low, high = ldct.min(), ldct.max()

    def scores(protocol: Protocol) -> list[float]:
        own_range, (lower, upper) = protocol.ssim_range, protocol.window
        # A clipped prediction that fills the window has its range.
        if own_range == "prediction" and protocol.clip and low <= lower and upper <= high:
            own_range = 1.0
        plain = replace(protocol, averaging="mean_of_slices", data_range=1.0, ssim_data_range=None)
        without_ssim = replace(plain, ssim=SsimWindow("uniform", 7))
        return [
            once[psnr](replace(without_ssim, data_range=protocol.psnr_range)),
            once[ssim](replace(plain, ssim_data_range=own_range)),
            once[rmse_hu](without_ssim),
        ]

    return [scores(protocol) for protocol in protocols]
