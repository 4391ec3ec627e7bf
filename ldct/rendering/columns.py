"""What a column of a table is called, and how its values are read."""

from dataclasses import dataclass
from typing import Literal

Better = Literal["higher", "lower", "zero", "one", "none"]
# Between which a measure can lie; its intervals stay there.
POSITIVE = (0.0, float("inf"))
CORRELATION = (-1.0, 1.0)
ARROWS = {"higher": " ↑", "lower": " ↓", "zero": " → 0", "one": " → 1", "none": ""}


@dataclass(frozen=True)
class Formula:
    """Title and unit as printed, digits after the point, and the computation in a sentence.

    better : which values are good; "none" where the measure describes and does not rank. limits :
    between which a value can lie.
    """

    title: str
    unit: str
    digits: int
    better: Better
    text: str
    limits: tuple[float, float] = (-float("inf"), float("inf"))

    @property
    def head(self) -> str:
        """Head of a column: title, unit, and which values are good."""
        unit = f" ({self.unit})" if self.unit else ""
        return f"{self.title}{unit}{ARROWS[self.better]}"
