"""Tables of the controls: the values of each metric, and whether it orders them as expected."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ldct.evaluation.control_expectations import (
    IDENTITY,
    Judgement,
    explain,
    flags,
    goodness_rows,
)
from ldct.evaluation.formulas import formula_of
from ldct.files import write_json, write_text
from ldct.reporting.plain_table import PlainTable, to_html, to_markdown

BETTER = {"higher": "↑", "lower": "↓", "zero": "→ 0", "one": "→ 1"}
SIGNS = {"met": "yes", "violated": "NO", "undecided": "open", "not measured": "–"}
FLAG = "⚑"


def render_controls(
    tables: Mapping[str, pd.DataFrame],
    judgements: Sequence[Judgement],
    expectations: Mapping[str, Any],
    titles: Mapping[str, str],
    context: Mapping[str, str],
    output: Path,
) -> list[Path]:
    """Write controls.json, .csv, .md and .html into the folder `output`; returns the files.

    tables : as for `judge`. titles : prediction to title; identity first, if the run has it.
    context : `note` (data and budget), `protocol`, `credit` in words; `identity`, its name or None.
    """
    found = flags(judgements)
    names = {IDENTITY: titles.get(context["identity"], IDENTITY), **titles}
    values = _means(tables, expectations["metrics"], list(titles))
    measured = [
        metric for metric in expectations["metrics"] if found.get(metric, {}).get("measured")
    ]
    page = (
        "Controls: which metric ranks them as expected",
        [
            f"{context['note']}.",
            "Predictions whose order is known beforehand (config/control_expectations.yaml). "
            f"Full-image metrics under {context['protocol']}. Where the test set has one or two "
            "patients, verdicts hold for their slices and say nothing of other patients.",
        ],
        [
            _table_of_values(values, measured, expectations["metrics"], found, titles),
            _table_of_verdicts(judgements, measured, expectations, found, names),
        ],
        _notes(found, expectations, names, context),
    )
    files = [output / f"controls.{suffix}" for suffix in ("json", "csv", "md", "html")]
    content = {
        "metrics": _named(found, titles),
        "note": context["note"],
        "protocol": context["protocol"],
    }
    write_json(files[0], _without_nan(content))
    write_text(files[1], _csv(judgements, values))
    write_text(files[2], to_markdown(*page))
    write_text(files[3], to_html(*page))
    return files


def _means(
    tables: Mapping[str, pd.DataFrame], metrics: Mapping[str, Any], names: Sequence[str]
) -> pd.DataFrame:
    columns = {}
    for metric, description in metrics.items():
        rows = goodness_rows(tables.get(description["table"]), metric, description["better"])
        columns[metric] = rows.groupby("method")["value"].mean()
    return pd.DataFrame(columns).reindex(list(names))


def _table_of_values(
    values: pd.DataFrame,
    measured: Sequence[str],
    metrics: Mapping[str, Any],
    found: Mapping[str, Any],
    titles: Mapping[str, str],
) -> PlainTable:
    rows = []
    for metric in measured:
        formula = formula_of(metric, metrics[metric]["table"])
        head = f"{formula.title} {BETTER[metrics[metric]['better']]}"
        cells = [_number(values.loc[name, metric], formula.digits) for name in titles]
        rows.append(
            [f"{head} {FLAG}" if found[metric]["flagged"] else head, formula.unit or "–", *cells]
        )
    return PlainTable("Mean values", ["Metric", "unit", *titles.values()], rows)


def _table_of_verdicts(
    judgements: Sequence[Judgement],
    measured: Sequence[str],
    expectations: Mapping[str, Any],
    found: Mapping[str, Any],
    titles: Mapping[str, str],
) -> PlainTable:
    """One column for each pair of predictions, whichever expectation of it a metric must meet."""
    words = {each["id"]: _in_words(each, titles) for each in expectations["expectations"]}
    signs = {(each.metric, words[each.expectation]): _sign(each) for each in judgements}
    heads = list(dict.fromkeys(words.values()))
    rows = []
    for metric in measured:
        name = formula_of(metric, expectations["metrics"][metric]["table"]).title
        cells = [signs.get((metric, head), "") for head in heads]
        rows.append([f"{name} {FLAG}" if found[metric]["flagged"] else name, *cells])
    return PlainTable("Expected order kept?", ["Metric", *heads], rows)


def _sign(judgement: Judgement) -> str:
    sign = SIGNS[judgement.verdict]
    is_note = judgement.verdict == "violated" and judgement.consequence == "note"
    return f"{sign} (noted)" if is_note else sign


def _in_words(expectation: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    better, worse = (titles.get(expectation[key], expectation[key]) for key in ("better", "worse"))
    sign = "≥" if expectation.get("relation") == "not_below" else ">"
    return f"{better} {sign} {worse}"


def _notes(
    found: Mapping[str, Any],
    expectations: Mapping[str, Any],
    titles: Mapping[str, str],
    context: Mapping[str, str],
) -> list[str]:
    lines = []
    names = {
        metric: formula_of(metric, about["table"]).title
        for metric, about in expectations["metrics"].items()
    }
    for kind, sign in (("reason", f"{FLAG} "), ("note", "Note: ")):
        for metric, entry in found.items():
            if entry[kind]:
                lines.append(f"{sign}{names[metric]} {_titled(entry[kind], titles)}.")
    if not any(entry["flagged"] for entry in found.values()):
        lines.append("No metric breaks an expectation that it must meet.")
    lines.append(
        "yes: resolved by the interval of the paired difference; NO: resolved against, or too "
        "small; open: not resolved on these slices; empty: not asked of this metric."
    )
    if found.get("d_prime", {}).get("measured"):
        lines.append(
            "d' is of discs inserted into the full dose, whose low dose this suite simulated, "
            "whatever the data; pairs are compared at the same places."
        )
    missing = [names[metric] for metric, entry in found.items() if not entry["measured"]]
    if missing:
        lines.append(f"Not measured in this run: {', '.join(missing)}.")
    lines += [f"{_in_words(each, titles)}: {each['why']}" for each in expectations["expectations"]]
    return [*lines, *filter(None, [context["credit"]])]


def _titled(text: str, titles: Mapping[str, str]) -> str:
    # Longest names first: control_blur stands at the start of control_blur_noise.
    for name in sorted(titles, key=len, reverse=True):
        text = text.replace(name, f"“{titles[name]}”")
    return text


def _named(found: Mapping[str, Any], titles: Mapping[str, str]) -> dict[str, Any]:
    return {
        metric: {**entry, **{key: _titled(entry[key], titles) for key in ("reason", "note")}}
        for metric, entry in found.items()
    }


def _csv(judgements: Sequence[Judgement], values: pd.DataFrame) -> str:
    rows = [
        {
            "metric": each.metric,
            "expectation": each.expectation,
            "better": each.better,
            "worse": each.worse,
            "verdict": each.verdict,
            "consequence": each.consequence,
            "better_mean": each.better_mean,
            "worse_mean": each.worse_mean,
            "margin": each.margin,
            "difference": each.difference,
            "lower": each.lower,
            "upper": each.upper,
            "text": explain(each) if each.verdict == "violated" else "",
        }
        for each in judgements
    ]
    means = values.reset_index(names="better").melt(
        "better", var_name="metric", value_name="better_mean"
    )
    means.insert(1, "expectation", "mean")
    return pd.concat([pd.DataFrame(rows), means], ignore_index=True).to_csv(index=False)


def _number(value: float, digits: int) -> str:
    if pd.isna(value):
        return "–"
    return "∞" if value == float("inf") else f"{value:.{digits}f}".replace("-", "−")


def _without_nan(content: Any) -> Any:
    """JSON has no NaN and no infinity: null, and "inf"."""
    if isinstance(content, dict):
        return {key: _without_nan(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_without_nan(value) for value in content]
    if isinstance(content, float) and not -float("inf") < content < float("inf"):
        return None if content != content else str(content)
    return content
