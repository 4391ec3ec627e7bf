"""Predictions that were made elsewhere, taken as a row: fitted to the test set, and checked."""

import sys
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import binary_erosion

from ldct.common.errors import InputError
from ldct.common.files import atomic_path, create_array
from ldct.common.inputs import open_array, read_volume_info
from ldct.common.provenance import recorded
from ldct.common.run_files import REFERENCES
from ldct.configuration.given import given_files, sha256_of_given
from ldct.data.volumes import load_volume
from ldct.denoising.given_images import Stack, read_given

BLOCK = 8  # pixels of a side: means over blocks have little noise, in LDCT too
SOFT_HU = (-200.0, 300.0)  # where networks work whatever their window is
LEAST_AGREEMENT = 0.8  # correlation with LDCT
SLOPES, OFFSET_HU = (0.7, 1.4), 100.0
SAME_HU = 0.5
TURNS = {
    "mirrored left to right": lambda images: images[:, :, ::-1],
    "mirrored top to bottom": lambda images: images[:, ::-1],
    "turned by 180 degrees": lambda images: images[:, ::-1, ::-1],
    "with rows and columns exchanged": lambda images: images.transpose(0, 2, 1),
}


def take_predictions(
    place: Path, patient: str, slice_order: str, volume: Path, test_folder: Path, output: Path
) -> None:
    """Write the prediction file of one test patient from images that another program made.

    place : folder of the predictions. slice_order : of a .npy, "ascending" or "descending" z.
    volume : folder of the patient's whole volume. test_folder : of its test set.
    Raises InputError, one line, where they are not HU of this patient, slice for slice. A
    prediction that equals LDCT or NDCT is taken, and told on standard error and in the record.
    """
    files = given_files(place, patient)
    where = str(files[0] if len(files) == 1 else files[0].parent)
    test, all_slices = load_volume(test_folder), read_volume_info(volume)
    settings: dict[str, Any] = {"given": sha256_of_given(place, files)}
    inputs = [test_folder / "volume.json", *(test_folder / name for name in REFERENCES.values())]
    with recorded([output], [*inputs, *files], settings):
        stack = read_given(files, all_slices, slice_order)
        rows = rows_of_test(stack, all_slices, test.info, where)
        settings |= {"form": stack.form, "equals": ""}
        with atomic_path(output) as temporary:
            images = create_array(temporary, (len(rows), *stack.images.shape[1:]), np.float32)
            images[:] = stack.images[rows]
            check_images(images, test.quarter, where)
            settings["equals"] = equal_reference(images, test_folder)
            images.flush()
    if settings["equals"]:
        print(f"warning: {where}: equals {settings['equals'].upper()}", file=sys.stderr)


def rows_of_test(
    stack: Stack, volume: Mapping[str, Any], test: Mapping[str, Any], where: str
) -> list[int]:
    """Rows of a stack that are the slices of the test set.

    volume, test : content of their `volume.json`. Without z in a header the stack must have all
    slices of the volume, or those of the test set.
    """
    count, everything, wanted = len(stack.images), volume["z_mm"], test["z_mm"]
    if stack.z_mm is None:
        if count not in (len(everything), len(wanted)):
            raise InputError(
                f"{where}: found {count} slices, expected {len(everything)} (all of the patient) "
                f"or {len(wanted)} (the test set)"
            )
        if count == len(wanted):
            return list(range(count))
        return [volume["slice_index"].index(index) for index in test["slice_index"]]
    tolerance = np.diff(everything).min() / 4 if len(everything) > 1 else 0.1
    away = np.abs(np.subtract.outer(wanted, stack.z_mm))
    missing = np.asarray(wanted)[away.min(axis=1) > tolerance]
    if len(missing):
        raise InputError(
            f"{where}: found {count} slices, z from {stack.z_mm.min():g} to {stack.z_mm.max():g} "
            f"mm, expected one at {missing[0]:g} mm too; {len(missing)} of {len(wanted)} test "
            "slices are missing"
        )
    return [int(row) for row in away.argmin(axis=1)]


def check_images(images: np.ndarray, quarter: np.ndarray, where: str) -> None:
    """Raise InputError where images are not finite HU that show what LDCT shows.

    images, quarter : [slice, row, column], LDCT in HU. Means over blocks are compared, so that
    noise and its removal do not count.
    """
    if images.shape != quarter.shape:
        raise InputError(
            f"{where}: found slices of {images.shape[1]} x {images.shape[2]} pixels, expected "
            f"{quarter.shape[1]} x {quarter.shape[2]}"
        )
    bad = [row for row, image in enumerate(images) if not np.isfinite(image).all()]
    if bad:
        raise InputError(f"{where}: slice {bad[0]} holds NaN or infinite values, expected HU")
    found, low_dose = block_means(images), block_means(quarter)
    _check_places(found, low_dose, where)
    soft = _soft_tissue(low_dose)
    slope, offset = line_of(found[soft], low_dose[soft])
    fit = correlation(found[soft], low_dose[soft])
    shift = float(np.mean(found[soft] - low_dose[soft]))
    # Smoothing lowers the slope in soft tissue, a clip to a window that over the whole image.
    slopes = slope, line_of(found, low_dose)[0]
    scaled = not any(SLOPES[0] < each < SLOPES[1] for each in slopes)
    if scaled or abs(shift) > OFFSET_HU:
        lowest, highest = float(images.min()), float(images.max())
        if fit > LEAST_AGREEMENT:
            ends = f": 0 and 1 are about {-offset / slope:.0f} and {(1 - offset) / slope:.0f} HU"
            ends = ends if lowest > -2 and highest < 3 else ""
            cause = f"about {slope:.3g} x HU {offset:+.3g}{ends}"
        else:
            cause = f"in soft tissue {shift:+.3g} HU off LDCT"
        raise InputError(
            f"{where}: found values from {lowest:.4g} to {highest:.4g}, {cause}; expected HU of "
            "the same slices"
        )


def _soft_tissue(low_dose: np.ndarray) -> np.ndarray:
    """Blocks of soft tissue away from its border, which smoothing moves; all where there are none.

    low_dose : means over blocks, HU.
    """
    soft = (low_dose > SOFT_HU[0]) & (low_dose < SOFT_HU[1])
    inner = binary_erosion(soft, np.ones((1, 3, 3)), iterations=2)
    return next((found for found in (inner, soft) if found.any()), np.ones_like(soft))


def _check_places(found: np.ndarray, low_dose: np.ndarray, where: str) -> None:
    """Raise InputError where another order of slices or turn of the image fits much better."""
    own = agreement(found, low_dose)
    turns = {"": lambda images: images} | TURNS
    for descending, (name, turn) in product((False, True), turns.items()):
        turned = turn(found)[:: -1 if descending else 1]
        if turned.shape != low_dose.shape:
            continue
        better = agreement(turned, low_dose)
        if better > LEAST_AGREEMENT and 1 - better < (1 - own) / 2:
            order = "slices in descending order" if descending else ""
            told = " and ".join(filter(None, [order, f"images {name}" if name else ""]))
            raise InputError(
                f"{where}: found {told}, judged by LDCT; expected ascending z and rows and columns "
                "as in DICOM: correct the file, or slice_order on the card"
            )
    if own < LEAST_AGREEMENT:
        raise InputError(
            f"{where}: found a correlation of {own:.2f} with LDCT in means over {BLOCK} x {BLOCK} "
            f"pixels, expected {LEAST_AGREEMENT:g} at least: other slices, or turned?"
        )


def block_means(images: np.ndarray) -> np.ndarray:
    """Means over blocks of pixels [slice, row, column]; what fills no block is left out."""
    slices, rows, columns = images.shape
    rows, columns = (max(1, size // BLOCK) for size in (rows, columns))
    cut = images[:, : rows * BLOCK, : columns * BLOCK]
    blocks = cut.reshape(slices, rows, cut.shape[1] // rows, columns, cut.shape[2] // columns)
    return blocks.mean(axis=(2, 4), dtype=np.float64)


def agreement(found: np.ndarray, low_dose: np.ndarray) -> float:
    """Correlation with LDCT, whole or clipped as networks see it, whichever is higher."""
    both = low_dose, np.clip(low_dose, *SOFT_HU)
    return max(correlation(found, image) for image in both)


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's r of all values; 0 where one does not vary."""
    if not (np.ptp(first) and np.ptp(second)):
        return 0.0
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def line_of(found: np.ndarray, low_dose: np.ndarray) -> tuple[float, float]:
    """Slope and offset of `found` over LDCT: of the spreads, which noise in both does not tilt."""
    slope = float(np.std(found) / np.std(low_dose)) if np.std(low_dose) else 1.0
    return slope, float(np.mean(found) - slope * np.mean(low_dose))


def equal_reference(images: np.ndarray, test_folder: Path) -> str:
    """Name of the reference that every pixel agrees with to half a HU, or nothing."""
    for name, file in REFERENCES.items():
        reference = open_array(test_folder / file)
        pairs = zip(images, reference, strict=True)
        if all(np.abs(image - other).max() <= SAME_HU for image, other in pairs):
            return name
    return ""
