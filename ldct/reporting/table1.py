"""Table I: our means beside the paper's, in four formats that carry the same caption."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ldct.errors import InputError
from ldct.evaluation.statistics import Mark, MetricStatistics, leader_marks
from ldct.evaluation.uncertainty import Interval
from ldct.files import atomic_path, write_text
from ldct.reporting.table1_csv import METRICS, csv_frame
from ldct.reporting.table1_entries import Entry, collect_entries
from ldct.reporting.table1_formats import Cell, Table, TableRow, to_latex, to_markdown
from ldct.reporting.table1_html import to_html

DECIMALS = 4  # as the paper prints; its best and second best are judged on what is printed
INTERVAL_DECIMALS = {"psnr": 2, "ssim": 3}
SPREAD_DECIMALS = {"psnr": 2, "ssim": 4}
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
    "published_protocol",
    "comparable",
    "notes",
)


def render_table1(
    summary: pd.DataFrame,
    statistics: Mapping[str, MetricStatistics],
    methods: Sequence[Mapping[str, Any]],
    published: Mapping[str, Any],
    context: Mapping[str, Any],
    output_dir: str | Path,
) -> list[Path]:
    """Write table1.csv, .md, .tex and .html into `output_dir`, each atomically.

    summary : as `ldct.evaluation.scores.summarise` returns it, indexed by method.
    statistics : by metric ("psnr", "ssim"), of the same scores
        (`ldct.evaluation.statistics.metric_statistics`).
    methods : ordered {"id", "title", "in_paper", "missing" (optional: why there is no value)}.
    published : content of config/published.yaml.
    context : run, dataset (title), simulated (bool: quarter dose simulated by this suite),
        attribution, budget, protocol, test_slices (texts), seeds (list), kept_tiles (int, or None
        where tiles were not counted), published_protocol (bool: the table gives differences from
        the published values), comparable (bool: whether best and second best mean anything), notes
        (further sentences of the caption).
    Paper rows come first in the paper's order, whether run or not; other methods follow, set
    apart. Returns the four paths. Raises InputError for a missing context key, for a summary
    without rows, and where `in_paper` contradicts `published`.
    """
    missing = [key for key in CONTEXT_KEYS if key not in context]
    if missing:
        raise InputError(f"Table I context: key {', '.join(missing)} not found")
    if summary.empty:
        raise InputError("Table I: no method has scores; run at least one method first")
    entries = collect_entries(summary, statistics, methods, published)
    marks = {
        metric: _marks(entries, metric, statistics[metric]) if context["comparable"] else {}
        for metric in METRICS
    }
    table = _table(entries, marks, statistics, summary, published, context)
    output_dir = Path(output_dir)
    csv_path = output_dir / "table1.csv"
    with atomic_path(csv_path) as temporary:
        csv_frame(entries, marks, statistics, published, context).to_csv(temporary, index=False)
    texts = {".md": to_markdown, ".tex": to_latex, ".html": to_html}
    for suffix, render in texts.items():
        write_text(csv_path.with_suffix(suffix), render(table))
    return [csv_path, *(csv_path.with_suffix(suffix) for suffix in texts)]


def best_and_second(values: Mapping[str, float]) -> dict[str, int]:
    """Rank 1 for the highest value and 2 for the second highest, as printed; ties share a rank."""
    printed = {name: round(float(value), DECIMALS) for name, value in values.items()}
    leaders = sorted(set(printed.values()), reverse=True)[:2]
    return {name: leaders.index(v) + 1 for name, v in printed.items() if v in leaders}


def _marks(entries: Sequence[Entry], metric: str, statistics: MetricStatistics) -> dict[str, Mark]:
    """Best and second best of our values among the paper's rows, where the data decide."""
    estimates = {e.method: e.scores[metric] for e in entries if e.in_paper and e.scores}
    return leader_marks(
        estimates,
        statistics.pairs,
        higher_is_better=statistics.higher_is_better,
        confidence=_confidence(statistics),
    )


def _confidence(statistics: MetricStatistics) -> float:
    return next(iter(statistics.intervals.values())).confidence


def _table(
    entries: Sequence[Entry],
    marks: Mapping[str, Mapping[str, Mark]],
    statistics: Mapping[str, MetricStatistics],
    summary: pd.DataFrame,
    published: Mapping[str, Any],
    context: Mapping[str, Any],
) -> Table:
    printed = {
        metric: best_and_second(
            {e.method: e.published[metric] for e in entries if metric in e.published}
        )
        for metric in METRICS
    }
    compare = context["published_protocol"]
    rows = [_table_row(entry, marks, printed, compare) for entry in entries]
    example = next(iter(statistics["psnr"].intervals.values()))
    return Table(
        title="Mean PSNR (dB) and SSIM for the test set",
        caption=_caption(summary, example, published, context),
        test="paired differences over the same slices, Holm's correction, "
        f"{1 - example.confidence:.0%} level",
        paper_rows=[row for row, entry in zip(rows, entries, strict=True) if entry.in_paper],
        other_rows=[row for row, entry in zip(rows, entries, strict=True) if not entry.in_paper],
        difference_note=_difference_note(context),
        attribution=str(context["attribution"]),
        run=str(context["run"]),
    )


def _table_row(
    entry: Entry,
    marks: Mapping[str, Mapping[str, Mark]],
    printed: Mapping[str, Mapping[str, int]],
    compare: bool,
) -> TableRow:
    ours = [_own_cell(entry, metric, marks[metric].get(entry.method)) for metric in METRICS]
    paper = [
        Cell(_number(entry.published.get(metric)), printed[metric].get(entry.method, 0))
        for metric in METRICS
    ]
    differences = [Cell(_number(entry.difference(metric), signed=True)) for metric in METRICS]
    return TableRow(entry.title, ours, paper, differences if compare else [], entry.reason)


def _own_cell(entry: Entry, metric: str, mark: Mark | None) -> Cell:
    interval = entry.intervals.get(metric)
    return Cell(
        _number(entry.scores.get(metric)),
        mark.rank if mark else 0,
        mark.tied if mark else False,
        _interval(interval, metric) if interval else "",
        _spread(entry.scores.get(f"{metric}_std_seeds"), metric),
    )


def _interval(interval: Interval, metric: str) -> str:
    if np.isnan(interval.lower):
        return ""
    digits = INTERVAL_DECIMALS[metric]
    return f"{_number(interval.lower, digits)}, {_number(interval.upper, digits)}"


def _number(value: float | None, digits: int = DECIMALS, signed: bool = False) -> str:
    if value is None or np.isnan(value):
        return "–"
    printed = round(float(value), digits)
    sign = "−" if printed < 0 else "+" if signed and printed > 0 else ""
    return sign + ("∞" if np.isinf(value) else f"{abs(printed):.{digits}f}")


def _spread(value: float | None, metric: str) -> str:
    return "" if value is None or np.isnan(value) else f"{value:.{SPREAD_DECIMALS[metric]}f}"


def _caption(
    summary: pd.DataFrame,
    interval: Interval,
    published: Mapping[str, Any],
    context: Mapping[str, Any],
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
        *_uncertainty_caption(interval, context["seeds"]),
        f"Published: {published['source']}, {published['place']}.",
        *context["notes"],
    ]


def _uncertainty_caption(interval: Interval, seeds: Sequence[int]) -> list[str]:
    drawn = "patients and of " if interval.unit == "patients" else ""
    sentences = [
        f"Brackets: {interval.confidence:.0%} confidence interval over {interval.scope} "
        f"(bootstrap of {drawn}blocks of neighbouring slices)."
    ]
    if len(seeds) == 1:
        sentences.append(f"Seed: {seeds[0]}; nothing is said of other trainings.")
    else:
        sentences.append(
            f"Seeds: {', '.join(map(str, seeds))}; values are means over seeds, intervals include "
            "their spread, ± is their standard deviation."
        )
    return sentences


def _difference_note(context: Mapping[str, Any]) -> str:
    if not context["published_protocol"]:
        return (
            "The published values belong to the paper's own protocol, not to the one of this "
            "table: they are no standard for it, and no differences are given."
        )
    if not context["simulated"]:
        return "Difference is this run minus published."
    return (
        "Difference is this run minus published, and the two are of different data (simulated "
        "quarter dose here, AAPM in the paper): it is not a replication of the AAPM number."
    )


def _plural(count: int, noun: str) -> str:
    return noun if count == 1 else f"{noun}s"
