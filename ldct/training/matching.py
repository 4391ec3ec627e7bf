"""Loss weights from gradients: for terms whose published weight means nothing here.

A weight holds for one scale of the images and, in a perceptual loss, for one set of network weights
and one input normalisation. A card may give instead how strong a term is beside the squared error.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ldct.common.errors import InputError
from ldct.devices.parallel import Group
from ldct.training.losses import Features, content_terms, weight_of
from ldct.training.steps import Batch

MATCHED_BATCHES = 8


def wants_matching(loss: Mapping[str, Any]) -> list[str]:
    """Names of the terms whose weight is {"match_gradient": ratio}."""
    return [name for name in loss if isinstance(weight_of(loss, name), Mapping)]


def with_matched_weights(
    stage: Mapping[str, Any], batches: Callable[[str, int], Batch], features: Features | None
) -> Mapping[str, Any]:
    """The stage with numbers for its `match_gradient` weights, measured on its first batches."""
    names = wants_matching(stage["loss"])
    if not names:
        return stage
    first = [batches("generator", step) for step in range(MATCHED_BATCHES)]
    pairs = [(inputs[:, :1], target) for inputs, target in first]
    loss = match_gradients(stage["loss"], pairs, features)
    for name in names:
        print(f"{stage['model']}: weight of {name} is {weight_of(loss, name):.4g}", file=sys.stderr)
    return {**stage, "loss": loss}


def with_common_weights(
    stage: Mapping[str, Any], names: Sequence[str], group: Group
) -> Mapping[str, Any]:
    """The stage with process 0's weights of the named terms: those of GPUs differ by rounding."""
    if not names:
        return stage
    weights = torch.tensor([weight_of(stage["loss"], name) for name in names], dtype=torch.float64)
    group.share_first([weights])
    loss = dict(stage["loss"])
    for name, weight in zip(names, weights.tolist(), strict=True):
        loss = with_weight(loss, name, weight)
    return {**stage, "loss": loss}


def with_weight(loss: Mapping[str, Any], name: str, weight: float) -> dict[str, Any]:
    """The loss with another weight of one term."""
    term = loss[name]
    has_more = isinstance(term, Mapping) and "weight" in term
    return {**loss, name: {**term, "weight": weight} if has_more else weight}


def match_gradients(
    loss: Mapping[str, Any], batches: Sequence[tuple[Tensor, Tensor]], features: Features | None
) -> dict[str, Any]:
    """The loss with every `match_gradient` replaced by a number.

    A term with {"match_gradient": r} gets the weight at which the norm of its gradient with respect
    to the prediction is r times that of the weighted mse term (weight 1 where the loss has none).
    Measured on `batches` of (image, NDCT), the image standing for the prediction: the networks
    start as the identity or near it. The norms are summed over the batches, so the weight follows
    from the data alone. Raises InputError where a term has no gradient.
    """
    reference = weight_of(loss, "mse") if "mse" in loss else 1.0
    mse = reference * gradient_norm("mse", {"mse": 1.0}, batches, features)
    matched = dict(loss)
    for name in wants_matching(loss):
        norm = gradient_norm(name, loss, batches, features)
        if not norm > 0 or not mse > 0:
            raise InputError(
                f"loss term '{name}': match_gradient found a gradient norm of {norm:.3g} beside "
                f"{mse:.3g} of mse; expected numbers above 0; give a number as weight"
            )
        weight = weight_of(loss, name)["match_gradient"] * mse / norm
        matched = with_weight(matched, name, weight)
    return matched


def gradient_norm(
    name: str,
    loss: Mapping[str, Any],
    batches: Sequence[tuple[Tensor, Tensor]],
    features: Features | None,
) -> float:
    """Norm of the gradient of one unweighted term at the images, summed over batches."""
    total = 0.0
    for image, target in batches:
        prediction = image.detach().clone().requires_grad_()
        term = content_terms(prediction, target, {name: loss[name]}, features)[name]
        (gradient,) = torch.autograd.grad(term, prediction)
        total += float(gradient.norm())
    return total
