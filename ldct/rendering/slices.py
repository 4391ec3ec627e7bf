"""Slices and regions of test sets, for figures that show images."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ldct.common.errors import InputError
from ldct.common.inputs import open_array, open_prediction
from ldct.rendering.numbers import number

Roi = tuple[int, int, int, int]  # first row, end row, first column, end column (exclusive)


def predictions_by_patient(
    predictions: list[Path], titles: list[tuple[str, str]]
) -> dict[str, dict[str, Path]]:
    """Patient to {title: file}, in the order of `titles`.

    predictions : paths `.../<method>/<seed>/<patient>.npy`; those without a title are left out.
    Raises InputError where a file is missing.
    """
    for path in predictions:
        if not path.is_file():
            raise InputError(f"{path}: not found; make this prediction first")
    found: dict[str, dict[str, Path]] = {}
    for method, title in titles:
        for path in predictions:
            if path.parent.parent.name == method:
                found.setdefault(path.stem, {})[title] = path
    return found


def different_rows(folder: Path) -> list[int]:
    """Rows of a test-set folder whose doses differ: equal doses show nothing."""
    ldct, ndct = open_prediction(folder / "quarter.npy", folder)
    return [row for row in range(len(ndct)) if not np.array_equal(ldct[row], ndct[row])]


def central_region(folder: Path) -> tuple[Path, int, Roi]:
    """The folder, its middle slice, and the middle quarter of it (top, bottom, left, right).

    The middle of those whose doses differ.
    """
    slices, rows, columns = open_array(folder / "full.npy").shape
    top, left = (rows - rows // 4) // 2, (columns - columns // 4) // 2
    chosen = different_rows(folder) or range(slices)
    return folder, chosen[len(chosen) // 2], (top, top + rows // 4, left, left + columns // 4)


def load_slice(
    test_folder: str | Path, predictions: Mapping[str, str | Path], row: int
) -> dict[str, np.ndarray]:
    """One slice of a test-set folder: LDCT, every prediction in order, NDCT; float32 HU.

    Raises InputError where a file is no array, or a prediction has another shape than NDCT.
    """
    folder = Path(test_folder)
    paths = {"LDCT": folder / "quarter.npy", **predictions, "NDCT": folder / "full.npy"}
    return {
        title: open_prediction(path, folder)[0][row].astype(np.float32)
        for title, path in paths.items()
    }


def score_text(score: Mapping[str, float] | None) -> str:
    """`26.85 dB / 0.871`; nothing without a score, and words where both doses are equal (NaN)."""
    if not score:
        return ""
    if np.isnan(score["psnr"]):
        return "doses equal"
    return f"{number(score['psnr'], 2)} dB / {number(score['ssim'], 3)}"
