"""What a column of a table is called, and how its values are read."""

from dataclasses import dataclass
from typing import Literal

Better = Literal["higher", "lower", "zero", "one", "none"]


@dataclass(frozen=True)
class Formula:
    """Title and unit as printed, digits after the point, and the computation in a sentence.

    better : which values are good; "none" where the measure describes and does not rank.
    """

    title: str
    unit: str
    digits: int
    better: Better
    text: str
