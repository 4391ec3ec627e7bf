"""Noticing a loss that is not finite, without waiting for the device at every step."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ldct.errors import InputError

REMEDY = (
    "expected a finite number; lower recipe.learning_rate or use precision fp32 (a changed setting "
    "trains from step 0; until then the checkpoint of the last good step stays)"
)


class FiniteWatch:
    """Remembers, on the device, at which step each loss term was first not finite."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.names: list[str] = []
        self.first_bad: Tensor | None = None

    def look(self, terms: Mapping[str, Tensor], step: int) -> None:
        """Note the terms of one step; nothing is read back from the device."""
        bad = ~torch.stack([value.isfinite() for value in terms.values()])
        if self.first_bad is None:
            self.names = list(terms)
            self.first_bad = torch.full_like(bad, -1, dtype=torch.int64)
        self.first_bad = torch.where(bad & (self.first_bad < 0), step, self.first_bad)

    def check(self) -> None:
        """Raise InputError naming the term that was the first not to be finite, and the step."""
        if self.first_bad is None:
            return
        steps = self.first_bad.tolist()
        found = [(step, name) for name, step in zip(self.names, steps, strict=True) if step >= 0]
        if found:
            step, name = min(found, key=lambda one: one[0])
            raise InputError(
                f"{self.model}: loss term '{name}' is not finite from step {step} on; {REMEDY}"
            )


def check_state(tensors: Sequence[Tensor], model: str, step: int) -> None:
    """Raise InputError where weights, statistics or moments are not finite after `step` steps."""
    if tensors and not bool(torch.stack([tensor.isfinite().all() for tensor in tensors]).all()):
        raise InputError(
            f"{model}: weights or optimiser state are not finite after step {step - 1}; {REMEDY}"
        )
