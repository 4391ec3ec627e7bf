"""Parts of a claim on summaries of a run: detectability, cost, paired micro-benchmarks."""

from collections.abc import Mapping
from math import erfc, log, sqrt
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ldct.evaluation.claims_types import Comparison, Source, finite, signed_margin
from ldct.evaluation.disc_detection import paired_change
from ldct.evaluation.run_tables import NotMeasuredError, read_table
from ldct.files import read_json

NORMAL_95 = 1.959963984540054


def compare_detectability(
    part: Mapping[str, Any], reference: str | None, source: Source
) -> Comparison:
    """Paired difference of d' at the same places, averaged over contrasts and diameters."""
    tables = [
        _rows_of_observer(name, part["observer"], source) for name in (part["method"], reference)
    ]
    numbers = paired_change(*tables, source.confidence)
    if not np.isfinite(numbers).all():
        raise NotMeasuredError("no condition has a d' for both methods")
    estimate, lower, upper = numbers
    degrees = len(tables[0]["leave_one_out"].iloc[0]) - 1
    error = (upper - lower) / 2 / float(stats.t.ppf((1 + source.confidence) / 2, degrees))
    bound = signed_margin(part)
    distance = abs(estimate - bound) / error if error else np.inf
    return Comparison(
        f"d_prime ({part['observer']})",
        part["method"],
        reference,
        "difference",
        part["better"],
        bound,
        *finite([estimate, lower, upper], part),
        float(2 * stats.t.sf(distance, degrees)),
        "discs",
    )


def _rows_of_observer(method: str, observer: str, source: Source) -> pd.DataFrame:
    rows = read_table(source.run, source.settings, "detectability", method)
    rows = rows[rows["observer"] == observer].dropna(subset=["d_prime"])
    if rows.empty:
        raise NotMeasuredError(f"no d' of observer {observer} for {method}")
    return rows


def _normal_p(distance: float, error: float) -> float:
    return erfc(abs(distance) / error / sqrt(2)) if error else 0.0


def compare_cost(part: Mapping[str, Any], reference: str | None, source: Source) -> Comparison:
    """Ratio of two costs: counted, or timed once."""
    quantity = _clock(part["quantity"], source)
    costs = [_cost_of(name, quantity, source) for name in (part["method"], reference)]
    if costs[1] == 0:
        raise NotMeasuredError(f"{quantity} of {reference} is 0: no ratio")
    ratio = costs[0] / costs[1]
    return Comparison(
        quantity,
        part["method"],
        reference,
        "ratio",
        part["better"],
        1 + signed_margin(part),
        ratio,
        ratio,
        ratio,
        None,
        "one timing" if "seconds" in quantity else "count",
    )


def compare_micro(part: Mapping[str, Any], reference: str | None, source: Source) -> Comparison:
    """Ratio of a paired micro-benchmark; memory is measured once for each variant."""
    pair = _read_cost(source).get("micro", {}).get(part["pair"])
    if pair is None or pair.get(part["quantity"]) is None:
        raise NotMeasuredError(f"the micro-benchmark {part['pair']} has no {part['quantity']}")
    ratio = float(pair[part["quantity"]])
    bound = 1 + signed_margin(part)
    variants = (pair.get("variant_a", part["pair"]), pair.get("variant_b", ""))
    fields = (part["quantity"], *variants, "ratio", part["better"])
    if part["quantity"] != "time_ratio":
        return Comparison(*fields, bound, ratio, ratio, ratio, None, "one measurement")
    lower, upper = float(pair["lower"]), float(pair["upper"])
    error = (log(upper) - log(lower)) / (2 * NORMAL_95)
    p_value = _normal_p(log(ratio) - log(bound), error)
    return Comparison(*fields, bound, ratio, lower, upper, p_value, "repeats")


def _clock(quantity: str, source: Source) -> str:
    """Processor time where all stages trained on the CPU, else time on the clock."""
    if quantity != "training_time":
        return quantity
    stages = _read_cost(source).get("stages", {}).values()
    on_cpu = all(stage.get("device") == "cpu" for stage in stages)
    return "training_cpu_seconds" if on_cpu else "training_seconds"


def _cost_of(method: str, quantity: str, source: Source) -> float:
    value = _read_cost(source).get("methods", {}).get(method, {}).get(quantity)
    if value is None or not np.isfinite(value):
        raise NotMeasuredError(f"{quantity} of {method} was not measured")
    return float(value)


def _read_cost(source: Source) -> dict[str, Any]:
    path = source.run / "tables/cost.json"
    if not path.is_file():
        raise NotMeasuredError(f"{path.relative_to(source.run)} was not made")
    return read_json(path)
