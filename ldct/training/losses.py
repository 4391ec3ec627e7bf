"""Loss terms by the names that cards use."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

# Mean over batch, rows and columns (METHODS.md 9.1, row 4).
CONTENT_LOSSES = {"mse": functional.mse_loss, "mae": functional.l1_loss}


def content_loss(
    prediction: Tensor, target: Tensor, weights: Mapping[str, float]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Weighted sum of the content terms, and each unweighted term by name.

    prediction, target : [batch, 1, row, column], network units.
    weights : term name (a key of CONTENT_LOSSES) to weight; other names are ignored here.
    """
    terms = {
        name: CONTENT_LOSSES[name](prediction, target) for name in weights if name in CONTENT_LOSSES
    }
    total = sum((weights[name] * value for name, value in terms.items()), torch.zeros(()))
    return total, {name: value.detach() for name, value in terms.items()}


def least_squares(scores: Tensor, aim: float) -> Tensor:
    """Mean squared distance of discriminator scores to one target value (Mao et al., Eq. 1).

    With targets -1/+1 one unit equals eight units of the paper's Eq. 1 (METHODS.md 4.3).
    """
    return functional.mse_loss(scores, torch.full_like(scores, aim))
