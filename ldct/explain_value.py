"""The value of one cell of a run's tables, as the table shows it."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pandas as pd

from ldct.evaluation.image_quality import BLIND, without_blind_values
from ldct.evaluation.protocol import Protocol
from ldct.evaluation.run_tables import BOUNDS_OF_DISCS, is_switched_off
from ldct.evaluation.uncertainty import MEAN, POOLED_PSNR, POOLED_RMSE, mean_interval
from ldct.reporting.detectability_table import detectability_summary

POOLED = {"psnr": POOLED_PSNR, "rmse_hu": POOLED_RMSE}


def averaging_of(table: str, column: str, protocol: Protocol | None) -> str:
    """How values of rows become the cell, in words."""
    if table == "cost":
        return "read from the records and benchmark files of the method's own jobs"
    if table == "detectability":
        return "each disc by itself; mean over seeds"
    if _is_pooled(table, column, protocol):
        return "of the squared error averaged over all slices, then mean over seeds"
    slices = "lesion slices" if table == "lesion_bench" else "slices"
    return f"mean over {slices}, then over seeds"


def value_of(
    rows: pd.DataFrame,
    table: str,
    method: str,
    column: str,
    protocol: Protocol | None,
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """Mean with its interval, as the tables print it; of discs the conditions one by one.

    rows : as `explain_cell.rows_of` gives them, of one protocol. `estimate` is None, with `why`,
    where the tables show none.
    """
    statistics = settings.get("statistics", {})
    if table == "detectability":
        return _value_of_discs(rows, method, column, statistics.get("confidence", 0.95))
    if table == "cost":
        return _value_of_cost(float(rows[column].iloc[0]))
    if table == "image_quality":
        if _is_blind(rows, column):
            lower, upper = settings["scaling"]["window"]
            why = (
                f"blind: networks see images clipped to [{lower:g}, {upper:g}] HU, their output "
                "means nothing in a tissue that reaches beyond it"
            )
            return {"estimate": None, "blind": True, "why": why}
        rows = without_blind_values(rows)
    left_out = int(rows[column].isna().sum())
    if left_out == len(rows):
        off = is_switched_off(column, settings)
        why = "switched off in the configuration" if off else "undefined in every row"
        return {"estimate": None, "why": why}
    averaging = POOLED[column] if _is_pooled(table, column, protocol) else MEAN
    options = {key: statistics[key] for key in ("confidence",) if key in statistics}
    interval = mean_interval(rows, column, averaging=averaging, **options)
    remark = "Table I shows no value: it leaves no slice out" if table == "scores" else ""
    return {
        **asdict(interval),
        "note": interval.note,
        "rows_left_out": left_out,
        "remark": remark if left_out else "",
    }


def _is_pooled(table: str, column: str, protocol: Protocol | None) -> bool:
    return (
        table == "scores"
        and column in POOLED
        and protocol is not None
        and protocol.averaging == "pooled"
    )


def _is_blind(rows: pd.DataFrame, column: str) -> bool:
    tissues = {tissue for names in rows[BLIND] for tissue in names.split()}
    return any(column.startswith(f"{tissue}_") for tissue in tissues)


def _value_of_discs(
    rows: pd.DataFrame, method: str, column: str, confidence: float
) -> dict[str, Any]:
    """Every disc as in the table, then, of several seeds, each seed by itself.

    rows : of the method and of LDCT.
    """
    columns = dict(
        zip(("value", "lower", "upper"), (column, *BOUNDS_OF_DISCS[column]), strict=True)
    )
    cells = detectability_summary(rows, {method: method}, confidence)
    own = rows[rows["method"] == method]
    seeds = list(own["seed"].unique())
    cells = cells.assign(seed=seeds[0] if len(seeds) == 1 else "mean")
    keys = ["seed", "contrast_hu", "diameter_mm"]
    conditions = [
        row
        for frame in ([cells, own] if len(seeds) > 1 else [cells])
        for row in frame[keys]
        .assign(**{key: frame[name] for key, name in columns.items()})
        .to_dict("records")
    ]
    return {
        "conditions": conditions,
        "confidence": confidence,
        "n_places": int(own["n_signals"].max()) if len(own) else 0,
    }


def _value_of_cost(value: float) -> dict[str, Any]:
    """One number, without an interval."""
    if pd.isna(value):
        return {"estimate": None, "why": "not recorded, or it does not apply to the method"}
    return {"estimate": value}
