"""Parts of a claim: from a line of config/claims.yaml to a number with its tests."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import exp, isfinite, log, log1p
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from ldct.claims.comparison import Comparison, Test
from ldct.common.files import read_json
from ldct.common.run_files import FIXED, IMAGES
from ldct.detectability.detection import paired_interval
from ldct.metrics.protocol import Protocol
from ldct.runs.tables import NotMeasuredError, read_table, read_values
from ldct.statistics.uncertainty import paired_difference
from ldct.statistics.units import UnitMean
from ldct.table1.statistics import averaging_of

TRANSFORMS: dict[str, Callable[[pd.Series], pd.Series]] = {
    "none": lambda values: values,
    "log": np.log,
    "distance_to_one": lambda values: (values - 1).abs(),
}


@dataclass(frozen=True)
class Source:
    """Where values come from and by which rule they are judged.

    run : folder results/<run>. settings : the resolved run. rule : of the file of claims.
    margins : by metric (config/margins.yaml).
    """

    run: Path
    settings: Mapping[str, Any]
    protocol: Protocol
    rule: Mapping[str, Any]
    margins: Mapping[str, float]

    def trainings(self, *methods: str | None) -> int:
        """Training seeds behind a comparison of methods; 0 where none of them was trained."""
        seeds = [self.settings["method_seeds"].get(name, [FIXED]) for name in methods]
        return max(sum(seed != FIXED for seed in own) for own in seeds)

    def short_budget(self, *methods: str | None) -> str:
        """Which stage behind some methods saw too few tiles for a verdict, in words; "" if none."""
        path, limit = self.run / "tables/cost.json", self.rule["tile_presentations"]
        stages = read_json(path).get("stages", {}) if path.is_file() else {}
        for model in (m for name in methods for m in self.settings["chains"].get(name, [])):
            seen = stages.get(model, {})
            if seen.get("steps") is None:
                return f"how long {model} was trained is not recorded"
            share = seen["steps"] * seen["batch"] / limit["paper"]
            if share < limit["share"]:
                return (
                    f"{model} saw {share:.2%} of the paper's tiles (20 epochs), below the limit "
                    f"of {limit['share']:.0%}"
                )
        return ""


def compare(
    part: Mapping[str, Any], reference: str | None, source: Source, reading: str = ""
) -> Comparison:
    """One part of a claim against one reference; reading : of `readings_of` the part.

    Raises NotMeasuredError where a value is missing.
    """
    for name in filter(None, (part.get("method"), reference)):
        if name in source.settings.get("broken", {}):
            raise NotMeasuredError(f"{name} is left out of this run: its folder has a fault")
        if name not in (*source.settings["method_seeds"], *IMAGES):
            raise NotMeasuredError(f"{name} is no method of this run")
    found = KINDS[part["kind"]](part, reference, source)
    return _under(found, part, reading, source) if reading else found


def readings_of(part: Mapping[str, Any]) -> list[str]:
    """Readings of the paper under which a part is timed; one without a name where it is one."""
    other = part.get("other_reading")
    return [other["instead_of"], other["is"]] if other else [""]


def _under(found: Comparison, part: Mapping[str, Any], reading: str, source: Source) -> Comparison:
    """The ratio of times under one reading; the micro-benchmark timed the other one's stage."""
    other, table = part["other_reading"], _read_cost(source)
    if reading == other["instead_of"]:
        return replace(found, reading=reading)
    ratio = table.get("micro", {}).get(other["pair"], {}).get("time_ratio")
    if ratio is None:
        raise NotMeasuredError(f"{reading} was not timed (pair {other['pair']})")
    stage = table["stages"][other["stage"]][found.metric]
    share = stage / table["methods"][found.method][found.metric]
    return replace(found, reading=reading, estimate=found.estimate * (1 - share + share / ratio))


def _difference(part: Mapping[str, Any], reference: str, source: Source) -> Comparison:
    """Paired difference of a per-slice value, or ratio of geometric means (transform log)."""
    metric, method, transform = part["metric"], part["method"], part.get("transform", "none")
    rows = [
        read_values(source.run, source.settings, part["table"], metric, name, source.protocol.name)
        .assign(method=name)
        .assign(**{metric: lambda own: TRANSFORMS[transform](own[metric])})
        for name in (method, reference)
    ]
    averaging = averaging_of(source.protocol, metric)
    everything = pd.concat(rows, ignore_index=True)
    found = paired_difference(everything, metric, method, reference, averaging=averaging)
    estimate, trained = found.interval.estimate, source.trainings(method, reference)
    name = f"{metric} (distance from 1)" if transform == "distance_to_one" else metric
    if not isfinite(estimate):
        raise NotMeasuredError(f"no difference of {name}: nothing in common, or infinite values")
    ratio = transform == "log"
    bound, margin = _bound(part, f"{metric}_ratio" if ratio else metric, source, ratio)
    units = {"patients": found.patients} | ({"trainings": found.trainings} if trained else {})
    counts = found.counts(1 if part["better"] == "higher" else -1)
    if trained < 2:  # they are those of patients
        del counts["trainings"]
    return Comparison(
        name,
        method,
        reference,
        "ratio" if ratio else "difference",
        part["better"],
        bound,
        exp(estimate) if ratio else estimate,
        "patients",
        margin,
        _tests(units, part, bound, margin, source, ratio),
        found.interval.n_patients,
        found.interval.n_slices,
        trained,
        counts,
        withheld=source.short_budget(method, reference),
    )


def _detectability(part: Mapping[str, Any], reference: str, source: Source) -> Comparison:
    """Paired difference of d' at the same places, averaged over contrasts and diameters."""
    methods = (part["method"], reference)
    rows = [read_table(source.run, source.settings, "detectability", name) for name in methods]
    found = paired_interval(*rows)
    if not isfinite(found.estimate):
        raise NotMeasuredError("no difference of d': nothing in common, or infinite values")
    bound, margin = _bound(part, "d_prime", source)
    n_places = len(rows[0]["leave_one_out"].iloc[0])
    places = UnitMean(found.estimate, n_places, found.std_error, found.df)
    return Comparison(
        "d_prime",
        *methods,
        "difference",
        part["better"],
        bound,
        found.estimate,
        "discs",
        margin,
        _tests({"places": places}, part, bound, margin, source),
        n_seeds=source.trainings(*methods),
        withheld=source.short_budget(*methods),
    )


def _cost(part: Mapping[str, Any], reference: str, source: Source) -> Comparison:
    """Ratio of two costs, counted or timed once."""
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
    timed = "seconds" in quantity
    return Comparison(
        quantity,
        part["method"],
        reference,
        "ratio",
        part["better"],
        part.get("bound", 1.0),
        costs[0] / costs[1],
        "one timing" if timed else "count",
        source.margins["time_ratio"] if timed else None,
    )


def _micro(part: Mapping[str, Any], _: None, source: Source) -> Comparison:
    """Ratio of a paired micro-benchmark; memory is measured once for each variant.

    The logarithm of the time ratio has Student's t over the rounds that its file gives `df` of.
    """
    pair, quantity = _read_cost(source).get("micro", {}).get(part["pair"], {}), part["quantity"]
    if pair.get(quantity) is None:
        raise NotMeasuredError(f"{quantity} of the pair {part['pair']} was not measured")
    variants = (pair.get("variant_a", part["pair"]), pair.get("variant_b", ""))
    ratio = float(pair[quantity])
    bound, margin = _bound(part, quantity, source, ratio=True)
    fields = (quantity, *variants, "ratio", part["better"], bound, ratio)
    if quantity != "time_ratio":
        return Comparison(*fields, "one measurement")
    df = pair["df"]
    error = log(pair["upper"] / ratio) / float(special.stdtrit(df, (1 + pair["confidence"]) / 2))
    units = {"repeats": UnitMean(log(ratio), df + 1, error, df)}
    tests = _tests(units, part, bound, margin, source, ratio=True)
    return Comparison(*fields, "repeats", margin, tests)


KINDS = {
    "difference": _difference,
    "detectability": _detectability,
    "cost": _cost,
    "micro": _micro,
}


def _bound(
    part: Mapping[str, Any], metric: str, source: Source, ratio: bool = False
) -> tuple[float, float | None]:
    """What the number has to clear, and the margin of equality where the part has no own bound."""
    if "bound" in part:
        return float(part["bound"]), None
    return float(ratio), source.margins.get(metric)


def _tests(
    units: Mapping[str, UnitMean],
    part: Mapping[str, Any],
    bound: float,
    margin: float | None,
    source: Source,
    ratio: bool = False,
) -> list[Test]:
    """The tests that can be made. ratio : the units are on the log axis, bound and margin not."""
    confidence, claimed = source.rule["confidence"], part["better"] == "higher"
    sides = {"above": "for" if claimed else "against", "below": "against" if claimed else "for"}
    if ratio:
        bound, margin = log(bound), None if margin is None else log1p(margin)
    return [
        Test(
            unit,
            own.n,
            *map(exp if ratio else float, own.bounds(confidence)),
            own.p_value(bound),
            None if margin is None else own.p_equal(margin),
            sides.get(outcome := own.outcome(confidence, bound, margin), outcome),
        )
        for unit, own in units.items()
        if own.tested
    ]


def _read_cost(source: Source) -> dict[str, Any]:
    path = source.run / "tables/cost.json"
    if not path.is_file():
        raise NotMeasuredError(f"{path.relative_to(source.run)} was not made")
    return read_json(path)
