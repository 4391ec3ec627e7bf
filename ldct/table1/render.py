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
from ldct.rendering.page import Cell, PlainTable, to_html, to_latex, to_markdown
from ldct.statistics.adversary import ADVERSARY_AT_WORK
from ldct.statistics.uncertainty import PairedDifference
from ldct.table1.frame import DECIMALS, METRICS, table_frame
from ldct.table1.statistics import MetricStatistics

TITLE = "Mean PSNR (dB) and SSIM for the test set"
OTHER_ROWS = "Not in the paper's table"
IDLE = "†"
BY_PATIENT, MOST_PATIENTS = "PSNR gain over Low Dose (dB), patient by patient", 12
APART = "Patients reported apart: PSNR gain over Low Dose (dB)"


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
    context : of the resolved run: run, dataset, budget_text, test, seeds; kept_tiles (int, the
        mean over tile_tables, one for each fold);
        protocol in words; published_protocol (bool: the published values stand beside ours); slices
        (`notes_of_slices`); gains_apart (of patients in no mean; optional); equal (sentences on
        given predictions that equal LDCT or NDCT).
    Rows of the paper come first, in its order; the run's other methods follow.
    Returns the four paths. Raises InputError for a summary without rows.
    """
    if summary.empty:
        raise InputError("Table I: no method has scores; run at least one method first")
    frame = table_frame(summary, statistics, methods, published, margins)
    confidence = next(iter(statistics["psnr"].intervals.values())).confidence
    table, reasons = printed_table(frame, context["published_protocol"])
    tables = [table, *_by_patient(BY_PATIENT, frame, statistics["psnr"].gains)]
    tables += _by_patient(APART, frame, context.get("gains_apart", {}), fewest=1)
    caption = _caption(frame, margins, confidence, context)
    about = [*context.get("slices", []), *context.get("equal", []), *_about(published, context)]
    about += notes_of_marks(frame, reasons)
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
        "md": to_markdown("Table I", caption, tables, about),
        "tex": to_latex(caption, [table], about, "psnr-ssim"),
        "html": to_html("Table I", caption, tables, about),
    }
    for suffix, text in texts.items():
        write_text(folder / f"table1.{suffix}", text)
    return [folder / f"table1.{suffix}" for suffix in texts]


def printed_table(frame: pd.DataFrame, compare: bool) -> tuple[PlainTable, list[tuple[str, str]]]:
    """The table for people, and every reason why a method was not run with its mark.

    frame : `table_frame`, or table1.csv read back. compare : with the published values.
    """
    found = dict.fromkeys(frame["reason"].dropna())
    reasons = {why: f"({ascii_lowercase[n % 26]})" for n, why in enumerate(found)}
    published = [", published", " gain, published"] if compare else []
    heads = ["Method"]
    for name in ("PSNR", "SSIM"):
        heads += [f"{name}{column}" for column in ("", " gain", *published)]
    rows: dict[str, list[list[str | Cell]]] = {"": [], OTHER_ROWS: []}
    for row in frame.to_dict("records"):
        cells: list[str | Cell] = [
            Cell(row["title"], mark=IDLE if row["adversary"] == "not at work" else "")
        ]
        for metric in METRICS:
            cells += [_own_cell(row, metric, reasons), _gain_cell(row, metric)]
            if compare:
                gain = row[f"published_{metric}_gain"]
                cells += [_cell(row, f"published_{metric}", metric), signed(gain, DECIMALS[metric])]
        rows["" if row["in_paper"] else OTHER_ROWS].append(cells)
    groups = {name: own for name, own in rows.items() if own}
    return PlainTable(TITLE, heads, groups), list(reasons.items())


def notes_of_marks(frame: pd.DataFrame, reasons: Sequence[tuple[str, str]]) -> list[str]:
    """What the signs beside methods mean, a line each. reasons : of `printed_table`."""
    lines = [f"{mark} not run: {why}." for why, mark in reasons]
    idle = frame[frame["adversary"] == "not at work"].to_dict("records")
    if idle:
        named = ", ".join(f"{row['title']} {row['critic_auc']:.2f}" for row in idle)
        lines.append(
            f"{IDLE} adversary not at work (AUC of its critic, NDCT against generated tiles, below "
            f"{ADVERSARY_AT_WORK}; 0.5 is chance): {named}."
        )
    return lines


def _by_patient(
    title: str, frame: pd.DataFrame, gains: Mapping[str, PairedDifference], fewest: int = 2
) -> list[PlainTable]:
    """Gain over the low dose of each patient, where there are several and few enough to print."""
    means = {name: gain.units.mean(axis=1) for name, gain in gains.items()}
    patients = list(next(iter(means.values())).index) if means else []
    if not fewest <= len(patients) <= MOST_PATIENTS:
        return []
    rows: list[list[str | Cell]] = [
        [frame["title"][name], *(signed(own[patient], DECIMALS["psnr"]) for patient in patients)]
        for name, own in means.items()
        if name in frame.index
    ]
    return [PlainTable(title, ["Method", *map(str, patients)], {"": rows})]


def _own_cell(row: Mapping[str, Any], metric: str, reasons: Mapping[str, str]) -> Cell:
    """Mean; below it the spread over patients, or slices of one, and that over trainings."""
    if row["reason"] in reasons:
        return Cell("not run", mark=reasons[row["reason"]])
    spread, seeds = (row[f"{metric}_{key}"] for key in ("spread", "std_seeds"))
    below = [] if pd.isna(spread) else [f"± {number(spread, DECIMALS[metric])}"]
    below += [] if pd.isna(seeds) else [f"(trainings ± {number(seeds, DECIMALS[metric])})"]
    return _cell(row, metric, metric, " ".join(below))


def _gain_cell(row: Mapping[str, Any], metric: str) -> Cell:
    digits, column = DECIMALS[metric], f"{metric}_gain"
    interval = bounds(row[f"{column}_lower"], row[f"{column}_upper"], digits)
    return Cell(signed(row[column], digits), interval)


def _cell(row: Mapping[str, Any], column: str, metric: str, below: str = "") -> Cell:
    mark = row[f"{column}_mark"]
    text = number(row[column], DECIMALS[metric])
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
    spread = f"±: SD over patients; brackets: {confidence:.0%} interval over patients"
    if frame["psnr_lower"].isna().all():
        spread = "±: SD over slices; no interval"
    return [
        f"{context['dataset']['title']}; quarter dose {dose}; {counted(slices, 'slice')} of "
        f"{counted(patients, 'patient')} ({spread}); budget: {context['budget_text']}.",
        "Gain: over Low Dose of the same data. Bold: the best; ~: within "
        f"{margins['psnr']:g} dB or {margins['ssim']:g} (SSIM) of it.",
    ]


def _about(published: Mapping[str, Any], context: Mapping[str, Any]) -> list[str]:
    """Further lines that are true of the whole table."""
    counts, seeds = published["counts"], ", ".join(map(str, context["seeds"]))
    trainings = f"Seed: {seeds}; nothing is said of other trainings."
    if len(context["seeds"]) > 1:
        trainings = f"Seeds: {seeds}; values are means over them."
    test = context["test"]
    chosen = "all slices"
    if test != "all" and test["every"] > 1:
        chosen = f"one slice in {test['every']}"
    folds = " in a fold, on average" if context.get("tile_tables", 1) > 1 else ""
    theirs = [f"Published: {published['source']}, {published['place']}; of other data and dose."]
    return [
        f"Test slices: {chosen}; the paper: {counts['test_slices']:,} slices.",
        f"Training tiles kept{folds}: {context['kept_tiles']:,}; the paper: "
        f"{counts['training_tiles']:,}.",
        f"Protocol: {context['protocol']}.",
        f"{trainings} Rates differ between rows, and under short budgets critics are not their "
        "authors': the cards say how.",
        *(theirs if context["published_protocol"] else [OUTSIDE_WINDOW]),
    ]
