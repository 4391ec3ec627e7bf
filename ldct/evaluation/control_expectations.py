"""Does a metric put the control predictions in the order that was written down beforehand?"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from ldct.errors import InputError
from ldct.evaluation.disc_detection import paired_interval
from ldct.evaluation.uncertainty import paired_difference
from ldct.files import read_yaml
from ldct.schema import validate

IDENTITY = "identity"
SHUFFLED = "control_shuffled"
# What makes two rows the same place: of per-slice tables, and of inserted discs.
OF_SLICES = ("patient", "slice_index", "lesion")
OF_DISCS = ("patient", "contrast_hu", "diameter_mm")

Verdict = Literal["met", "violated", "undecided", "not measured"]


@dataclass(frozen=True)
class Judgement:
    """One expectation on one metric.

    better, worse : names of the two predictions; better_mean, worse_mean : their mean values.
    margin : by which `better` must be above, in the metric's unit.
    difference, lower, upper : mean advantage of `better` with its interval, positive where the
        metric agrees; NaN where there is none.
    share : margin as a share of the span from identity to shuffled slices.
    consequence : "flag" or "note", what follows from "violated".
    """

    metric: str
    expectation: str
    better: str
    worse: str
    verdict: Verdict
    better_mean: float
    worse_mean: float
    margin: float
    share: float
    difference: float
    lower: float
    upper: float
    consequence: Literal["flag", "note"]
    why: str


def load_expectations(path: str | Path) -> dict[str, Any]:
    """Read the file of expectations (config/control_expectations.yaml).

    Raises InputError naming the key, and where an expectation asks about an unknown metric.
    """
    content = read_yaml(path)
    validate(content, "control_expectations", str(path))
    for expectation in content["expectations"]:
        unknown = set(expectation["metrics"]) - set(content["metrics"])
        if unknown:
            raise InputError(
                f"{path}: expectation {expectation['id']}: metric '{min(unknown)}' does not stand "
                "under `metrics`"
            )
    return content


def judge(
    tables: Mapping[str, pd.DataFrame],
    expectations: Mapping[str, Any],
    identity: str | None,
    options: Mapping[str, Any] | None = None,
) -> list[Judgement]:
    """Every expectation on every metric it asks about.

    tables : rows of identity and controls by table name (scores under one protocol); tables that
        the run does not have may be missing. identity : name of the low-dose method, or None.
    options : confidence of the intervals.
    """
    found = []
    for expectation in expectations["expectations"]:
        pair = [
            identity if expectation[key] == IDENTITY else expectation[key]
            for key in ("better", "worse")
        ]
        for metric in expectation["metrics"]:
            description = expectations["metrics"][metric]
            rows = goodness_rows(tables.get(description["table"]), metric, description["better"])
            judged = _judge_pair(rows, metric, expectation, pair, identity, options or {})
            found.append(judged)
    return found


def goodness_rows(table: pd.DataFrame | None, metric: str, better: str) -> pd.DataFrame:
    """Rows that have a value: keys, `value` as measured, and `goodness` (more is better).

    Rows of discs keep what `disc_detection.paired_interval` compares two methods by.
    """
    if table is None or metric not in table:
        return pd.DataFrame(columns=["method", "value", "goodness"])
    pairing = OF_DISCS if "leave_one_out" in table else OF_SLICES
    rows = table[table[metric].notna()]
    value = rows[metric].astype(float)
    distance = {"lower": value, "zero": value.abs(), "one": (value - 1).abs()}
    goodness = value if better == "higher" else -distance[better]
    keys = ("method", "seed", *pairing, "d_prime", "leave_one_out")
    kept = rows[[key for key in keys if key in rows]]
    return kept.assign(value=value, goodness=goodness).reset_index(drop=True)


def flags(judgements: Sequence[Judgement]) -> dict[str, dict[str, Any]]:
    """Metric to {"flagged", "noted", "reason", "note", "judgements"}, for tables and reports."""
    found: dict[str, dict[str, Any]] = {}
    for metric in dict.fromkeys(judgement.metric for judgement in judgements):
        own = [judgement for judgement in judgements if judgement.metric == metric]
        violated = [judgement for judgement in own if judgement.verdict == "violated"]
        texts = {
            kind: "; ".join(explain(j) for j in violated if j.consequence == kind)
            for kind in ("flag", "note")
        }
        found[metric] = {
            "flagged": bool(texts["flag"]),
            "noted": bool(texts["note"]),
            "measured": any(judgement.verdict != "not measured" for judgement in own),
            "reason": texts["flag"],
            "note": texts["note"],
            "judgements": [asdict(judgement) for judgement in own],
        }
    return found


def explain(judgement: Judgement) -> str:
    """A violated expectation in words and numbers."""
    better = f"{judgement.better} ({judgement.better_mean:.4g})"
    worse = f"{judgement.worse} ({judgement.worse_mean:.4g})"
    if judgement.consequence == "note":
        return f"prefers {worse} to {better}, which it may: a gain up to that proves nothing"
    if judgement.margin == 0:
        return f"does not put {better} above {worse}"
    reached = judgement.difference / judgement.margin * judgement.share
    return (
        f"does not put {better} clearly above {worse}: the difference is {reached:.1%} of the span "
        f"to shuffled slices, {judgement.share:.0%} was asked"
    )


def _judge_pair(
    rows: pd.DataFrame,
    metric: str,
    expectation: Mapping[str, Any],
    pair: Sequence[str | None],
    identity: str | None,
    options: Mapping[str, Any],
) -> Judgement:
    means = rows.groupby("method")[["value", "goodness"]].mean()
    better, worse = pair
    nan = float("nan")
    measured = better in means.index and worse in means.index
    margin = _margin(means, expectation.get("share", 0.0), identity) if measured else nan
    difference = (nan, nan, nan, np.empty(0))
    if measured:
        difference = _difference(rows, better, worse, options)
    return Judgement(
        metric=metric,
        expectation=expectation["id"],
        better=better or IDENTITY,
        worse=worse or IDENTITY,
        verdict=_verdict(*difference, margin, expectation.get("relation", "above")),
        better_mean=float(means["value"].get(better, nan)),
        worse_mean=float(means["value"].get(worse, nan)),
        margin=margin,
        share=expectation.get("share", 0.0),
        difference=difference[0],
        lower=difference[1],
        upper=difference[2],
        consequence=expectation.get("otherwise", "flag"),
        why=expectation["why"],
    )


def _margin(means: pd.DataFrame, share: float, identity: str | None) -> float:
    if share == 0:
        return 0.0
    span = means["goodness"].get(identity, np.nan) - means["goodness"].get(SHUFFLED, np.nan)
    return float(share * span) if np.isfinite(span) and span > 0 else 0.0


def _difference(
    rows: pd.DataFrame, better: str, worse: str, options: Mapping[str, Any]
) -> tuple[float, float, float, np.ndarray]:
    """Mean advantage of `better`, its interval, and the advantages row by row."""
    keys = [key for key in {*OF_SLICES, *OF_DISCS} if key in rows]
    ours, theirs = (rows[rows["method"] == name] for name in (better, worse))
    both = ours.merge(theirs, on=keys, suffixes=("", "_other"))
    with np.errstate(invalid="ignore"):  # infinite PSNR on both sides: no difference to speak of
        advantage = (both["goodness"] - both["goodness_other"]).to_numpy(dtype=float)
    advantage = advantage[~np.isnan(advantage)]
    nan = float("nan")
    if not len(advantage):
        return nan, nan, nan, advantage
    estimate = float(advantage.mean())
    if not np.isfinite(advantage).all():
        return estimate, nan, nan, advantage
    if "leave_one_out" in rows:
        # Both saw the same discs at the same places.
        paired = paired_interval(ours, theirs, options.get("confidence", 0.95))
        return estimate, paired.lower, paired.upper, advantage
    pair = rows[rows["method"].isin([better, worse])]
    interval = paired_difference(pair, "goodness", better, worse, **options).interval
    return estimate, float(interval.lower), float(interval.upper), advantage


def _verdict(
    estimate: float,
    lower: float,
    upper: float,
    advantage: np.ndarray,
    margin: float,
    relation: str,
) -> Verdict:
    if not len(advantage):
        return "not measured"
    if np.isnan(lower):
        # One row, or infinite values: only what all rows say counts.
        lower, upper = float(advantage.min()), float(advantage.max())
    if relation == "not_below":
        if upper < 0:
            return "violated"
        return "met" if estimate >= 0 else "undecided"
    if lower > margin:
        return "met"
    return "violated" if upper <= margin else "undecided"
