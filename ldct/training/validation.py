"""Scores of a half-trained stage on images that it does not train on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from ldct.common.errors import InputError
from ldct.common.scaling import Scaling
from ldct.data.volumes import Volume
from ldct.devices.choice import autocast
from ldct.metrics.pixelwise import equal_doses, slice_scores
from ldct.metrics.protocol import Protocol
from ldct.networks.chain import Level, apply_levels
from ldct.networks.sizes import served
from ldct.training.critics import Critic, critic_auc

# Measurements of a critic in a training.
CRITIC_CHECKS = 10


@dataclass(frozen=True)
class Validation:
    """A score to be taken every `every` steps and at the end.

    score : network in training to named values: means over slices, "val_psnr" in dB and
        "val_ssim", or "critic_auc".
    """

    every: int
    score: Callable[[nn.Module], dict[str, float]]


def make_validation(
    volume: Volume,
    slices: int,
    every: int,
    protocol: Protocol,
    scaling: Scaling,
    upstream: Sequence[Level],
    target: str,
    inputs: Sequence[str],
    device: torch.device,
    sizes: Mapping[str, int] | None = None,
) -> Validation:
    """Validation on evenly spaced slices of one patient, denoised whole, in float32.

    slices : how many; all where the patient has fewer. Those equal in both doses are left out.
    upstream, target, inputs : of the stage (see `ldct.networks.chain`).
    sizes : `tile` or `multiple_of` of its network, if it has one.
    """
    slices = min(slices, len(volume.full))
    chosen = [int((number + 0.5) * len(volume.full) / slices) for number in range(slices)]
    pairs = [(volume.quarter[number], volume.full[number]) for number in chosen]
    # Where both doses are equal the PSNR is infinite, whatever was learned.
    pairs = [pair for pair in pairs if not equal_doses(*pair, protocol)]
    if not pairs:
        raise InputError(
            f"validation: both doses of {volume.info['patient']} are equal within the window in "
            "every slice chosen; expected a quarter dose that differs: see the inventory"
        )

    def score(network: nn.Module) -> dict[str, float]:
        was_training = network.training
        network.eval()
        levels = [*upstream, Level(served(network, sizes or {}), target, tuple(inputs))]
        rows = []
        for low_hu, normal_hu in pairs:
            image = torch.from_numpy(low_hu.astype(np.float32))[None, None].to(device)
            with torch.no_grad(), autocast(device, False):
                predicted = scaling.improved(image, partial(apply_levels, levels))
            rows.append(slice_scores(predicted[0, 0].cpu().numpy(), normal_hu, protocol))
        network.train(was_training)
        return {
            f"val_{name}": float(np.mean([row[name] for row in rows])) for name in ("psnr", "ssim")
        }

    return Validation(every, score)


def make_critic_check(
    critic: Critic,
    batches: Callable[[str, int], tuple[Tensor, Tensor]],
    held_out: int,
    batch: int,
    total: int,
) -> Validation:
    """The critic's AUC (see `critic_auc`), ten times in a training of `total` steps.

    batches : by stream and number, in batches of `batch`; "held_out" has `held_out` tiles.
    """
    number = -(-held_out // batch)

    def score(network: nn.Module) -> dict[str, float]:
        if not number:
            return {}
        auc = critic_auc(critic, network, partial(batches, "held_out"), number)
        return {"critic_auc": auc}

    return Validation(max(1, total // CRITIC_CHECKS), score)
