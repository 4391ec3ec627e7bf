"""Applying trained networks to the slices of a test set."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ldct.common.errors import InputError
from ldct.common.files import atomic_path, create_array
from ldct.common.progress import track
from ldct.common.provenance import recorded
from ldct.common.scaling import Scaling
from ldct.data.volumes import load_volume
from ldct.denoising.tiling import alignment_of, apply_tiled, margin_of
from ldct.devices.choice import autocast, device_record, free_memory, give_back_memory, is_gpu
from ldct.devices.engine import Engine, engine_settings
from ldct.networks.chain import Level, apply_levels
from ldct.networks.cost import feature_bytes

# What libraries need on top of feature maps (see feature_bytes), and a process on top of images.
WORKING_MEMORY = 3.0
PROCESS_MB = 500
LARGEST_BATCH = 16
TILES = (1024, 512, 256, 128, 64, 32)
# fp32 is full float32: a faster prediction is asked for with bf16.
EXACT = Engine(tf32=False)
MEBI = 2**20


@dataclass(frozen=True)
class InferencePlan:
    """How slices go through the networks.

    batch : slices at a time. tile : kept pixels of a tile's side, 0 for whole slices.
    margin : pixels around a tile that its own depend on. precision : "fp32" or "bf16" (autocast).
    """

    batch: int = 1
    tile: int = 0
    margin: int = 0
    precision: str = "fp32"


def plan_inference(
    levels: Sequence[Level],
    shape: tuple[int, int],
    device: torch.device,
    *,
    tile: int | str = "auto",
    precision: str = "fp32",
    memory_mb: float | None = None,
) -> InferencePlan:
    """Batch and tile size that fit into memory, by an estimate.

    shape : rows and columns of a slice.
    tile : "auto" (whole slices where they fit), or kept pixels of a tile's side.
    memory_mb : what the job may use on a CPU; None for no limit. On a GPU its free memory counts.
    On a CPU slices go one by one: there a batch gains nothing.
    Raises InputError where not even the smallest tile fits.
    """
    if tile != "auto":
        return InferencePlan(1, tile, margin_of(levels, device), precision)
    free = free_memory(device)
    if free is None and memory_mb is None:
        return InferencePlan(precision=precision)
    budget = max(memory_mb - PROCESS_MB, 0) * MEBI if free is None else 0.8 * free
    whole = needed_bytes(levels, *shape)
    if whole <= budget:
        batch = 1 if not is_gpu(device) else min(int(budget // whole), LARGEST_BATCH)
        return InferencePlan(batch, precision=precision)
    margin, alignment = margin_of(levels, device), alignment_of(levels)
    for side in TILES:
        side = max(side // alignment, 1) * alignment
        cut = [min(side + 2 * margin, size) for size in shape]
        if needed_bytes(levels, *cut) <= budget:
            print(f"slices do not fit into memory: tiles of {side} pixels", file=sys.stderr)
            return InferencePlan(1, side, margin, precision)
    raise InputError(
        f"inference: tiles of {side} pixels need {needed_bytes(levels, *cut) / MEBI:.0f} MiB, "
        f"found {budget / MEBI:.0f} MiB; give the job more memory (mem_mb)"
    )


def needed_bytes(levels: Sequence[Level], rows: int, columns: int) -> float:
    """Estimate of the memory that one image needs in the largest level."""
    return WORKING_MEMORY * max(
        feature_bytes(level.network, (1, len(level.inputs), rows, columns)) for level in levels
    )


def denoise_slices(
    slices_hu: np.ndarray,
    levels: Sequence[Level],
    scaling: Scaling,
    device: torch.device,
    plan: InferencePlan | None = None,
    into: np.ndarray | None = None,
) -> np.ndarray:
    """Denoise slices, as they are planned; without a plan one by one and whole.

    slices_hu : [slice, row, column] HU, any numeric dtype, any image size.
    into : float32 array of the same shape, filled slice by slice; a new one where it is None.
    Returns it, in HU: the slices and what the levels change in them (`Scaling.improved`).
    """
    plan = plan or InferencePlan()
    denoised = np.empty(slices_hu.shape, dtype=np.float32) if into is None else into
    apply = tiled_levels(levels, plan)
    batch, first = plan.batch, 0
    with inference_settings(device), track(None, "denoising", len(slices_hu)) as progress:
        while first < len(slices_hu):
            images = slices_hu[first : first + batch]
            try:
                denoised[first : first + batch] = _denoise_batch(images, apply, scaling, device)
            except torch.OutOfMemoryError:
                if batch == 1:
                    raise InputError(
                        f"{device} has too little free memory for one slice; set inference.tile to "
                        "a size, such as 256, or device: cpu"
                    ) from None
                give_back_memory()
                batch //= 2
                continue
            first += len(images)
            progress.update(len(images))
    return denoised


def inference_settings(device: torch.device) -> AbstractContextManager[None]:
    """PyTorch's switches for predictions: no TF32, and no search for the fastest convolution.

    The search may end differently from job to job, and with it the last bits.
    """
    return engine_settings(EXACT, device, search=False)


def tiled_levels(levels: Sequence[Level], plan: InferencePlan) -> Callable[[Tensor], Tensor]:
    """The levels as one function of a batch of images, in tiles and in bf16 where planned."""

    def apply(images: Tensor) -> Tensor:
        with autocast(images.device, plan.precision == "bf16"):
            return apply_levels(levels, images).float()

    if not plan.tile:
        return apply
    alignment = alignment_of(levels)
    return lambda images: apply_tiled(apply, images, plan.tile, plan.margin, alignment)


def _denoise_batch(
    images_hu: np.ndarray,
    apply: Callable[[Tensor], Tensor],
    scaling: Scaling,
    device: torch.device,
) -> np.ndarray:
    images = torch.from_numpy(np.array(images_hu, dtype=np.float32)).to(device)[:, None]
    with torch.inference_mode():
        return scaling.improved(images, apply)[:, 0].cpu().numpy()


@contextmanager
def new_prediction(output: Path, shape: Sequence[int]) -> Iterator[np.ndarray]:
    """A float32 .npy of `shape` on disk to be filled in the block; it appears when it is whole.

    Raises InputError where the prediction holds NaN or infinite values.
    """
    with atomic_path(output) as temporary:
        prediction = create_array(temporary, shape, np.float32)
        yield prediction
        bad = [row for row, image in enumerate(prediction) if not np.isfinite(image).all()]
        if bad:
            raise InputError(
                f"{output}: slices {bad} hold NaN or infinite values; expected finite HU; retrain "
                "with a lower learning rate or precision fp32"
            )
        prediction.flush()


def denoise_with_networks(
    test_folder: Path,
    levels: Sequence[Level],
    weights: Sequence[Path],
    scaling: Scaling,
    device: torch.device,
    output: Path,
    *,
    tile: int | str = "auto",
    precision: str = "fp32",
    memory_mb: float | None = None,
) -> None:
    """Write the prediction file of one test patient, made by a chain of trained levels.

    tile, precision, memory_mb : see plan_inference.
    """
    quarter = load_volume(test_folder).quarter
    plan = plan_inference(
        levels, quarter.shape[1:], device, tile=tile, precision=precision, memory_mb=memory_mb
    )
    settings: dict[str, Any] = {}
    with (
        recorded([output], [*slice_files(test_folder), *weights], settings),
        new_prediction(output, quarter.shape) as prediction,
    ):
        begun = time.perf_counter(), time.process_time()
        denoise_slices(quarter, levels, scaling, device, plan, prediction)
        spent = time_since(begun, len(quarter))
        settings |= inference_record(levels, scaling, device, vars(plan) | spent)


def slice_files(test_folder: Path) -> list[Path]:
    """What a method may read of a test patient."""
    return [test_folder / "volume.json", test_folder / "quarter.npy"]


def time_since(begun: tuple[float, float], slices: int) -> dict[str, Any]:
    """Time since `begun` (clock, processor) that `slices` took."""
    return {
        "slices": slices,
        "seconds": round(time.perf_counter() - begun[0], 3),
        "cpu_seconds": round(time.process_time() - begun[1], 3),
    }


def inference_record(
    levels: Sequence[Level], scaling: Scaling, device: torch.device, inference: Mapping[str, Any]
) -> dict[str, Any]:
    """What a provenance record says of a prediction by trained levels, at its end."""
    return {
        "window": [scaling.lower, scaling.upper],
        "clip": scaling.clip,
        "levels": len(levels),
        "inference": {"tf32": EXACT.tf32, **inference},
        **device_record(device),
    }


def copy_low_dose(test_folder: Path, output: Path) -> None:
    """The identity method: the quarter-dose slices as prediction."""
    quarter = load_volume(test_folder).quarter
    with (
        recorded([output], slice_files(test_folder), {}),
        new_prediction(output, quarter.shape) as prediction,
    ):
        prediction[:] = quarter
