"""The rows of Table I: our numbers joined with the paper's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from ldct.errors import InputError
from ldct.evaluation.statistics import MetricStatistics
from ldct.evaluation.uncertainty import Interval


@dataclass(frozen=True)
class Entry:
    """One method's numbers, ours and published; `reason` says why ours are missing."""

    method: str
    title: str
    in_paper: bool
    scores: Mapping[str, Any] = field(default_factory=dict)
    published: Mapping[str, Any] = field(default_factory=dict)
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    reason: str | None = None

    def difference(self, metric: str) -> float | None:
        """Ours minus published, or None where one of them is missing."""
        if not self.scores or not self.published:
            return None
        return self.scores[metric] - self.published[metric]


def collect_entries(
    summary: pd.DataFrame,
    statistics: Mapping[str, MetricStatistics],
    methods: Sequence[Mapping[str, Any]],
    published: Mapping[str, Any],
) -> list[Entry]:
    """Scores, intervals and published values: the paper's rows in its order, then the others."""
    by_id = {method["id"]: method for method in methods}
    rows = published["rows"]
    for name, method in by_id.items():
        if method["in_paper"] != (name in rows):
            raise InputError(
                f"method {name}: in_paper is {method['in_paper']}, but the published table "
                f"{'has' if name in rows else 'has no'} row of that name; "
                f"its rows are {', '.join(rows)}"
            )
    extra = [name for name in by_id if name not in rows]
    return [
        _entry(name, by_id.get(name), summary, statistics, rows.get(name))
        for name in [*rows, *extra]
    ]


def _entry(
    name: str,
    method: Mapping[str, Any] | None,
    summary: pd.DataFrame,
    statistics: Mapping[str, MetricStatistics],
    published: Mapping[str, Any] | None,
) -> Entry:
    reason = "not part of this run" if method is None else method.get("missing")
    if not reason and name not in summary.index:
        reason = "no scores in this run"
    return Entry(
        method=name,
        title=method["title"] if method else published["title"],
        in_paper=published is not None,
        scores={} if reason else summary.loc[name].to_dict(),
        published=published or {},
        intervals={}
        if reason
        else {key: found.intervals[name] for key, found in statistics.items()},
        reason=reason or None,
    )
