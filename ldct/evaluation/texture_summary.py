"""Texture of a run: one entry per method with intervals, null levels, and mean spectra."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from ldct.evaluation import periodic_peaks as peaks
from ldct.evaluation.texture import MEASURES
from ldct.evaluation.uncertainty import Interval, mean_interval
from ldct.inputs import read_frames

Verdict = Literal["yes", "no", "undecided", "not measured"]
# Score of periodic peaks to the array that it is read from, and where it is searched.
SCORES = {
    "periodic_peak": ("excess", peaks.searched_bins),
    "periodic_peak_pooling": ("excess", peaks.pooling_bins),
    "periodic_peak_all": ("excess_all", peaks.searched_bins),
}


@dataclass(frozen=True)
class MethodTexture:
    """One method's texture.

    kind : of its card; "reference" for NDCT and LDCT. intervals : measure to its mean over slices
    with interval; measures without a value are absent. exceeds : score of periodic peaks to whether
    it is above the null level (yes: the whole interval is; no: the mean is not). exceeds_ndct : the
    same with NDCT's own quantile as level, without the floor. peak : as `strongest_peak` gives it,
    of the mean spectrum. power, difference_power : mean over squares
    [row, column], HU² mm²; frequency (1/mm), radial, difference_radial : profiles of the two.
    """

    method: str
    title: str
    kind: str
    intervals: dict[str, Interval]
    exceeds: dict[str, Verdict]
    exceeds_ndct: dict[str, Verdict]
    peak: dict[str, float] | None
    power: np.ndarray
    difference_power: np.ndarray
    frequency: np.ndarray
    radial: np.ndarray
    difference_radial: np.ndarray

    @property
    def pattern(self) -> Verdict:
        """Whether there is a pattern: what the flatter half and all squares say alike."""
        return _alike(self.exceeds)

    @property
    def pattern_ndct(self) -> Verdict:
        """The same against NDCT's own level."""
        return _alike(self.exceeds_ndct)


@dataclass(frozen=True)
class TextureSummary:
    """All methods in order, references first. null_levels : score of periodic peaks to level."""

    methods: list[MethodTexture]
    null_levels: dict[str, peaks.NullLevel]
    side: int
    n_slices: int


def summarise_texture(
    files: Sequence[Path],
    rows: Sequence[tuple[str, str, str]],
    options: Mapping[str, Any] | None = None,
) -> TextureSummary:
    """Collect what `write_texture` wrote for every method, seed and patient of a run.

    files : `.../<method>/<seed>/<patient>.parquet`, with the .npz beside each; "ndct" among them.
    rows : (method, title, kind) in the order of the table. options : confidence of the
        intervals.
    Profiles of patients with different pixel sizes are brought to the frequencies of the first.
    """
    frame = read_frames(files)
    spectra = {path: np.load(path.with_suffix(".npz")) for path in files}
    of_method = {
        name: [spectra[path] for path in files if path.parent.parent.name == name]
        for name, _, _ in rows
    }
    side = int(of_method["ndct"][0]["side"])
    levels = {
        name: peaks.null_level(
            np.concatenate([own[array] for own in of_method["ndct"]]), bins((side, side))
        )
        for name, (array, bins) in SCORES.items()
    }
    return TextureSummary(
        methods=[
            _method(
                *row, frame[frame["method"] == row[0]], of_method[row[0]], levels, options or {}
            )
            for row in rows
        ],
        null_levels=levels,
        side=side,
        n_slices=sum(len(own["excess"]) for own in of_method["ndct"]),
    )


def _method(
    method: str,
    title: str,
    kind: str,
    frame: pd.DataFrame,
    spectra: Sequence[Any],
    levels: Mapping[str, peaks.NullLevel],
    options: Mapping[str, Any],
) -> MethodTexture:
    intervals = {
        name: mean_interval(frame, name, **options)
        for name in MEASURES
        if frame[name].notna().any()
    }
    pixel_mm = tuple(spectra[0]["pixel_mm"])
    frequency = spectra[0]["frequency"]
    power = _mean([own["power"] for own in spectra])
    side = int(spectra[0]["side"])
    measured = bool(np.isfinite(power).all())
    return MethodTexture(
        method=method,
        title=title,
        kind=kind,
        intervals=intervals,
        exceeds={name: _verdict(intervals.get(name), null.level) for name, null in levels.items()},
        exceeds_ndct={
            name: _verdict(intervals.get(name), null.ndct_quantile) for name, null in levels.items()
        },
        peak=(
            peaks.strongest_peak(power, pixel_mm, peaks.searched_bins((side, side)))
            if measured
            else None
        ),
        power=power,
        difference_power=_mean([own["difference_power"] for own in spectra]),
        frequency=frequency,
        radial=_mean([_radial_of(own, frequency) for own in spectra]),
        difference_radial=_mean(
            [np.interp(frequency, own["frequency"], own["difference_radial"]) for own in spectra]
        ),
    )


def _radial_of(own: Any, frequency: np.ndarray) -> np.ndarray:
    if not len(own["radial"]):
        return np.full(len(frequency), np.nan)
    mean = np.average(own["radial"], axis=0, weights=own["n_squares"])
    return np.interp(frequency, own["frequency"], mean)


def _mean(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Mean over patients and seeds that have values; NaN where none has."""
    finite = [array for array in arrays if np.isfinite(array).all()]
    return np.mean(finite, axis=0) if finite else np.array(arrays[0])


def _verdict(interval: Interval | None, level: float) -> Verdict:
    if interval is None or not np.isfinite(level):
        return "not measured"
    if interval.estimate <= level:
        return "no"
    return "yes" if interval.lower > level else "undecided"


def _alike(verdicts: Mapping[str, Verdict]) -> Verdict:
    found = {verdicts["periodic_peak"], verdicts["periodic_peak_all"]}
    return found.pop() if len(found) == 1 else "undecided"
