"""Does a network answer as it must? Tried on two tiles, before hours of training are spent."""

import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ldct.common.errors import InputError
from ldct.networks.cost import run_without_values
from ldct.networks.files import build_network
from ldct.networks.sizes import SIZES, served

CONSTANTS = {0.0: "0 (air, or below the window)", 0.5: "0.5", 1.0: "1 (above the window)"}
SIDES = range(16, 130)
USUAL_TILE = 64
LARGE_SIDES = (160, 192, 224, 256, 384, 512)


def try_stage(stage: Mapping[str, Any], shapes: Iterable[tuple[int, int]], seed: int = 0) -> None:
    """Judge the untrained network of a resolved stage: on its tiles, and on slices of `shapes`.

    Random numbers of the caller stay as they are.
    Raises InputError with what is wrong, and where sizes are, with the rule that they follow.
    """
    described, channels, side = stage["network"], len(stage["inputs"]), stage["tile_size"]
    build = partial(build_network, described, seed, stage["model"])
    network = build().eval()
    sizes = [f" with {key}: {described[key]}" for key in SIZES if key in described]
    where = f"{described['file']}{''.join(sizes)}"
    for rows, columns in [(side, side), *shapes]:
        if not takes(served(network, described), channels, rows, columns):
            image = torch.zeros(1, channels, rows, columns)
            try:
                with torch.no_grad():
                    answer(served(network, described), image, where)
            except InputError as error:
                raise InputError(f"{error}{rule_of(network, channels)}") from None
            raise InputError(
                f"{where}: forward looks at the values of its input (float(), item(), numpy()?), "
                "so that its memory cannot be told ahead; expected operations on tensors alone"
            )
    try_network(build, channels, side, where)


def try_network(build: Callable[[], nn.Module], channels: int, side: int, where: str) -> None:
    """Judge a network's answers to constant and random tiles, in training and at test.

    build : makes the untrained network anew. channels : images stacked at its input.
    where : what messages name. Random numbers of the caller stay as they are.
    Raises InputError with what is wrong and what is expected.
    """
    network = build()
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise InputError(f"{where}: found no parameter to train; expected a network that has some")
    noise = torch.rand(1, channels, side, side, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network.eval()
        for value, words in CONSTANTS.items():
            with torch.no_grad():
                found = answer(network, torch.full_like(noise, value), where)
            _check_finite(found, f"{where}: a tile of {words} everywhere")
        pair = torch.cat([torch.full_like(noise, 0.5), noise])
        with torch.no_grad():
            alone, again = answer(network, noise, where), answer(network, noise, where)
            beside = answer(network, pair, where)[1:]
        if not torch.allclose(alone, again, rtol=1e-3, atol=1e-3):
            raise InputError(f"{where}: the same tile gives other values the second time")
        if not torch.allclose(beside, alone, rtol=1e-3, atol=1e-3):
            raise InputError(
                f"{where}: a tile comes back with other values when another one is in its batch; "
                "expected each tile by itself at test (batch statistics or a mean over the batch?)"
            )
        network.train()
        _check_gradients(network, answer(network, pair, where), where)


def _check_gradients(network: nn.Module, found: Tensor, where: str) -> None:
    _check_finite(found, f"{where}: a constant and a random tile in training")
    if not found.requires_grad:
        raise InputError(
            f"{where}: its answer does not depend on its parameters; expected one that can be "
            "trained (detach, no_grad or numpy in forward?)"
        )
    torch.square(found - 0.5).mean().backward()
    for name, parameter in network.named_parameters():
        if parameter.grad is not None:
            _check_finite(parameter.grad, f"{where}: gradient of {name} for a constant tile")


def _check_finite(values: Tensor, what: str) -> None:
    if not torch.isfinite(values).all():
        raise InputError(
            f"{what}: found NaN or infinite values, expected finite ones (a division by a standard "
            "deviation, a root or a logarithm of 0?)"
        )


def answer(network: nn.Module, images: Tensor, where: str) -> Tensor:
    """What a network makes of images [batch, channel, row, column].

    Raises InputError, in words, where it fails or returns anything but images of that size.
    """
    rows, columns = images.shape[2:]
    version = images._version
    try:
        found = network(images)
    except Exception as error:
        message = " ".join(str(error).split())
        raise InputError(
            f"{where}: fails on images of {rows} x {columns} pixels: "
            f"{type(error).__name__}: {message}"
        ) from None
    if images._version != version:
        raise InputError(
            f"{where}: changes its input in place (`x += ...`, or ReLU(inplace=True) on it?); "
            "expected a new tensor, as the image is used again: write `x = x + ...`"
        )
    if not isinstance(found, Tensor):
        raise InputError(
            f"{where}: returns a {type(found).__name__}, expected one tensor "
            "[batch, 1, row, column]"
        )
    if found.dtype != images.dtype:
        raise InputError(
            f"{where}: returns {str(found.dtype).removeprefix('torch.')}, expected float32 as given"
        )
    given, shape = tuple(images.shape), tuple(found.shape)
    if len(shape) != 4 or (shape[0], *shape[2:]) != (given[0], *given[2:]):
        raise InputError(
            f"{where}: makes shape {shape} of {given}, expected ({given[0]}, 1, {rows}, {columns})"
        )
    return found


def takes(network: nn.Module, channels: int, rows: int, columns: int) -> bool:
    """Whether a network makes images of this size of such images; no value is computed."""
    try:
        run_without_values(Answering(network), (1, channels, rows, columns), nullcontext())
    except Exception:
        return False
    return True


class Answering(nn.Module):
    """A network whose answers are checked as by `answer`."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Map images as the network does."""
        return answer(self.network, images, "")


def rule_of(network: nn.Module, channels: int) -> str:
    """Which sizes a network takes, and the key of its card that serves it; "" where none is found.

    Square images are tried.
    """
    good = [side for side in SIDES if takes(network, channels, side, side)]
    good = good or [side for side in LARGE_SIDES if takes(network, channels, side, side)]
    if not good:
        return ""
    first, step = good[0], math.gcd(*good)
    regular = good == [side for side in SIDES if side >= first and side % step == 0]
    key, served = f"tile: {first}", "cut into such tiles"
    if len(good) == 1 and not takes(network, channels, 2 * first, 2 * first):
        rule = f"images of {first} x {first} pixels"
    elif regular and step > 1:
        rule, key, served = f"sides that are multiples of {step}", f"multiple_of: {step}", "padded"
    elif regular and first > SIDES[0]:
        rule, key, served = f"sides from {first} pixels on", f"multiple_of: {first}", "padded"
    elif regular:
        rule, key = "square images", f"tile: {USUAL_TILE}"
    else:
        rule = f"sides of {', '.join(map(str, good[:8]))}{', ...' if len(good) > 8 else ''} pixels"
        key = f"tile: {min(good, key=lambda side: abs(side - USUAL_TILE))}"
    return (
        f"; it takes {rule} alone: write `{key}` on its card, so that slices of any size are "
        f"{served}"
    )
