"""Table I: our means beside the paper's, in four formats that carry the same caption."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ldct.errors import InputError
from ldct.files import atomic_path, write_text
from ldct.reporting.table1_formats import Cell, Table, TableRow, to_html, to_latex, to_markdown

METRICS = ("psnr", "ssim")
DECIMALS = 4  # as the paper prints; best and second best are judged on what is printed
SPREAD_DECIMALS = {"psnr": 2, "ssim": 3}
WHOLE_NUMBERS = ("n_slices", "n_patients", "n_seeds", "psnr_rank", "ssim_rank", "kept_tiles")
CONTEXT_KEYS = (
    "run",
    "dataset",
    "simulated",
    "attribution",
    "budget",
    "protocol",
    "test_slices",
    "seeds",
    "kept_tiles",
)


@dataclass(frozen=True)
class Entry:
    """One method's numbers, ours and published; `reason` says why ours are missing."""

    method: str
    title: str
    in_paper: bool
    scores: Mapping[str, Any] = field(default_factory=dict)
    published: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None

    def difference(self, metric: str) -> float | None:
        """Ours minus published, or None where one of them is missing."""
        if not self.scores or not self.published:
            return None
        return self.scores[metric] - self.published[metric]


def render_table1(
    summary: pd.DataFrame,
    methods: Sequence[Mapping[str, Any]],
    published: Mapping[str, Any],
    context: Mapping[str, Any],
    output_dir: str | Path,
) -> list[Path]:
    """Write table1.csv, .md, .tex and .html into `output_dir`, each atomically.

    summary : as `ldct.evaluation.scores.summarise` returns it, indexed by method.
    methods : ordered {"id", "title", "in_paper", "missing" (optional: why there is no value)}.
    published : content of config/published.yaml.
    context : run, dataset (title), simulated (bool: quarter dose simulated by this suite),
        attribution, budget, protocol, test_slices (texts), seeds (list), kept_tiles (int, or None
        where tiles were not counted).
    Paper rows come first in the paper's order, whether run or not; other methods follow, set
    apart. Returns the four paths. Raises InputError for a missing context key, for a summary
    without rows, and where `in_paper` contradicts `published`.
    """
    missing = [key for key in CONTEXT_KEYS if key not in context]
    if missing:
        raise InputError(f"Table I context: key {', '.join(missing)} not found")
    if summary.empty:
        raise InputError("Table I: no method has scores; run at least one method first")
    entries = collect_entries(summary, methods, published)
    table = _table(entries, summary, published, context)
    output_dir = Path(output_dir)
    csv_path = output_dir / "table1.csv"
    with atomic_path(csv_path) as temporary:
        _csv_frame(entries, published, context).to_csv(temporary, index=False)
    texts = {".md": to_markdown, ".tex": to_latex, ".html": to_html}
    for suffix, render in texts.items():
        write_text(csv_path.with_suffix(suffix), render(table))
    return [csv_path, *(csv_path.with_suffix(suffix) for suffix in texts)]


def collect_entries(
    summary: pd.DataFrame, methods: Sequence[Mapping[str, Any]], published: Mapping[str, Any]
) -> list[Entry]:
    """Join scores and published values: the paper's rows in its order, then the other methods."""
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
    return [_entry(name, by_id.get(name), summary, rows.get(name)) for name in [*rows, *extra]]


def best_and_second(values: Mapping[str, float]) -> dict[str, int]:
    """Rank 1 for the highest value and 2 for the second highest, as printed; ties share a rank."""
    printed = {name: round(float(value), DECIMALS) for name, value in values.items()}
    leaders = sorted(set(printed.values()), reverse=True)[:2]
    return {name: leaders.index(v) + 1 for name, v in printed.items() if v in leaders}


def _entry(
    name: str,
    method: Mapping[str, Any] | None,
    summary: pd.DataFrame,
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
        reason=reason or None,
    )


def _ranks(entries: Sequence[Entry], side: str, metric: str) -> dict[str, int]:
    """Ranks among the paper's rows of one column; side is "scores" or "published"."""
    numbers = {e.method: getattr(e, side) for e in entries if e.in_paper}
    return best_and_second({name: found[metric] for name, found in numbers.items() if found})


def _table(
    entries: Sequence[Entry],
    summary: pd.DataFrame,
    published: Mapping[str, Any],
    context: Mapping[str, Any],
) -> Table:
    columns = [(side, metric) for side in ("scores", "published") for metric in METRICS]
    ranks = {column: _ranks(entries, *column) for column in columns}
    rows = [_table_row(entry, ranks) for entry in entries]
    return Table(
        title="Mean PSNR (dB) and SSIM for the test set",
        caption=_caption(summary, published, context),
        paper_rows=[row for row, entry in zip(rows, entries, strict=True) if entry.in_paper],
        other_rows=[row for row, entry in zip(rows, entries, strict=True) if not entry.in_paper],
        difference_note=_difference_note(context),
        attribution=str(context["attribution"]),
        run=str(context["run"]),
    )


def _table_row(entry: Entry, ranks: Mapping[tuple[str, str], Mapping[str, int]]) -> TableRow:
    ours = [
        Cell(
            _number(entry.scores.get(metric)),
            ranks["scores", metric].get(entry.method, 0),
            _spread(entry.scores.get(f"{metric}_std"), metric),
        )
        for metric in METRICS
    ]
    paper = [
        Cell(_number(entry.published.get(metric)), ranks["published", metric].get(entry.method, 0))
        for metric in METRICS
    ]
    differences = [Cell(_number(entry.difference(metric), signed=True)) for metric in METRICS]
    return TableRow(entry.title, ours, paper, differences, entry.reason)


def _number(value: float | None, signed: bool = False) -> str:
    if value is None or np.isnan(value):
        return "–"
    printed = round(float(value), DECIMALS)
    sign = "−" if printed < 0 else "+" if signed and printed > 0 else ""
    return sign + ("∞" if np.isinf(value) else f"{abs(printed):.{DECIMALS}f}")


def _spread(value: float | None, metric: str) -> str:
    return "" if value is None or np.isnan(value) else f"{value:.{SPREAD_DECIMALS[metric]}f}"


def _caption(
    summary: pd.DataFrame, published: Mapping[str, Any], context: Mapping[str, Any]
) -> list[str]:
    """The sentences below the title, as plain text."""
    counts = published["counts"]
    kept = context["kept_tiles"]
    dose = (
        "is simulated by this suite from the full-dose images"
        if context["simulated"]
        else "is the data set's own, not simulated here"
    )
    slices, patients = int(summary["n_slices"].iloc[0]), int(summary["n_patients"].iloc[0])
    return [
        f"Data: {context['dataset']}. The quarter dose {dose}.",
        f"Test set: {slices:,} {_plural(slices, 'slice')} of {patients:,} "
        f"{_plural(patients, 'patient')} ({context['test_slices']}); "
        f"the paper: {counts['test_slices']:,} slices.",
        f"Budget: {context['budget']}.",
        f"Training tiles kept: {'not counted' if kept is None else format(int(kept), ',')}; "
        f"the paper: {counts['training_tiles']:,}.",
        f"Protocol: {context['protocol']}.",
        f"Seeds: {', '.join(map(str, context['seeds']))}; values are means over seeds.",
        "± is the standard deviation over test slices.",
        f"Published: {published['source']}, {published['place']}.",
    ]


def _difference_note(context: Mapping[str, Any]) -> str:
    if not context["simulated"]:
        return "Difference is this run minus published."
    return (
        "Difference is this run minus published, and the two are of different data (simulated "
        "quarter dose here, AAPM in the paper): it is not a replication of the AAPM number."
    )


def _plural(count: int, noun: str) -> str:
    return noun if count == 1 else f"{noun}s"


def _csv_frame(
    entries: Sequence[Entry], published: Mapping[str, Any], context: Mapping[str, Any]
) -> pd.DataFrame:
    ranks = {metric: _ranks(entries, "scores", metric) for metric in METRICS}
    same_for_all = {
        "dataset": context["dataset"],
        "simulated": bool(context["simulated"]),
        "budget": context["budget"],
        "kept_tiles": context["kept_tiles"],
        "published_tiles": published["counts"]["training_tiles"],
        "run": context["run"],
    }
    frame = pd.DataFrame([{**_csv_row(entry, ranks), **same_for_all} for entry in entries])
    return frame.astype(dict.fromkeys(WHOLE_NUMBERS, "Int64"))


def _csv_row(entry: Entry, ranks: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    score_keys = [
        f"{metric}{suffix}"
        for metric in ("psnr", "ssim", "rmse_hu")
        for suffix in ("", "_std", "_std_seeds")
    ]
    keys = [*score_keys, "n_slices", "n_patients", "n_seeds", "seeds", "protocol"]
    return {
        "method": entry.method,
        "title": entry.title,
        "in_paper": entry.in_paper,
        "status": "not run" if entry.reason else "scored",
        "reason": entry.reason,
        **{key: entry.scores.get(key) for key in keys},
        **{f"published_{metric}": entry.published.get(metric) for metric in METRICS},
        **{f"{metric}_difference": entry.difference(metric) for metric in METRICS},
        **{f"{metric}_rank": ranks[metric].get(entry.method) for metric in METRICS},
    }
