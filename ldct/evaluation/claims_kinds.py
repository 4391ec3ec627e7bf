"""Parts of a claim on summaries of a run: detectability, cost, paired micro-benchmarks."""

from collections.abc import Mapping
from math import exp, log
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ldct.evaluation.claims_types import Comparison, Source, finite, signed_margin, two_sided_p
from ldct.evaluation.disc_detection import paired_interval
from ldct.evaluation.run_tables import NotMeasuredError, read_table
from ldct.files import read_json


def compare_detectability(
    part: Mapping[str, Any], reference: str | None, source: Source
) -> Comparison:
    """Paired difference of d' at the same places, averaged over contrasts and diameters."""
    methods = (part["method"], reference)
    tables = [_rows_of_observer(name, part["observer"], source) for name in methods]
    found = paired_interval(*tables, source.confidence)
    if not np.isfinite(found.estimate):
        raise NotMeasuredError("no condition has a d' for both methods")
    bound = signed_margin(part)
    return Comparison(
        f"d_prime ({part['observer']})",
        *methods,
        "difference",
        part["better"],
        bound,
        *finite([found.estimate, found.lower, found.upper], part),
        two_sided_p(found.estimate - bound, found.std_error, found.df),
        "discs",
        n_seeds=source.trainings(*methods),
    )


def _rows_of_observer(method: str, observer: str, source: Source) -> pd.DataFrame:
    rows = read_table(source.run, source.settings, "detectability", method)
    rows = rows[rows["observer"] == observer]
    if rows["d_prime"].isna().all():
        raise NotMeasuredError(f"no d' of observer {observer} for {method}")
    return rows


def compare_cost(part: Mapping[str, Any], reference: str | None, source: Source) -> Comparison:
    """Ratio of two costs: counted, or timed once.

    One timing has no interval. Its margin is what may be chance, either way: only a ratio beyond it
    on the other side of 1 counts against the claim.
    """
    quantity = _clock(part["quantity"], source)
    costs = [_cost_of(name, quantity, source) for name in (part["method"], reference)]
    if costs[1] == 0:
        raise NotMeasuredError(f"{quantity} of {reference} is 0: no ratio")
    ratio = costs[0] / costs[1]
    shift = signed_margin(part)
    timed = "seconds" in quantity
    return Comparison(
        quantity,
        part["method"],
        reference,
        "ratio",
        part["better"],
        1 + shift,
        ratio,
        ratio,
        ratio,
        None,
        "one timing" if timed else "count",
        refuted_at=1 - shift if timed and part.get("margin", 0) > 0 else None,
    )


def compare_micro(part: Mapping[str, Any], reference: str | None, source: Source) -> Comparison:
    """Ratio of a paired micro-benchmark; memory is measured once for each variant.

    The logarithm of the time ratio has Student's t over the rounds that its file gives `df` of.
    """
    pair = _read_cost(source).get("micro", {}).get(part["pair"])
    if pair is None or pair.get(part["quantity"]) is None:
        raise NotMeasuredError(f"the micro-benchmark {part['pair']} has no {part['quantity']}")
    ratio = float(pair[part["quantity"]])
    bound = 1 + signed_margin(part)
    variants = (pair.get("variant_a", part["pair"]), pair.get("variant_b", ""))
    fields = (part["quantity"], *variants, "ratio", part["better"])
    if part["quantity"] != "time_ratio":
        return Comparison(*fields, bound, ratio, ratio, ratio, None, "one measurement")
    if "df" not in pair:
        raise NotMeasuredError(
            f"the micro-benchmark {part['pair']} has no df, it is of an older version: make "
            "tables/micro_benchmark.json and tables/cost.json again"
        )
    df = pair["df"]
    error = log(pair["upper"] / ratio) / float(stats.t.ppf((1 + pair["confidence"]) / 2, df))
    reach = exp(float(stats.t.ppf((1 + source.confidence) / 2, df)) * error)
    p_value = two_sided_p(log(ratio / bound), error, df)
    return Comparison(*fields, bound, ratio, ratio / reach, ratio * reach, p_value, "repeats")


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
