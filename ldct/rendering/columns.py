"""What a column of a table is called, and how its values are read."""

from dataclasses import dataclass
from typing import Literal

Better = Literal["higher", "lower", "zero", "one", "none"]
ARROWS = {"higher": " ↑", "lower": " ↓", "zero": " → 0", "one": " → 1", "none": ""}


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

    @property
    def head(self) -> str:
        """Head of a column: title, unit, and which values are good."""
        unit = f" ({self.unit})" if self.unit else ""
        return f"{self.title}{unit}{ARROWS[self.better]}"
