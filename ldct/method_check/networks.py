"""Checks of methods with networks: training, gradients, images of any size, cost."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ldct.common.scaling import Scaling
from ldct.configuration.stages import scaling_from
from ldct.data.volumes import load_volume
from ldct.denoising.classical import load_denoiser
from ldct.denoising.network import denoise_slices
from ldct.devices.choice import limit_threads
from ldct.method_check.classical import quick_parameters
from ldct.method_check.pair import ODD_SHAPES, SIDE, TILE, Verdict, check_denoiser, time_of
from ldct.networks.chain import Level, load_levels
from ldct.networks.cost import chain_of_fields, multiply_adds, seen_pixels
from ldct.networks.facts import count_parameters
from ldct.networks.files import build_network
from ldct.networks.sizes import served
from ldct.networks.trial import try_stage
from ldct.training.loop import batch_reader, train_stage

CPU = torch.device("cpu")
# Where the workflow keeps pretrained weights for perceptual losses.
PERCEPTUAL_WEIGHTS = Path("data/weights")


def check_networks(
    folder: Path,
    card: Mapping[str, Any],
    models: Mapping[str, Mapping[str, Any]],
    chain: Sequence[str],
    volume: Path,
    work: Path,
    verdict: Verdict,
) -> None:
    """Train every stage for two steps, denoise, and report what the method costs."""
    limit_threads(1)
    stages = [models[name] for name in chain]
    for stage in stages:
        try_stage(stage, [(SIDE, SIDE), *ODD_SHAPES])
    weights: list[Path] = []
    for number, stage in enumerate(stages):
        upstream = load_levels(stages[:number], weights, CPU)
        weights.append(train_twice(stage, upstream, volume, work, verdict))
    levels, scaling = load_levels(stages, weights, CPU), scaling_from(stages[-1])

    def apply(slice_hu: np.ndarray) -> np.ndarray:
        return denoise_slices(slice_hu[None], levels, scaling, CPU)[0]

    if card["kind"] == "network_finetuned":
        check_finetuned(folder, card, levels, scaling, volume, work, verdict)
    else:
        where = stages[-1]["network"]["file"]
        check_denoiser(apply, where, verdict, keeps_hu=False)
    sizes = untrained_facts(models, chain)
    far = sizes["field"]
    adds = sum(multiply_adds(level.network, len(level.inputs)) for level in levels)
    verdict.facts |= {
        "parameters": f"{sizes['parameters']:,}",
        "receptive field": "over 128 pixels" if far is None else f"{far} pixels",
        "cost": f"{adds / 1e9:.1f} thousand million multiply-adds per slice of 512 x 512",
        "time": time_of(apply, 128),
    }


def train_twice(
    stage: Mapping[str, Any], upstream: Sequence[Level], volume: Path, work: Path, verdict: Verdict
) -> Path:
    """Two steps of batch 2 with the stage's own loss; returns its weights file."""
    stage = {**stage, "recipe": {**stage["recipe"], "batch": 2, "steps": 2}}
    features = stage["loss"].get("perceptual", {}).get("features")
    perceptual = PERCEPTUAL_WEIGHTS / f"{features}.safetensors" if features else None
    if perceptual is not None and not perceptual.is_file():
        verdict.remarks.append(
            f"{stage['model']}: tried without its perceptual loss: no {perceptual}; fetch it with "
            f"`python -m ldct fetch-weights --network {features} --output {perceptual}`"
        )
        loss = {name: term for name, term in stage["loss"].items() if name != "perceptual"}
        stage, perceptual = {**stage, "loss": loss or {"mse": 1.0}}, None
    # Four tiles in each of the three slices of the synthetic volume.
    corners = [(row, column) for row in (0, SIDE - TILE) for column in (0, SIDE - TILE)]
    rows = [(0, index, row, column) for index in range(3) for row, column in corners]
    volumes, tiles = [load_volume(volume)], np.array(rows, dtype=np.int32)
    folder, scaling = work / stage["model"], scaling_from(stage)
    network = train_stage(
        stage,
        volumes,
        tiles,
        scaling,
        upstream,
        seed=0,
        device=CPU,
        precision="fp32",
        checkpoint_every=100,
        fingerprint="check",
        folder=folder,
        perceptual_weights=perceptual,
    )
    inputs, target = batch_reader(stage, volumes, tiles, scaling, upstream, 0, CPU)("generator", 2)
    for name in without_gradient(network, inputs, target):
        verdict.problems.append(
            f"{stage['network']['file']}: no gradient reaches the parameter {name}; is it used?"
        )
    return folder / "weights.safetensors"


def without_gradient(network: nn.Module, inputs: torch.Tensor, target: torch.Tensor) -> list[str]:
    """Names of parameters that the squared error does not depend on; changes the network.

    All parameters are moved at random first: right after a start at zero, some have no gradient.
    """
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=random)
    network.train().zero_grad()
    torch.square(network(inputs) - target).mean().backward()
    return [
        name
        for name, parameter in network.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not parameter.grad.any())
    ]


def check_finetuned(
    folder: Path,
    card: Mapping[str, Any],
    levels: Sequence[Level],
    scaling: Scaling,
    volume: Path,
    work: Path,
    verdict: Verdict,
) -> None:
    """Tune and apply a denoise.py that starts from trained levels."""
    parameters, module = quick_parameters(folder, card, volume, work), load_denoiser(folder)

    def denoise(slice_hu: np.ndarray) -> np.ndarray:
        return module.denoise(slice_hu, parameters, copy.deepcopy(list(levels)), scaling)

    check_denoiser(denoise, str(folder / "denoise.py"), verdict, keeps_hu=False)


def untrained_facts(
    models: Mapping[str, Mapping[str, Any]], chain: Sequence[str]
) -> dict[str, Any]:
    """Parameters and receptive field of a chain of untrained networks (None: large)."""
    stages = [models[name] for name in chain]
    plain = [build_network(stage["network"], 0, stage["model"]) for stage in stages]
    built = [
        (served(network, stage["network"]), len(stage["inputs"]))
        for network, stage in zip(plain, stages, strict=True)
    ]
    return {
        "parameters": sum(count_parameters(network) for network, _ in built),
        "field": chain_of_fields([seen_pixels(network, inputs) for network, inputs in built]),
    }
