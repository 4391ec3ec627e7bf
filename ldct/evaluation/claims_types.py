"""What a claim is judged from: where values come from, and one number with its bound."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

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
        return {
            "confidence": self.confidence,
            "resamples": self.resamples,
            "seed": self.seed,
        }


@dataclass(frozen=True)
class Comparison:
    """One number that a claim speaks of, with its interval and the bound it has to clear.

    form : "difference" (method minus reference), "ratio" (method over reference), or "level" (of
    the method alone). better : the claimed direction. p_value : two-sided, of the hypothesis that
    the number equals the bound; None where it was counted or timed once.
    basis : what the interval generalises to: "patients", "slices", "discs", "repeats"; "one timing"
    and "count" have no interval. published : the same number from the paper's table.
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

    @property
    def outcome(self) -> Literal["for", "against", "open"]:
        """Whether the interval lies beyond the bound in the claimed direction, or excludes it."""
        if self.better == "higher":
            claimed, excluded = self.lower > self.bound, self.upper <= self.bound
        else:
            claimed, excluded = self.upper < self.bound, self.lower >= self.bound
        return "for" if claimed else "against" if excluded else "open"


def signed_margin(part: Mapping[str, Any]) -> float:
    """The margin on the axis of the number: what lies beyond it has the claimed effect."""
    margin = float(part.get("margin", 0.0))
    return margin if part["better"] == "higher" else 0.0 - margin


def finite(numbers: Sequence[float], part: Mapping[str, Any]) -> list[float]:
    if not np.isfinite(numbers).all():
        raise NotMeasuredError(
            f"no interval of {part.get('metric', 'd_prime')}: too few rows, or infinite values"
        )
    return [float(number) for number in numbers]
