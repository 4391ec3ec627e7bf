"""Table I: our means beside the paper's, as CSV, Markdown, LaTeX and HTML."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import pandas as pd

from ldct.common.errors import InputError
from ldct.common.files import write_text
from ldct.rendering.numbers import bounds, number, signed
from ldct.rendering.page import (
    Cell,
    PlainTable,
    escape_markdown,
    html_line,
    html_page,
    html_table,
    markdown_table,
)
from ldct.table1.frame import DECIMALS, METRICS, table_frame
from ldct.table1.markup import latex_table
from ldct.table1.statistics import MetricStatistics

INTERVAL_DECIMALS = {"psnr": 2, "ssim": 3}
SPREAD_DECIMALS = {"psnr": 2, "ssim": 4}
TITLE = "Mean PSNR (dB) and SSIM for the test set"
OTHER_ROWS = "Not in the paper's table"
ABOUT = "About this run"


def render_table1(
    summary: pd.DataFrame,
    statistics: Mapping[str, MetricStatistics],
    methods: Sequence[Mapping[str, Any]],
    published: Mapping[str, Any],
    margins: Mapping[str, float],
    context: Mapping[str, Any],
    output_dir: str | Path,
) -> list[Path]:
    """Write table1.csv, .md, .tex and .html into `output_dir`, each atomically.

    summary : as `ldct.table1.statistics.summarise` returns it, indexed by method.
    statistics : by metric ("psnr", "ssim"), of the same scores
        (`ldct.table1.statistics.metric_statistics`).
    methods : ordered {"id", "title", "missing" (optional: why there is no value)}.
    published : content of config/published.yaml. margins : by metric (config/margins.yaml).
    context : run, dataset (title), simulated (bool: quarter dose simulated by this suite),
        attribution, budget, protocol, test_slices (texts), seeds (list), kept_tiles (int),
        published_protocol (bool: the table gives differences from the published values), note (why
        no row of ours may be marked; empty where they may).
    Paper rows come first in the paper's order, whether run or not; other methods follow, set
    apart. Returns the four paths. Raises InputError for a summary without rows.
    """
    if summary.empty:
        raise InputError("Table I: no method has scores; run at least one method first")
    frame = table_frame(
        summary, statistics, methods, published, margins, comparable=not context["note"]
    )
    confidence = next(iter(statistics["psnr"].intervals.values())).confidence
    table, reasons = _table(frame, context["published_protocol"])
    caption = _caption(frame, margins, confidence, context)
    about = [
        *_about(published, context),
        *(f"{mark} not run: {why}." for why, mark in reasons.items()),
    ]
    about.append(f"{context['attribution']} Run: {context['run']}.")
    texts = {
        "csv": _with_context(frame, published, context).to_csv(),
        "md": _markdown(table, caption, about),
        "tex": latex_table(table, f"{TITLE}. {' '.join(caption)}", about),
        "html": _html(table, caption, about, context["run"]),
    }
    paths = [Path(output_dir, f"table1.{suffix}") for suffix in texts]
    for path, text in zip(paths, texts.values(), strict=True):
        write_text(path, text)
    return paths


def _with_context(
    frame: pd.DataFrame, published: Mapping[str, Any], context: Mapping[str, Any]
) -> pd.DataFrame:
    """The frame with what is the same in all rows."""
    same = {key: context[key] for key in ("dataset", "simulated", "budget", "kept_tiles", "run")}
    return frame.assign(**same, published_tiles=published["counts"]["training_tiles"])


def _table(frame: pd.DataFrame, compare: bool) -> tuple[PlainTable, dict[str, str]]:
    """The printed table, and the mark of every reason why a method was not run."""
    found = dict.fromkeys(frame["reason"].dropna())
    reasons = {why: f"({ascii_lowercase[n % 26]})" for n, why in enumerate(found)}
    heads = ["Method", "PSNR", "SSIM", "PSNR, published", "SSIM, published"]
    heads += ["PSNR, difference", "SSIM, difference"] if compare else []
    rows: dict[str, list[list[str | Cell]]] = {"": [], OTHER_ROWS: []}
    for row in frame.to_dict("records"):
        cells = [_own_cell(row, metric, reasons) for metric in METRICS]
        cells += [_cell(row, f"published_{metric}") for metric in METRICS]
        if compare:
            cells += [signed(row[f"{metric}_difference"], DECIMALS) for metric in METRICS]
        rows["" if row["in_paper"] else OTHER_ROWS].append([row["title"], *cells])
    return PlainTable(TITLE, heads, {name: own for name, own in rows.items() if own}), reasons


def _own_cell(row: Mapping[str, Any], metric: str, reasons: Mapping[str, str]) -> Cell:
    """Mean; below it the interval over patients and the standard deviation over seeds."""
    if row["reason"] in reasons:
        return Cell("not run", mark=reasons[row["reason"]])
    interval = bounds(row[f"{metric}_lower"], row[f"{metric}_upper"], INTERVAL_DECIMALS[metric])
    spread = row[f"{metric}_std_seeds"]
    seeds = "" if pd.isna(spread) else f"± {number(spread, SPREAD_DECIMALS[metric])}"
    return _cell(row, metric, f"{interval} {seeds}".strip())


def _cell(row: Mapping[str, Any], column: str, below: str = "") -> Cell:
    mark = row[f"{column}_mark"]
    text = number(row[column], DECIMALS)
    return Cell(text, below, mark="~" if mark == "near" else "", bold=mark == "best")


def _caption(
    frame: pd.DataFrame,
    margins: Mapping[str, float],
    confidence: float,
    context: Mapping[str, Any],
) -> list[str]:
    """Two lines: what was measured, and how to read it."""
    slices, patients = (int(frame[key].max()) for key in ("n_slices", "n_patients"))
    dose = "simulated by this suite" if context["simulated"] else "of the data set"
    interval = f"brackets: {confidence:.0%} interval over patients"
    if frame["psnr_lower"].isna().all():
        interval = "no interval"
    marks = (
        f"Bold: the best of the paper's rows; ~: within {margins['psnr']:g} dB or "
        f"{margins['ssim']:g} (SSIM) of it."
    )
    return [
        f"{context['dataset']}; quarter dose {dose}; {_count(slices, 'slice')} of "
        f"{_count(patients, 'patient')} ({interval}); budget: {context['budget']}.",
        context["note"] or marks,
    ]


def _about(published: Mapping[str, Any], context: Mapping[str, Any]) -> list[str]:
    """Further lines that are true of the whole table."""
    counts, seeds = published["counts"], ", ".join(map(str, context["seeds"]))
    if len(context["seeds"]) > 1:
        trainings = f"Seeds: {seeds}; values are means over them, ± their standard deviation."
    else:
        trainings = f"Seed: {seeds}; nothing is said of other trainings."
    return [
        f"Test slices: {context['test_slices']}; the paper: {counts['test_slices']:,} slices.",
        f"Training tiles kept: {context['kept_tiles']:,}; the paper: {counts['training_tiles']:,}.",
        f"Protocol: {context['protocol']}.",
        trainings,
        f"Published: {published['source']}, {published['place']}. {_difference_note(context)}",
    ]


def _difference_note(context: Mapping[str, Any]) -> str:
    if not context["published_protocol"]:
        return "They are of the paper's protocol, not of this one: no differences are given."
    if not context["simulated"]:
        return "Difference: this run minus published."
    return "Difference: this run minus published, of other data: no replication of the AAPM number."


def _count(number_of: int, noun: str) -> str:
    return f"{number_of:,} {noun}{'' if number_of == 1 else 's'}"


def _markdown(table: PlainTable, caption: Sequence[str], about: Sequence[str]) -> str:
    blocks = [
        f"**Table I. {escape_markdown(TITLE)}.**",
        *map(escape_markdown, caption),
        markdown_table(table),
        f"**{ABOUT}**",
        "\n".join(f"- {escape_markdown(line)}" for line in about),
    ]
    return "\n\n".join(blocks) + "\n"


def _html(table: PlainTable, caption: Sequence[str], about: Sequence[str], run: str) -> str:
    body = [f"<h1>Table I. {TITLE}</h1>", *map(html_line, caption), html_table(table)]
    body += [f"<h2>{ABOUT}</h2>", *map(html_line, about)]
    return html_page(f"Table I – {run}", "\n".join(body))
