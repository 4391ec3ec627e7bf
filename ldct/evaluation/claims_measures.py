"""Parts of a claim: from a line of config/claims.yaml to comparisons with intervals."""

from collections.abc import Callable, Mapping
from math import exp
from typing import Any

import numpy as np
import pandas as pd

from ldct.evaluation.claims_kinds import compare_cost, compare_detectability, compare_micro
from ldct.evaluation.claims_types import Comparison, Source, finite, signed_margin, two_sided_p
from ldct.evaluation.run_files import IMAGES
from ldct.evaluation.run_tables import NotMeasuredError, read_values
from ldct.evaluation.uncertainty import (
    MEAN,
    POOLED_PSNR,
    POOLED_RMSE,
    Averaging,
    Interval,
    mean_interval,
    paired_difference,
)
from ldct.files import read_json

TRANSFORMS: dict[str, Callable[[pd.Series], pd.Series]] = {
    "none": lambda values: values,
    "log": np.log,
    "distance_to_one": lambda values: (values - 1).abs(),
}


def compare(part: Mapping[str, Any], reference: str | None, source: Source) -> Comparison:
    """One part of a claim against one reference.

    Raises NotMeasuredError where a value is missing.
    """
    for name in filter(None, (part.get("method"), reference)):
        if name in source.settings.get("broken", {}):
            raise NotMeasuredError(f"{name} is left out of this run: its folder has a fault")
        if name not in (*source.settings["method_seeds"], *IMAGES):
            raise NotMeasuredError(f"{name} is no method of this run")
    return KINDS[part["kind"]](part, reference, source)


def _difference(part: Mapping[str, Any], reference: str | None, source: Source) -> Comparison:
    """Paired difference of a per-slice value, or ratio of geometric means (transform log)."""
    metric, method = part["metric"], part["method"]
    frame = pd.concat(
        [_values(part, name, source) for name in (method, reference)], ignore_index=True
    )
    shift = signed_margin(part)
    # Shifting the reference by the margin makes the p value one against the margin.
    moved = frame.assign(
        **{metric: frame[metric] + np.where(frame["method"] == reference, shift, 0.0)}
    )
    found = paired_difference(
        moved, metric, method, reference, averaging=_averaging(part, source), **source.options
    )
    interval = found.interval
    numbers = [bound + shift for bound in (interval.estimate, interval.lower, interval.upper)]
    ratio = part.get("transform") == "log"
    if ratio:
        numbers = [exp(number) for number in numbers]
    distance = part.get("transform") == "distance_to_one"
    return Comparison(
        f"{metric} (distance from 1)" if distance else metric,
        method,
        reference,
        "ratio" if ratio else "difference",
        part["better"],
        exp(shift) if ratio else shift,
        *finite(numbers, part),
        found.p_value,
        **_counts(interval, source.trainings(method, reference)),
        published=_published(part, reference, source),
    )


def _level(part: Mapping[str, Any], reference: str | None, source: Source) -> Comparison:
    """Mean of a per-slice value against a given level, or a null level that the run measured."""
    metric, method = part["metric"], part["method"]
    level = part["level"] if "level" in part else _null_level(part, source)
    bound = level + signed_margin(part)
    interval = mean_interval(
        _values(part, method, source), metric, averaging=_averaging(part, source), **source.options
    )
    return Comparison(
        metric,
        method,
        None,
        "level",
        part["better"],
        bound,
        *finite([interval.estimate, interval.lower, interval.upper], part),
        two_sided_p(interval.estimate - bound, interval.std_error, interval.df),
        **_counts(interval, source.trainings(method)),
    )


KINDS = {
    "difference": _difference,
    "level": _level,
    "detectability": compare_detectability,
    "cost": compare_cost,
    "micro": compare_micro,
}


def _values(part: Mapping[str, Any], method: str, source: Source) -> pd.DataFrame:
    metric = part["metric"]
    frame = read_values(
        source.run, source.settings, part["table"], metric, method, source.protocol.name
    )
    transformed = TRANSFORMS[part.get("transform", "none")](frame[metric])
    return frame.assign(**{metric: transformed, "method": method})


def _averaging(part: Mapping[str, Any], source: Source) -> Averaging:
    if part["table"] != "scores" or source.protocol.averaging == "mean_of_slices":
        return MEAN
    return {"psnr": POOLED_PSNR, "rmse_hu": POOLED_RMSE}.get(part["metric"], MEAN)


def _counts(interval: Interval, trainings: int) -> dict[str, Any]:
    return {
        "basis": "patients",
        "n_patients": interval.n_patients,
        "n_slices": interval.n_slices,
        "n_seeds": trainings,
    }


def _published(part: Mapping[str, Any], reference: str | None, source: Source) -> float | None:
    """The same difference in the paper's own table."""
    rows, metric = source.published, part["metric"]
    if part["table"] != "scores" or metric not in rows.get(part["method"], {}):
        return None
    if reference not in rows or part.get("transform", "none") != "none":
        return None
    return round(rows[part["method"]][metric] - rows[reference][metric], 6)


def _null_level(part: Mapping[str, Any], source: Source) -> float:
    path = source.run / "tables/texture.json"
    if not path.is_file():
        raise NotMeasuredError(f"{path.relative_to(source.run)} was not made: no null level")
    level = read_json(path).get("null_levels", {}).get(part["metric"])
    if level is None or not np.isfinite(level):
        raise NotMeasuredError(
            f"{path.relative_to(source.run)} has no null level of {part['metric']}"
        )
    return float(level)
