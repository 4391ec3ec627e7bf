"""One scan, DICOM or NIfTI, denoised: what `ldct denoise` does, step by step."""

import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from ldct.common.errors import InputError
from ldct.common.files import atomic_folder
from ldct.data.orientation import plane
from ldct.metrics.protocol import Protocol
from ldct.scan.applying import Engine, denoise_volume
from ldct.scan.merging import merge
from ldct.scan.method import Method
from ldct.scan.nifti import is_nifti, read_nifti, same_grid, write_nifti
from ldct.scan.scores import find_partners, score_volumes
from ldct.scan.series import find_series, read_volume, write_series
from ldct.weights.describe import quarter_noise_hu

AIR_HU = -500  # any scan of a body has pixels below


def check_places(source: Path, output: Path) -> None:
    """Raise InputError where the output is there already, lies in the input, or is of its kind."""
    if is_nifti(source) != is_nifti(output):
        expected = "a file name that ends in .nii.gz" if is_nifti(source) else "a new folder"
        raise InputError(f"{output}: expected {expected}, as the input {source} is")
    if output.suffix.lower() in (".dcm", ".ima"):
        raise InputError(f"{output}: expected the name of a new folder, without {output.suffix}")
    if output.is_file() or (output.is_dir() and any(output.iterdir())):
        raise InputError(f"{output}: is there already; name another output, or remove it first")
    if output.resolve().is_relative_to(source.resolve()):
        raise InputError(f"{output}: lies in the input {source}; name a place outside of it")


def denoise_dicom(
    source: Path,
    output: Path,
    method: Method,
    engine: Engine,
    reference: Path | None = None,
    protocols: Sequence[Protocol] = (),
) -> list[pd.DataFrame]:
    """Write a derived series for each CT series of a file or folder, in the same layout.

    reference : folder with the full dose of the same scans. Returns the scores of each series that
    has one (`score_volumes`). Nothing is written where anything fails (InputError).
    """
    found, scored = find_series(source), []
    others = find_series(reference) if reference else []
    partners = [find_partners(series, others) for series in found]
    if others and not any(partners):
        raise InputError(
            f"{reference}: no slice of another series lies where the input's do; expected the full "
            "dose of the same scan: equal positions, rows, columns and pixel spacing"
        )
    with atomic_folder(output) as folder:
        for number, series in enumerate(found, 1):
            name, volume = f"series {number} of {len(found)}", read_volume(series)
            first, partner = series.first, partners[number - 1]
            tell_series(name, volume, first.kernel, first.thickness_mm, method)
            if (lies := plane(first.orientation)) != "axial":
                tell(f"warning: {name} is {lies or 'oblique'}; methods are made for axial slices")
            with _work_folder(output) as work:
                denoised = denoise_volume(method, volume, first.pixel_mm, work, engine)
                clipped = write_series(series, denoised, method.hu, method.maker, folder)
                tell_clipped(name, clipped)
                if partner:
                    full, rows = read_volume(partner[0]), partner[1]
                    table = score_volumes(work, volume[rows], denoised[rows], full, protocols)
                    table.insert(0, name, f"{len(rows)} of {len(volume)} slices")
                    scored.append(table)
    return scored


def denoise_nifti(
    source: Path,
    output: Path,
    method: Method,
    engine: Engine,
    reference: Path | None = None,
    protocols: Sequence[Protocol] = (),
) -> list[pd.DataFrame]:
    """Write the denoised twin of a NIfTI volume in HU; as `denoise_dicom`."""
    scan = read_nifti(source)
    full = read_nifti(reference) if reference else None
    if full and not same_grid(scan, full):
        raise InputError(f"{reference}: has other voxels than {source}; expected the same scan")
    volume = scan.volume
    tell_series("volume", volume, "", scan.spacing_mm, method)
    scored = []
    with _work_folder(output) as work:
        denoised = denoise_volume(method, volume, scan.pixel_mm, work, engine)
        merged, clipped = merge(scan.stored, denoised, scan.coding, method.hu)
        tell_clipped("volume", clipped)
        if full:
            written = merged * float(scan.coding.slope) + scan.coding.intercept
            scored.append(score_volumes(work, volume, written, full.volume, protocols))
    write_nifti(scan, merged, method.card["title"], output)
    return scored


def tell_series(
    name: str, volume: np.ndarray, kernel: str, thickness_mm: float, method: Method
) -> None:
    """Say what a series is like, and warn where it lies outside of what the method has seen."""
    try:
        noise_hu = quarter_noise_hu(volume)
    except InputError:  # no soft tissue
        noise_hu = math.nan
    size = f"{len(volume)} slice{'s'[: len(volume) > 1]} of {volume.shape[1]} x {volume.shape[2]}"
    thickness, noise = (_known(*each) for each in ((thickness_mm, "mm"), (noise_hu, "HU")))
    tell(f"{name}: {size}, kernel {kernel or 'unknown'}, thickness {thickness}, noise {noise}")
    if outside := method.outside(kernel, thickness_mm, noise_hu):
        tell(f"warning: {name} lies outside of what {method.name} has seen: {'; '.join(outside)}")
    if volume.min() > AIR_HU:
        tell(f"warning: {name} has no pixel below {AIR_HU} HU; is it in HU?")


def _known(value: float, unit: str) -> str:
    return "unknown" if math.isnan(value) else f"{value:.3g} {unit}"


def tell_clipped(name: str, pixels: int) -> None:
    """Say how many pixels did not fit into the stored range; nothing for none."""
    if pixels:
        tell(f"{name}: {pixels} pixels clipped to the range that the source's bits hold")


def tell(line: str) -> None:
    """A line for the person at the keyboard."""
    print(line, file=sys.stderr)


@contextmanager
def _work_folder(output: Path) -> Iterator[Path]:
    """A folder on the disk of the output, gone at the end."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".ldct-", dir=output.parent) as folder:
        yield Path(folder)
