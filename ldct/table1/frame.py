"""Table I in full precision: our numbers joined with the paper's."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ldct.statistics.adversary import adversary_state
from ldct.table1.statistics import LOW_DOSE, MetricStatistics

METRICS = ("psnr", "ssim")
DECIMALS = {"psnr": 2, "ssim": 3}  # as printed; the best is judged on what is printed
COUNTS = ["n_slices", "n_patients", "n_seeds"]


def table_frame(
    summary: pd.DataFrame,
    statistics: Mapping[str, MetricStatistics],
    methods: Sequence[Mapping[str, Any]],
    published: Mapping[str, Any],
    margins: Mapping[str, float],
) -> pd.DataFrame:
    """One row per method of the run, indexed by its id: the paper's in its order, then the others.

    summary, statistics, methods, published : as for `ldct.table1.render.render_table1`.
    margins : by metric. `<metric>_mark` is "best" or "near" (within the margin of the best).
    `<metric>_spread` : standard deviation over patients where there are three, else over slices.
    `<metric>_gain` : over the low dose, with its bounds.
    """
    printed = pd.DataFrame.from_dict(published["rows"], orient="index")
    columns = ["id", "title", "missing", "critic_auc"]
    own = pd.DataFrame(methods, columns=columns, dtype=object).set_index("id")
    names = [*printed.index.intersection(own.index, sort=False)]
    names += [*own.index.difference(printed.index, sort=False)]
    frame = pd.DataFrame(index=pd.Index(names, name="method"))
    frame["title"] = own["title"]
    frame["in_paper"] = frame.index.isin(printed.index)
    frame["reason"] = own["missing"]
    silent = ~frame.index.isin(summary.index) & frame["reason"].isna()
    frame.loc[silent, "reason"] = "no scores in this run"
    frame["status"] = frame["reason"].isna().map({True: "scored", False: "not run"})
    scored = frame.index[frame["reason"].isna()]
    frame["critic_auc"] = own["critic_auc"].reindex(scored).astype(float)
    frame["adversary"] = frame.loc[scored, "critic_auc"].map(adversary_state)
    frame = frame.join(summary.loc[scored]).astype(dict.fromkeys(COUNTS, "Int64"))
    for metric in METRICS:
        intervals, gains = statistics[metric].intervals, statistics[metric].gains
        for key in ("lower", "upper", "spread"):
            frame[f"{metric}_{key}"] = _column(intervals, key, scored)
        over = {name: gain.interval for name, gain in gains.items()}
        for key, end in (("estimate", ""), ("lower", "_lower"), ("upper", "_upper")):
            frame[f"{metric}_gain{end}"] = _column(over, key, scored)
        known = printed[metric]
        frame[f"published_{metric}"] = known.reindex(names)
        frame[f"published_{metric}_gain"] = (known - known.get(LOW_DOSE)).drop(LOW_DOSE)
        # The paper's best is bold whether the run has that row or not.
        frame[f"published_{metric}_mark"] = _marks(known, metric, margins).reindex(names)
        frame[f"{metric}_mark"] = _marks(frame[metric], metric, margins)
    return frame


def best_and_near(values: Mapping[str, float], margin: float) -> dict[str, str]:
    """Name to "best" for the highest value and to "near" for those within `margin` of it.

    Values that are no finite number have no place; equal values share one.

    >>> best_and_near({"a": 29.0, "b": 29.3, "c": 29.15}, 0.2)
    {'b': 'best', 'c': 'near'}
    """
    known = pd.Series(values, dtype=float)
    known = known[np.isfinite(known)]
    near = known.index[known >= known.max() - margin]
    return dict.fromkeys(near, "near") | dict.fromkeys(known.index[known == known.max()], "best")


def _column(intervals: Mapping[str, Any], key: str, names: Sequence[str]) -> pd.Series:
    found = {name: getattr(intervals[name], key) for name in names if name in intervals}
    return pd.Series(found, dtype=float)


def _marks(values: pd.Series, metric: str, margins: Mapping[str, float]) -> pd.Series:
    printed = values.dropna().round(DECIMALS[metric])
    several = np.isfinite(printed).sum() > 1
    marks = best_and_near(printed, margins[metric] + 1e-9) if several else {}
    return pd.Series(marks, dtype=object).reindex(values.index)
