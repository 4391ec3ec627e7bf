"""One number that a claim speaks of, and what its tests say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Outcome = Literal["for", "against", "equal", "open"]


@dataclass(frozen=True)
class Test:
    """Student's t of a number over one kind of unit, on the number's own scale.

    n : units. lower, upper, p_value (two-sided, of the bound), p_equal (of a difference as large as
    the margin; None without a margin). A test with fewer than three units is not made.
    """

    unit: Literal["patients", "trainings", "places", "repeats"]
    n: int
    lower: float
    upper: float
    p_value: float
    p_equal: float | None
    outcome: Outcome


@dataclass(frozen=True)
class Comparison:
    """One number that a claim speaks of, with its tests and the bound that it has to clear.

    form : "difference" (method minus reference) or "ratio" (method over reference). better : the
    claimed direction. margin : within it of no difference the two are practically equal; None where
    there is none, or where the claim names a bound of its own. basis : what the number rests on.
    counts : by unit in how many of how many the method lies on the claimed side of the reference.
    reading : under which reading of the paper, where there are two. withheld : why no verdict may
    rest on it.
    """

    metric: str
    method: str
    reference: str | None
    form: Literal["difference", "ratio"]
    better: Literal["higher", "lower"]
    bound: float
    estimate: float
    basis: Literal["patients", "discs", "repeats", "one timing", "one measurement", "count"]
    margin: float | None = None
    tests: Sequence[Test] = ()
    n_patients: int = 0
    n_slices: int = 0
    n_seeds: int = 0
    counts: Mapping[str, tuple[int, int]] | None = None
    reading: str = ""
    withheld: str = ""

    @property
    def outcome(self) -> Outcome:
        """What the number says of the claim, over all its units; "open" where they are too few.

        Slices and places in one scan are no units: without three patients nothing is decided.
        """
        decides = not self.sampled or {"patients", "repeats"} & {each.unit for each in self.tests}
        return self.leaning if decides and not self.withheld else "open"

    @property
    def leaning(self) -> Outcome:
        """`outcome` of the tests that could be made: of places, or of trainings in one scan."""
        if self.sampled:
            found = {each.outcome for each in self.tests}
            return found.pop() if len(found) == 1 else "open"
        if self.margin is not None and 1 / (1 + self.margin) < self.estimate < 1 + self.margin:
            return "open"  # one timing: within the margin it may be chance
        return "for" if self.beyond > 0 else "against"

    @property
    def beyond(self) -> float:
        """How far the number lies beyond its bound in the claimed direction."""
        return (self.estimate - self.bound) * (1 if self.better == "higher" else -1)

    @property
    def sampled(self) -> bool:
        """Whether units lie behind the number; counts and single timings have none."""
        return self.basis in ("patients", "discs", "repeats")

    @property
    def p_value(self) -> float | None:
        """The largest p value of its tests for what they say; None where there is none."""
        found = [each.p_equal if each.outcome == "equal" else each.p_value for each in self.tests]
        return max(found, default=None)
