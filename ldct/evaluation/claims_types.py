"""What a claim is judged from: where values come from, and one number with its bound."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy import stats

from ldct.configuration import FIXED
from ldct.evaluation.protocol import Protocol
from ldct.evaluation.run_tables import NotMeasuredError


@dataclass(frozen=True)
class Source:
    """Where values come from and with what confidence they are compared.

    run : folder results/<run>. settings : the resolved run. published : rows of
    config/published.yaml. confidence, resamples, seed : of the ledger's rule.
    """

    run: Path
    settings: Mapping[str, Any]
    protocol: Protocol
    published: Mapping[str, Any]
    confidence: float
    resamples: int
    seed: int

    @property
    def options(self) -> dict[str, Any]:
        """Keyword arguments of the functions in `uncertainty`."""
        return {"confidence": self.confidence}

    def trainings(self, *methods: str | None) -> int:
        """Training seeds behind a comparison of methods; 0 where none of them was trained."""
        seeds = [self.settings["method_seeds"].get(name, [FIXED]) for name in methods]
        return max(sum(seed != FIXED for seed in own) for own in seeds)


@dataclass(frozen=True)
class Comparison:
    """One number that a claim speaks of, with its interval and the bound it has to clear.

    form : "difference" (method minus reference), "ratio" (method over reference), or "level" (of
    the method alone). better : the claimed direction. p_value : two-sided, of the hypothesis that
    the number equals the bound; None where it was counted or timed once.
    basis : what the interval generalises to: "patients", "slices", "discs", "repeats"; "one
    timing", "one measurement" and "count" have no interval. n_seeds : trainings behind the number,
    0 where no method in it was trained. published : the same number from the paper's table.
    refuted_at : from where on the number is against the claim, where that is not `bound`: between
    the two it is open.
    """

    metric: str
    method: str
    reference: str | None
    form: Literal["difference", "ratio", "level"]
    better: Literal["higher", "lower"]
    bound: float
    estimate: float
    lower: float
    upper: float
    p_value: float | None
    basis: str
    n_patients: int = 0
    n_slices: int = 0
    n_seeds: int = 0
    published: float | None = None
    refuted_at: float | None = None

    @property
    def outcome(self) -> Literal["for", "against", "open"]:
        """Whether the interval lies beyond the bound in the claimed direction, or excludes it."""
        refuted_at = self.bound if self.refuted_at is None else self.refuted_at
        if self.better == "higher":
            claimed, excluded = self.lower > self.bound, self.upper <= refuted_at
        else:
            claimed, excluded = self.upper < self.bound, self.lower >= refuted_at
        return "for" if claimed else "against" if excluded else "open"


def signed_margin(part: Mapping[str, Any]) -> float:
    """The margin on the axis of the number: what lies beyond it has the claimed effect."""
    margin = float(part.get("margin", 0.0))
    return margin if part["better"] == "higher" else 0.0 - margin


def two_sided_p(distance: float, error: float, df: float) -> float:
    """p value of Student's t for a number at `distance` from its bound."""
    if error == 0:
        return 0.0 if distance else 1.0
    return float(2 * stats.t.sf(abs(distance) / error, df))


def finite(numbers: Sequence[float], part: Mapping[str, Any]) -> list[float]:
    if not np.isfinite(numbers).all():
        raise NotMeasuredError(
            f"no interval of {part.get('metric', 'd_prime')}: fewer than three patients, "
            "or infinite values"
        )
    return [float(number) for number in numbers]
