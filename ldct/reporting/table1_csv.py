"""Table I as CSV, in full precision, with all that its numbers belong to."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ldct.evaluation.statistics import Mark, MetricStatistics
from ldct.reporting.table1_entries import Entry

METRICS = ("psnr", "ssim")
RANK_ENDS = ("_lower", "_upper")
WHOLE_NUMBERS = ("n_slices", "n_patients", "n_seeds", "kept_tiles")


def csv_frame(
    entries: Sequence[Entry],
    marks: Mapping[str, Mapping[str, Mark]],
    statistics: Mapping[str, MetricStatistics],
    published: Mapping[str, Any],
    context: Mapping[str, Any],
) -> pd.DataFrame:
    """The table as a frame, one row per entry; `context` as for `render_table1`."""
    same_for_all = {
        "dataset": context["dataset"],
        "simulated": bool(context["simulated"]),
        "budget": context["budget"],
        "kept_tiles": context["kept_tiles"],
        "published_tiles": published["counts"]["training_tiles"],
        "run": context["run"],
    }
    rows = [{**_csv_row(e, marks, statistics), **same_for_all} for e in entries]
    whole = [*WHOLE_NUMBERS, *(f"{m}_rank{end}" for m in METRICS for end in ("", *RANK_ENDS))]
    return pd.DataFrame(rows).astype(dict.fromkeys(whole, "Int64"))


def _csv_row(
    entry: Entry,
    marks: Mapping[str, Mapping[str, Mark]],
    statistics: Mapping[str, MetricStatistics],
) -> dict[str, Any]:
    """One row; `<metric>_mark` is that of the table, `<metric>_rank` is among all methods."""
    score_keys = [
        f"{metric}{suffix}"
        for metric in ("psnr", "ssim", "rmse_hu")
        for suffix in ("", "_std", "_std_seeds")
    ]
    keys = [*score_keys, "n_slices", "n_patients", "n_seeds", "seeds", "protocol"]
    row = {
        "method": entry.method,
        "title": entry.title,
        "in_paper": entry.in_paper,
        "status": "not run" if entry.reason else "scored",
        "reason": entry.reason,
        **{key: entry.scores.get(key) for key in keys},
        **{f"published_{metric}": entry.published.get(metric) for metric in METRICS},
        **{f"{metric}_difference": entry.difference(metric) for metric in METRICS},
    }
    for metric in METRICS:
        interval = entry.intervals.get(metric)
        row["interval_unit"] = interval.unit if interval else None
        for end in ("lower", "upper"):
            row[f"{metric}_{end}"] = getattr(interval, end) if interval else None
        mark = marks[metric].get(entry.method)
        row[f"{metric}_mark"] = f"{mark.rank}{' tied' if mark.tied else ''}" if mark else None
        ranks = statistics[metric].ranks
        for end in ("", *RANK_ENDS):
            known = entry.method in ranks.index and not entry.reason
            row[f"{metric}_rank{end}"] = (
                ranks.loc[entry.method, end.lstrip("_") or "rank"] if known else None
            )
    return row
