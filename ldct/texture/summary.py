"""Texture of a run: one entry per method with intervals and mean spectra."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ldct.common.inputs import read_frames
from ldct.statistics.uncertainty import Interval, mean_interval
from ldct.texture.columns import TEXTURE
from ldct.texture.measure import MEASURES


@dataclass(frozen=True)
class MethodTexture:
    """One method's texture.

    kind : of its card; "reference" for NDCT and LDCT. intervals : measure to its mean over slices
    with interval; measures without a value are absent. power : mean over squares [row, column],
    HU² mm²; frequency (1/mm) and radial : its profile.
    """

    method: str
    title: str
    kind: str
    intervals: dict[str, Interval]
    power: np.ndarray
    frequency: np.ndarray
    radial: np.ndarray


@dataclass(frozen=True)
class TextureSummary:
    """All methods in order, references first; side of the squares, and slices that have enough."""

    methods: list[MethodTexture]
    side: int
    n_slices: int


def summarise_texture(
    files: Sequence[Path],
    rows: Sequence[Sequence[str]],
    options: Mapping[str, Any],
) -> TextureSummary:
    """Collect what `write_texture` wrote for every method, seed and patient of a run.

    files : `.../<method>/<seed>/<patient>.parquet`, with the .npz beside each; "ndct" among them.
    rows : (method, title, kind) in the order of the table. options : of `mean_interval`.
    Profiles of patients with different pixel sizes are brought to the frequencies of the first.
    """
    frame = read_frames(files)
    spectra = {
        name: [np.load(path.with_suffix(".npz")) for path in files if path.parents[1].name == name]
        for name, _, _ in rows
    }
    methods = [
        _method(*row, frame[frame["method"] == row[0]], spectra[row[0]], options) for row in rows
    ]
    n_slices = sum(len(own["row"]) for own in spectra["ndct"])
    return TextureSummary(methods, int(spectra["ndct"][0]["side"]), n_slices)


def curves_frame(summary: TextureSummary) -> pd.DataFrame:
    """The radial noise power of all images, a row for each frequency: what the figure draws.

    Columns: method, title, kind, frequency (1/mm), power (HU² mm²; NaN where nothing was measured).
    """
    rows = [
        {"method": found.method, "title": found.title, "kind": found.kind}
        | {"frequency": frequency, "power": power}
        for found in summary.methods
        for frequency, power in zip(found.frequency, found.radial, strict=True)
    ]
    return pd.DataFrame(rows)


def _method(
    method: str,
    title: str,
    kind: str,
    frame: pd.DataFrame,
    spectra: Sequence[Any],
    options: Mapping[str, Any],
) -> MethodTexture:
    intervals = {
        name: mean_interval(frame, name, limits=TEXTURE[name].limits, **options)
        for name in MEASURES
        if frame[name].notna().any()
    }
    frequency, power = spectra[0]["frequency"], spectra[0]["power"]
    radial = np.full(len(frequency), np.nan)
    measured = [own for own in spectra if len(own["row"])]
    if measured:
        power = np.mean([own["power"] for own in measured], axis=0)
        radial = np.mean([_radial_of(own, frequency) for own in measured], axis=0)
    return MethodTexture(method, title, kind, intervals, power, frequency, radial)


def _radial_of(own: Any, frequency: np.ndarray) -> np.ndarray:
    mean = np.average(own["radial"], axis=0, weights=own["n_squares"])
    return np.interp(frequency, own["frequency"], mean)
