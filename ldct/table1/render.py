"""Table I: our means beside the paper's, as CSV, Markdown, LaTeX and HTML."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import pandas as pd

from ldct.common.errors import InputError
from ldct.common.files import write_text
from ldct.common.scaling import OUTSIDE_WINDOW
from ldct.rendering.numbers import bounds, counted, number, signed
from ldct.rendering.page import Cell, PlainTable, latex_table, to_html, to_markdown
from ldct.statistics.adversary import ADVERSARY_AT_WORK
from ldct.table1.frame import DECIMALS, METRICS, table_frame
from ldct.table1.statistics import MetricStatistics

INTERVAL_DECIMALS = {"psnr": 2, "ssim": 3}
SPREAD_DECIMALS = {"psnr": 2, "ssim": 4}
TITLE = "Mean PSNR (dB) and SSIM for the test set"
OTHER_ROWS = "Not in the paper's table"
IDLE = "†"


def render_table1(
    summary: pd.DataFrame,
    statistics: Mapping[str, MetricStatistics],
    methods: Sequence[Mapping[str, Any]],
    published: Mapping[str, Any],
    margins: Mapping[str, float],
    context: Mapping[str, Any],
    folder: Path,
) -> list[Path]:
    """Write table1.csv, .md, .tex and .html into `folder`, each atomically.

    summary : as `summarise` returns it, indexed by method. statistics : by metric ("psnr",
        "ssim"), of the same scores.
    methods : ordered {"id", "title", "missing" (optional: why there is no value), "critic_auc"
        (optional: of its adversary)}.
    published : content of config/published.yaml. margins : by metric (config/margins.yaml).
    context : of the resolved run: run, dataset, budget_text, test, seeds; kept_tiles (int);
        protocol in words; published_protocol (bool: the table gives differences from the published
        values); slices (`notes_of_slices`).
    Paper rows come first in the paper's order, whether run or not; other methods follow, set
    apart. Returns the four paths. Raises InputError for a summary without rows.
    """
    if summary.empty:
        raise InputError("Table I: no method has scores; run at least one method first")
    frame = table_frame(summary, statistics, methods, published, margins)
    confidence = next(iter(statistics["psnr"].intervals.values())).confidence
    table, reasons = _table(frame, context["published_protocol"])
    caption = _caption(frame, margins, confidence, context)
    about = [*context.get("slices", []), *_about(published, context)]
    about += [*(f"{mark} not run: {why}." for why, mark in reasons)]
    idle = frame[frame["adversary"] == "not at work"].to_dict("records")
    if idle:
        named = ", ".join(f"{row['title']} {row['critic_auc']:.2f}" for row in idle)
        about.append(
            f"{IDLE} adversary not at work (AUC of its critic, NDCT against generated tiles, below "
            f"{ADVERSARY_AT_WORK}; 0.5 is chance): {named}."
        )
    dataset = context["dataset"]
    about.append(f"{dataset.get('credit', dataset['title'] + '.')} Run: {context['run']}.")
    values = frame.assign(
        dataset=dataset["title"],
        simulated=dataset["simulated"],
        budget=context["budget_text"],
        kept_tiles=context["kept_tiles"],
        run=context["run"],
        published_tiles=published["counts"]["training_tiles"],
    )
    texts = {
        "csv": values.to_csv(),
        "md": to_markdown("Table I", caption, [table], about),
        "tex": latex_table(table, f"{TITLE}. {' '.join(caption)}", about),
        "html": to_html("Table I", caption, [table], about),
    }
    for suffix, text in texts.items():
        write_text(folder / f"table1.{suffix}", text)
    return [folder / f"table1.{suffix}" for suffix in texts]


def _table(frame: pd.DataFrame, compare: bool) -> tuple[PlainTable, list[tuple[str, str]]]:
    """The printed table, and every reason why a method was not run with its mark."""
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
        title = Cell(row["title"], mark=IDLE if row["adversary"] == "not at work" else "")
        rows["" if row["in_paper"] else OTHER_ROWS].append([title, *cells])
    groups = {name: own for name, own in rows.items() if own}
    return PlainTable(TITLE, heads, groups), list(reasons.items())


def _own_cell(row: Mapping[str, Any], metric: str, reasons: Mapping[str, str]) -> Cell:
    """Mean; below it the interval over patients, else the SD over slices; and that over seeds."""
    if row["reason"] in reasons:
        return Cell("not run", mark=reasons[row["reason"]])
    interval = bounds(row[f"{metric}_lower"], row[f"{metric}_upper"], INTERVAL_DECIMALS[metric])
    if not interval and not pd.isna(row[f"{metric}_std"]):
        interval = f"SD {number(row[f'{metric}_std'], SPREAD_DECIMALS[metric])}"
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
    dose = "simulated by this suite" if context["dataset"]["simulated"] else "of the data set"
    interval = f"brackets: {confidence:.0%} interval over patients"
    if frame["psnr_lower"].isna().all():
        interval = "no interval; SD: over slices"
    return [
        f"{context['dataset']['title']}; quarter dose {dose}; {counted(slices, 'slice')} of "
        f"{counted(patients, 'patient')} ({interval}); budget: {context['budget_text']}.",
        f"Bold: the best of the paper's rows; ~: within {margins['psnr']:g} dB or "
        f"{margins['ssim']:g} (SSIM) of it.",
    ]


def _about(published: Mapping[str, Any], context: Mapping[str, Any]) -> list[str]:
    """Further lines that are true of the whole table."""
    counts, seeds = published["counts"], ", ".join(map(str, context["seeds"]))
    if len(context["seeds"]) > 1:
        trainings = f"Seeds: {seeds}; values are means over them, ± their standard deviation."
    else:
        trainings = f"Seed: {seeds}; nothing is said of other trainings."
    difference = "Difference: this run minus published"
    if not context["published_protocol"]:
        difference = "They are of the paper's protocol, not of this one: no differences are given"
    elif context["dataset"]["simulated"]:
        difference += ", of other data: no replication of the AAPM number"
    test = context["test"]
    chosen = "all slices"
    if test != "all" and test["every"] > 1:
        chosen = f"one slice in {test['every']} and every slice with an annotated lesion"
    return [
        f"Test slices: {chosen}; the paper: {counts['test_slices']:,} slices.",
        f"Training tiles kept: {context['kept_tiles']:,}; the paper: {counts['training_tiles']:,}.",
        f"Protocol: {context['protocol']}.",
        f"{trainings} Rates differ between rows, and under short budgets critics are not their "
        "authors': the cards say how.",
        f"Published: {published['source']}, {published['place']}. {difference}.",
        *([] if context["published_protocol"] else [OUTSIDE_WINDOW]),
    ]
