"""FC-AIDE fine-tuned on each noisy slice, without a reference."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ldct import Level, Scaling

# Axes of [batch, 1, row, column] to reverse.
FLIPS = ((), (3,), (2,), (2, 3))


def tune(pairs: list[tuple[np.ndarray, np.ndarray]], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Standard deviation in HU of what training patients' quarter dose adds to their full dose."""
    sigma_hu = float(np.sqrt(np.mean([np.var(quarter - full) for quarter, full in pairs])))
    kept = ("steps", "learning_rate", "pull_back")
    return {"sigma_hu": sigma_hu, **{name: settings[name] for name in kept}}


def denoise(
    slice_hu: np.ndarray, parameters: Mapping[str, Any], levels: Sequence[Level], scaling: Scaling
) -> np.ndarray:
    """One slice, float32 HU (rows, columns), by a network fine-tuned on this slice alone.

    Step k trains on flip k mod 4 of the slice; the result is the mean over the four flips.
    """
    network = levels[0].network
    device = next(network.parameters()).device
    image = torch.from_numpy(slice_hu).to(device)[None, None]
    finetune(network, scaling.to_unit(image), parameters, scaling)

    def averaged(noisy: Tensor) -> Tensor:
        return torch.stack([network(noisy.flip(axes)).flip(axes) for axes in FLIPS]).mean(dim=0)

    with torch.inference_mode():
        return scaling.improved(image, averaged)[0, 0].cpu().numpy()


def finetune(
    network: nn.Module, noisy: Tensor, parameters: Mapping[str, Any], scaling: Scaling
) -> None:
    """Train the network on one noisy image [1, 1, row, column] in network units, in place."""
    start = copy.deepcopy(network).requires_grad_(False)
    network.requires_grad_(True).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=parameters["learning_rate"])
    sigma = parameters["sigma_hu"] / scaling.width
    for step in range(parameters["steps"]):
        image = noisy.flip(FLIPS[step % len(FLIPS)])
        slope, offset = network.coefficients(image)
        # Clipping takes the noise off pixels at the window's bounds.
        inside = (image > 0) & (image < 1) if scaling.clip else torch.ones_like(image, dtype=bool)
        loss = unbiased_loss(slope, offset, image, sigma, inside)
        loss = loss + parameters["pull_back"] * distance(network, start)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    network.requires_grad_(False).eval()


def unbiased_loss(
    slope: Tensor, offset: Tensor, noisy: Tensor, sigma: float, inside: Tensor
) -> Tensor:
    """Mean over the pixels `inside` of (Z - aZ - b)^2 + 2 a sigma^2 - sigma^2.

    Its expectation is the mean squared error of aZ + b where the noise at a pixel has zero mean and
    variance sigma^2 and is independent of the surroundings that (a, b) are made from (Cha and Moon,
    ICCV 2019).
    """
    residual = (noisy - slope * noisy - offset) ** 2
    return (residual + 2 * slope * sigma**2 - sigma**2)[inside].mean()


def distance(network: nn.Module, start: nn.Module) -> Tensor:
    """Sum over parameters of the Euclidean norm of what has changed since the start."""
    pairs = zip(network.parameters(), start.parameters(), strict=True)
    return sum(torch.linalg.vector_norm(now - then) for now, then in pairs)
