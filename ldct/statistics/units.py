"""Student's t of a mean over units, and what its interval says beside a bound and a margin."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special, stats

# Three units are the fewest whose spread says anything of others.
FEWEST = 3
Outcome = Literal["above", "below", "equal", "open"]


@dataclass(frozen=True)
class UnitMean:
    """A mean over units of one kind with its standard error, which has Student's t.

    std_error, df : NaN where there are fewer than FEWEST units or a value is infinite; then nothing
        is tested: bounds and p values are NaN.
    """

    mean: float
    n: int
    std_error: float = float("nan")
    df: float = float("nan")

    @classmethod
    def of(cls, values: Sequence[float]) -> "UnitMean":
        """Mean of one value per unit."""
        values = np.asarray(values, dtype=float)
        mean = float(values.mean()) if len(values) else float("nan")
        if len(values) < FEWEST or not np.isfinite(values).all():
            return cls(mean, len(values))
        return cls(mean, len(values), float(stats.sem(values)), len(values) - 1.0)

    @property
    def tested(self) -> bool:
        """Whether there is an interval."""
        return bool(np.isfinite(self.std_error))

    def bounds(self, confidence: float) -> tuple[float, float]:
        """Interval of the mean.

        >>> tuple(round(bound, 2) for bound in UnitMean.of([29.0, 30.0, 31.0]).bounds(0.95))
        (27.52, 32.48)
        """
        reach = float(special.stdtrit(self.df, (1 + confidence) / 2)) * self.std_error
        return self.mean - reach, self.mean + reach

    def p_value(self, bound: float = 0.0) -> float:
        """Two-sided p value of the hypothesis that the mean is `bound`."""
        return 2 * self._tail(abs(self.mean - bound))

    def p_equal(self, margin: float) -> float:
        """p value of the hypothesis that the mean is `margin` or more away from 0.

        The larger of two one-sided tests (Schuirmann 1987, doi:10.1007/BF01068419).
        """
        return self._tail(margin - abs(self.mean))

    def outcome(
        self, confidence: float, bound: float = 0.0, margin: float | None = None
    ) -> Outcome:
        """Where the mean lies: beside `bound` by its interval, or within `margin` of 0.

        "equal" goes first: the interval of 1 - 2 (1 - confidence) lies inside the margin.
        """
        if not self.tested:
            return "open"
        if margin is not None and self.p_equal(margin) < 1 - confidence:
            return "equal"
        if self.p_value(bound) >= 1 - confidence:
            return "open"
        return "above" if self.mean > bound else "below"

    def _tail(self, distance: float) -> float:
        """Chance of Student's t above `distance` from the mean."""
        if self.std_error == 0:
            return 0.0 if distance > 0 else 0.5 if distance == 0 else 1.0
        return float(special.stdtr(self.df, -distance / self.std_error))
