"""The one place where Hounsfield units become network units, and a network's output an image."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ldct.common.errors import InputError

ArrayLike = TypeVar("ArrayLike")  # a NumPy array, a torch tensor or a float
# For readers of tables that look outside the window.
OUTSIDE_WINDOW = (
    "Where the input of networks is clipped, their image is the low dose plus the error that they "
    "make at the bound of the window."
)


@dataclass(frozen=True)
class Scaling:
    """Linear map of a HU window onto [0, 1].

    lower, upper : window bounds in HU, lower < upper.
    clip : whether values outside the window are clipped to its bounds on the way in.
    """

    lower: float
    upper: float
    clip: bool

    def __post_init__(self) -> None:
        if not self.lower < self.upper:
            raise ValueError(f"window [{self.lower}, {self.upper}]: lower must be below upper")

    @property
    def width(self) -> float:
        """Window width in HU: one network unit."""
        return self.upper - self.lower

    def to_unit(self, hu: ArrayLike) -> ArrayLike:
        """HU to network units; any shape, any floating-point array or tensor."""
        unit = (hu - self.lower) / self.width
        return unit.clip(0.0, 1.0) if self.clip else unit

    def improved(self, hu: ArrayLike, improve: Callable[[ArrayLike], ArrayLike]) -> ArrayLike:
        """An image in HU with what `improve`, a function of network units, changes in it.

        The change alone is added, so that a clipped input costs nothing: outside the window the
        image stays as it is. Floating-point array or tensor; any shape that `improve` takes.
        """
        unit = self.to_unit(hu)
        return hu + self.width * (improve(unit) - unit)


def add_scaling(parser: argparse.ArgumentParser) -> None:
    """Add the options that `scaling_of` reads."""
    parser.add_argument("--window", type=float, nargs=2, required=True, metavar="HU")
    parser.add_argument("--clip", action="store_true", help="clip network input to the window")


def scaling_of(options: argparse.Namespace) -> Scaling:
    """The scaling that `--window` and `--clip` describe. InputError where it is no window."""
    lower, upper = options.window
    if not lower < upper:
        raise InputError(
            f"--window: found {lower:g} {upper:g}, expected two numbers of HU, the lower one first"
        )
    return Scaling(lower, upper, options.clip)
