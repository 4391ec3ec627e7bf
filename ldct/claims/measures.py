"""Parts of a claim: from a line of config/claims.yaml to a number with its interval and bound."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import exp, isfinite, log
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import special

from ldct.common.files import read_json
from ldct.common.run_files import FIXED, IMAGES
from ldct.detectability.detection import SeedInterval, paired_interval
from ldct.metrics.protocol import Protocol
from ldct.runs.tables import NotMeasuredError, read_table, read_values
from ldct.statistics.uncertainty import Interval, paired_difference
from ldct.table1.statistics import averaging_of

TRANSFORMS: dict[str, Callable[[pd.Series], pd.Series]] = {
    "none": lambda values: values,
    "log": np.log,
    "distance_to_one": lambda values: (values - 1).abs(),
}
Outcome = Literal["for", "against", "open"]


@dataclass(frozen=True)
class Source:
    """Where values come from and with what confidence they are compared.

    run : folder results/<run>. settings : the resolved run. confidence : of the ledger's rule.
    """

    run: Path
    settings: Mapping[str, Any]
    protocol: Protocol
    confidence: float

    def trainings(self, *methods: str | None) -> int:
        """Training seeds behind a comparison of methods; 0 where none of them was trained."""
        seeds = [self.settings["method_seeds"].get(name, [FIXED]) for name in methods]
        return max(sum(seed != FIXED for seed in own) for own in seeds)


@dataclass(frozen=True)
class Comparison:
    """One number that a claim speaks of, with its interval and the bound it has to clear.

    form : "difference" (method minus reference) or "ratio" (method over reference). better : the
    claimed direction. basis : what the number rests on: "patients", "discs", "repeats"; "one
    timing", "one measurement" and "count". lower, upper, p_value (two-sided, of the hypothesis that
    the number equals the bound) : None without an interval. n_seeds : trainings behind the number,
    0 where no method in it was trained. refuted_at : from where on the number is against the claim,
    where that is not `bound`: between the two it is open.
    """

    metric: str
    method: str
    reference: str | None
    form: Literal["difference", "ratio"]
    better: Literal["higher", "lower"]
    bound: float
    estimate: float
    basis: Literal["patients", "discs", "repeats", "one timing", "one measurement", "count"]
    lower: float | None = None
    upper: float | None = None
    p_value: float | None = None
    n_patients: int = 0
    n_slices: int = 0
    n_seeds: int = 0
    refuted_at: float | None = None

    @property
    def lacks_interval(self) -> bool:
        """Whether the number was sampled, but too thinly for an interval."""
        return self.lower is None and self.basis in ("patients", "discs", "repeats")

    @property
    def outcome(self) -> Outcome:
        """Whether the interval lies beyond the bound in the claimed direction, or excludes it.

        A number that was counted or timed once stands for its interval; one without the interval
        that it should have leaves the claim open.
        """
        return "open" if self.lacks_interval else self.leaning

    @property
    def leaning(self) -> Outcome:
        """`outcome`, or that of the number alone where it lacks its interval."""
        lower, upper = (
            self.estimate if bound is None else bound for bound in (self.lower, self.upper)
        )
        refuted_at = self.bound if self.refuted_at is None else self.refuted_at
        if self.better == "higher":
            claimed, excluded = lower > self.bound, upper <= refuted_at
        else:
            claimed, excluded = upper < self.bound, lower >= refuted_at
        return "for" if claimed else "against" if excluded else "open"


def compare(part: Mapping[str, Any], reference: str | None, source: Source) -> Comparison:
    """One part of a claim against one reference.

    Raises NotMeasuredError where a value is missing.
    """
    for name in filter(None, (part.get("method"), reference)):
        if name in source.settings.get("broken", {}):
            raise NotMeasuredError(f"{name} is left out of this run: its folder has a fault")
        if name not in (*source.settings["method_seeds"], *IMAGES):
            raise NotMeasuredError(f"{name} is no method of this run")
    return KINDS[part["kind"]](part, reference, source)


def _difference(part: Mapping[str, Any], reference: str, source: Source) -> Comparison:
    """Paired difference of a per-slice value, or ratio of geometric means (transform log)."""
    metric, method, transform = part["metric"], part["method"], part.get("transform", "none")
    rows = [
        read_values(source.run, source.settings, part["table"], metric, name, source.protocol.name)
        .assign(method=name)
        .assign(**{metric: lambda own: TRANSFORMS[transform](own[metric])})
        for name in (method, reference)
    ]
    interval = paired_difference(
        pd.concat(rows, ignore_index=True),
        metric,
        method,
        reference,
        confidence=source.confidence,
        averaging=averaging_of(source.protocol, metric),
    ).interval
    name = f"{metric} (distance from 1)" if transform == "distance_to_one" else metric
    return Comparison(
        name,
        method,
        reference,
        "ratio" if transform == "log" else "difference",
        part["better"],
        **_sampled(interval, _shift(part), name, exp if transform == "log" else float),
        basis="patients",
        n_patients=interval.n_patients,
        n_slices=interval.n_slices,
        n_seeds=source.trainings(method, reference),
    )


def _detectability(part: Mapping[str, Any], reference: str, source: Source) -> Comparison:
    """Paired difference of d' at the same places, averaged over contrasts and diameters."""
    methods = (part["method"], reference)
    rows = [read_table(source.run, source.settings, "detectability", name) for name in methods]
    return Comparison(
        "d_prime",
        *methods,
        "difference",
        part["better"],
        **_sampled(paired_interval(*rows, source.confidence), _shift(part), "d'", float),
        basis="discs",
        n_seeds=source.trainings(*methods),
    )


def _cost(part: Mapping[str, Any], reference: str, source: Source) -> Comparison:
    """Ratio of two costs: counted, or timed once.

    One timing has no interval. Its margin is what may be chance, either way: only a ratio beyond it
    on the other side of 1 counts against the claim.
    """
    table, quantity = _read_cost(source), part["quantity"]
    if quantity == "training_time":  # processor time where all stages trained on the CPU
        on_cpu = all(stage.get("device") == "cpu" for stage in table.get("stages", {}).values())
        quantity = "training_cpu_seconds" if on_cpu else "training_seconds"
    costs = []
    for name in (part["method"], reference):
        costs.append(table.get("methods", {}).get(name, {}).get(quantity))
        if costs[-1] is None or not isfinite(costs[-1]):
            raise NotMeasuredError(f"{quantity} of {name} was not measured")
    if costs[1] == 0:
        raise NotMeasuredError(f"{quantity} of {reference} is 0: no ratio")
    shift, timed = _shift(part), "seconds" in quantity
    return Comparison(
        quantity,
        part["method"],
        reference,
        "ratio",
        part["better"],
        1 + shift,
        costs[0] / costs[1],
        "one timing" if timed else "count",
        refuted_at=1 - shift if timed and part.get("margin", 0) > 0 else None,
    )


def _micro(part: Mapping[str, Any], _: None, source: Source) -> Comparison:
    """Ratio of a paired micro-benchmark; memory is measured once for each variant.

    The logarithm of the time ratio has Student's t over the rounds that its file gives `df` of.
    """
    pair, quantity = _read_cost(source).get("micro", {}).get(part["pair"], {}), part["quantity"]
    if pair.get(quantity) is None:
        raise NotMeasuredError(f"{quantity} of the pair {part['pair']} was not measured")
    ratio, bound = float(pair[quantity]), 1 + _shift(part)
    variants = (pair.get("variant_a", part["pair"]), pair.get("variant_b", ""))
    fields = (quantity, *variants, "ratio", part["better"], bound, ratio)
    if quantity != "time_ratio":
        return Comparison(*fields, "one measurement")
    df = pair["df"]
    error = log(pair["upper"] / ratio) / float(special.stdtrit(df, (1 + pair["confidence"]) / 2))
    reach = exp(float(special.stdtrit(df, (1 + source.confidence) / 2)) * error)
    p_value = _two_sided_p(log(ratio / bound), error, df)
    return Comparison(*fields, "repeats", ratio / reach, ratio * reach, p_value)


KINDS = {
    "difference": _difference,
    "detectability": _detectability,
    "cost": _cost,
    "micro": _micro,
}


def _sampled(
    found: Interval | SeedInterval, bound: float, name: str, back: Callable[[float], float]
) -> dict[str, float | None]:
    """Bound, estimate, interval and p value of a difference, each on the scale of `back`."""
    if not isfinite(found.estimate):
        raise NotMeasuredError(f"no difference of {name}: nothing in common, or infinite values")
    fields = {"bound": back(bound), "estimate": back(found.estimate)}
    if not isfinite(found.lower):
        return fields
    # The interval's own centre: that of patients, whose number of slices may differ.
    distance = (found.lower + found.upper) / 2 - bound
    p_value = _two_sided_p(distance, found.std_error, found.df)
    return fields | {"lower": back(found.lower), "upper": back(found.upper), "p_value": p_value}


def _shift(part: Mapping[str, Any]) -> float:
    """The margin on the axis of the number: what lies beyond it has the claimed effect."""
    margin = float(part.get("margin", 0.0))
    return margin if part["better"] == "higher" else 0.0 - margin


def _two_sided_p(distance: float, error: float, df: float) -> float:
    """p value of Student's t for a number at `distance` from its bound."""
    if error == 0:
        return 0.0 if distance else 1.0
    return float(2 * special.stdtr(df, -abs(distance) / error))


def _read_cost(source: Source) -> dict[str, Any]:
    path = source.run / "tables/cost.json"
    if not path.is_file():
        raise NotMeasuredError(f"{path.relative_to(source.run)} was not made")
    return read_json(path)
