"""Table I in full precision: our numbers joined with the paper's."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ldct.statistics.adversary import adversary_state
from ldct.table1.statistics import MetricStatistics

METRICS = ("psnr", "ssim")
DECIMALS = 4  # as the paper prints; the best is judged on what is printed
COUNTS = ["n_slices", "n_patients", "n_seeds"]


def table_frame(
    summary: pd.DataFrame,
    statistics: Mapping[str, MetricStatistics],
    methods: Sequence[Mapping[str, Any]],
    published: Mapping[str, Any],
    margins: Mapping[str, float],
) -> pd.DataFrame:
    """One row per method, indexed by its id: the paper's rows in its order, then the others.

    summary, statistics, methods, published : as for `ldct.table1.render.render_table1`.
    margins : by metric. `<metric>_mark` is "best" or "near" (within the
    margin of the best) among the paper's rows.
    """
    printed = pd.DataFrame.from_dict(published["rows"], orient="index")
    columns = ["id", "title", "missing", "critic_auc"]
    own = pd.DataFrame(methods, columns=columns, dtype=object).set_index("id")
    names = [*printed.index, *own.index.difference(printed.index, sort=False)]
    frame = pd.DataFrame(index=pd.Index(names, name="method"))
    frame["title"] = own["title"].reindex(names).fillna(printed["title"])
    frame["in_paper"] = frame.index.isin(printed.index)
    frame["reason"] = own["missing"].reindex(names)
    frame.loc[~frame.index.isin(own.index), "reason"] = "not part of this run"
    silent = ~frame.index.isin(summary.index) & frame["reason"].isna()
    frame.loc[silent, "reason"] = "no scores in this run"
    frame["status"] = frame["reason"].isna().map({True: "scored", False: "not run"})
    scored = frame.index[frame["reason"].isna()]
    frame["critic_auc"] = own["critic_auc"].reindex(scored).astype(float)
    frame["adversary"] = frame.loc[scored, "critic_auc"].map(adversary_state)
    frame = frame.join(summary.loc[scored]).astype(dict.fromkeys(COUNTS, "Int64"))
    for metric in METRICS:
        frame[f"published_{metric}"] = printed[metric].reindex(names)
        frame[f"{metric}_difference"] = frame[metric] - frame[f"published_{metric}"]
        for end in ("lower", "upper"):
            bounds = {name: getattr(statistics[metric].intervals[name], end) for name in scored}
            frame[f"{metric}_{end}"] = pd.Series(bounds, dtype=float)
        frame[f"{metric}_mark"] = _marks(frame, metric, margins)
        frame[f"published_{metric}_mark"] = _marks(frame, f"published_{metric}", margins)
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


def _marks(frame: pd.DataFrame, column: str, margins: Mapping[str, float]) -> pd.Series:
    values = frame.loc[frame["in_paper"], column].dropna().round(DECIMALS)
    margin = margins[column.removeprefix("published_")]
    marks = best_and_near(values, margin) if np.isfinite(values).sum() > 1 else {}
    return pd.Series(marks, dtype=object).reindex(frame.index)
