"""Train NAFNet, or denoise with it: a program that knows nothing of this suite.

python nafnet.py train SETTINGS STEPS OUTPUT.safetensors VOLUME...
python nafnet.py denoise SETTINGS WEIGHTS.safetensors INPUT.npy OUTPUT.npy
SETTINGS: those of the card, as JSON. VOLUME: a folder with full.npy and quarter.npy, int16 HU
[slice, row, column].
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from network import NAFNet
from safetensors.torch import load_file, save_file
from torch import Tensor

TILE = 64


def to_unit(hu: np.ndarray, window: list[float]) -> Tensor:
    """HU [image, row, column] to [image, 1, row, column], the window as 0 to 1, not clipped."""
    lower, upper = window
    return torch.from_numpy((hu.astype(np.float32) - lower) / (upper - lower))[:, None]


def tiles(volumes: list[Path], count: int, random: np.random.Generator) -> list[np.ndarray]:
    """Quarter and full dose of tiles at random places, int16 HU [tile, row, column]."""
    pairs = []
    for _ in range(count):
        folder = volumes[random.integers(len(volumes))]
        doses = [np.load(folder / f"{dose}.npy", mmap_mode="r") for dose in ("quarter", "full")]
        corner = [random.integers(max(1, side - TILE + 1)) for side in doses[0].shape[1:]]
        row, column = (slice(start, start + TILE) for start in corner)
        number = random.integers(len(doses[0]))
        pairs.append([dose[number, row, column] for dose in doses])
    return [np.stack(images) for images in zip(*pairs, strict=True)]


def train(settings: dict, steps: int, output: str, volumes: list[Path]) -> None:
    """The paper's recipe: PSNR loss, AdamW, cosine to 1e-7."""
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    network = NAFNet(**settings["network"])
    adam = torch.optim.AdamW(
        network.parameters(), settings["rate"], betas=(0.9, 0.9), weight_decay=0
    )
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps, 1e-7)
    for step in range(steps):
        pair = tiles(volumes, settings["batch"], random)
        quarter, full = (to_unit(images, settings["window"]) for images in pair)
        error = ((network(quarter) - full) ** 2).mean(dim=(1, 2, 3))
        loss = 10 * torch.log10(error + 1e-8).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        cosine.step()
        if step % 50 == 0:
            print(f"step {step}: PSNR {-loss.item():.2f} dB", file=sys.stderr)
    save_file(network.state_dict(), output)


def denoise(settings: dict, weights: str, source: str, target: str) -> None:
    """One slice at a time, float32 HU."""
    network = NAFNet(**settings["network"]).eval()
    network.load_state_dict(load_file(weights))
    lower, upper = settings["window"]
    slices = np.load(source)
    result = np.empty(slices.shape, np.float32)
    with torch.inference_mode():
        for number in range(len(slices)):
            image = network(to_unit(slices[number : number + 1], [lower, upper]))
            result[number] = image[0, 0].numpy() * (upper - lower) + lower
    np.save(target, result)


if __name__ == "__main__":
    verb, settings, *rest = sys.argv[1:]
    read = json.loads(settings)
    if verb == "train":
        train(read, int(rest[0]), rest[1], [Path(folder) for folder in rest[2:]])
    else:
        denoise(read, *rest)
