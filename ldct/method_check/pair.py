"""What every kind of check shares: a tiny synthetic pair and its verdict."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from ldct.common.files import write_json

SIDE, TILE = 64, 32
# No multiples of anything, and one side below the tile.
ODD_SHAPES = ((65, 47), (64, 31))
NOISE_HU = (8.0, 20.0)  # standard deviation of full and added quarter-dose noise
SHIFT_LIMIT_HU = 5.0
CONSTANT_HU = 40.0


@dataclass
class Verdict:
    """What was found: problems (empty where all is well), remarks, and facts for people."""

    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)


def write_pair(folder: Path, slices: int, shape: tuple[int, int] = (SIDE, SIDE)) -> Path:
    """Write a volume folder with a synthetic body, full and quarter dose; returns the folder."""
    full, quarter = synthetic_pair(slices, shape)
    folder.mkdir(parents=True)
    np.save(folder / "full.npy", full)
    np.save(folder / "quarter.npy", quarter)
    write_json(
        folder / "volume.json",
        {
            "patient": folder.name,
            "dataset": "check",
            "slice_index": list(range(slices)),
            "z_mm": [float(index) for index in range(slices)],
            "origin_mm": [0.0, 0.0],
            "pixel_mm": [0.7, 0.7],
            "thickness_mm": 1.0,
            "kernel": "B30f",
        },
    )
    return folder


def synthetic_pair(slices: int, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Full and quarter dose, int16 HU [slice, row, column]: an ellipse of tissue with an organ."""
    rng = np.random.default_rng(0)
    rows, columns = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    body = np.where(rows**2 + columns**2 < 0.9, 40.0, -1000.0)
    body[(rows - 0.2) ** 2 + (columns + 0.3) ** 2 < 0.05] = 110.0
    clean = np.stack(slices * [body])
    noise = [gaussian_filter(rng.standard_normal(clean.shape), (0, 0.6, 0.6)) for _ in NOISE_HU]
    full, extra = (std * n / n.std() for std, n in zip(NOISE_HU, noise, strict=True))
    return (np.rint(clean + full).astype(np.int16), np.rint(clean + full + extra).astype(np.int16))


def check_denoiser(
    denoise: Callable[[np.ndarray], np.ndarray], where: str, verdict: Verdict, keeps_hu: bool
) -> None:
    """Judge a function from one slice to one slice, float32 HU, by what it returns.

    keeps_hu : whether the method is expected to keep the level of the image; a network after two
        steps of training is not.
    """
    for shape in ((SIDE, SIDE), *ODD_SHAPES):
        noisy = synthetic_pair(1, shape)[1][0].astype(np.float32)
        given = noisy.copy()
        found = np.asarray(denoise(noisy))
        if not np.array_equal(noisy, given):
            verdict.problems.append(f"{where}: denoise changes its input; copy it first")
            return
        if found.shape != shape:
            verdict.problems.append(
                f"{where}: a slice of {shape[0]} x {shape[1]} pixels comes back with shape "
                f"{found.shape}; expected the same"
            )
            return
        if not np.isfinite(found).all():
            verdict.problems.append(f"{where}: NaN or infinite values for a slice of {shape}")
            return
    if not np.array_equal(found, np.asarray(denoise(noisy))):
        verdict.problems.append(f"{where}: the same slice gives other values the second time")
    if not keeps_hu:
        return
    shift = float(np.mean(found[8:-8, 8:-8] - noisy[8:-8, 8:-8]))
    if abs(shift) > SHIFT_LIMIT_HU:
        verdict.problems.append(
            f"{where}: the mean of a slice moves by {shift:+.1f} HU, expected less than "
            f"{SHIFT_LIMIT_HU:g}; does it return HU, not network units?"
        )
    constant = np.full((SIDE, SIDE), CONSTANT_HU, dtype=np.float32)
    found = np.asarray(denoise(constant))
    if not np.isfinite(found).all() or np.abs(found - CONSTANT_HU).max() > 1:
        verdict.problems.append(
            f"{where}: a slice of {CONSTANT_HU:g} HU everywhere comes back with "
            f"{found.min():.1f} to {found.max():.1f} HU; expected no change of more than 1 HU"
        )


def time_of(denoise: Callable[[np.ndarray], np.ndarray], side: int) -> str:
    """CPU time of a slice of 512 x 512 in words, from one of side x side pixels."""
    slice_hu = synthetic_pair(1, (side, side))[1][0].astype(np.float32)
    started = time.process_time()
    denoise(slice_hu)
    seconds = (512 / side) ** 2 * (time.process_time() - started)
    return f"about {seconds:.2g} CPU seconds per slice of 512 x 512"
