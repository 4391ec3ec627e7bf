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
from ldct.metrics.protocol import Protocol
from ldct.scan.applying import Engine, denoise_volume
from ldct.scan.merging import merge
from ldct.scan.method import Method
from ldct.scan.nifti import is_nifti, read_nifti, same_grid, write_nifti
from ldct.scan.scores import find_reference, score_volumes
from ldct.scan.series import Series, find_series, read_volume, write_series
from ldct.weights.describe import quarter_noise_hu

AIR_HU = -500  # any scan of a body has pixels below
Scored = Sequence[pd.DataFrame]


def check_places(source: Path, output: Path) -> None:
    """Raise InputError where the output is there already, lies in the input, or is of its kind."""
    if is_nifti(source) != is_nifti(output):
        expected = "a file name that ends in .nii.gz" if is_nifti(source) else "a new folder"
        raise InputError(f"{output}: expected {expected}, as the input {source} is")
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
) -> Scored:
    """Write a derived series for each CT series of a file or folder, in the same layout.

    reference : folder with the full dose of the same scans. Returns the scores of each series that
    has one. Nothing is written where anything fails (InputError).
    """
    found = find_series(source)
    others = find_series(reference) if reference else []
    scored = []
    with atomic_folder(output) as folder:
        for number, series in enumerate(found, 1):
            name = f"series {number} of {len(found)}"
            volume, first = read_volume(series), series.first
            tell_series(name, volume, first.kernel, first.thickness_mm, method)
            if series.plane != "axial":
                tell(f"warning: {name} is {series.plane or 'oblique'}; methods are made for axial")
            z_mm = [header.z_mm for header in series.headers]
            info = {"patient": f"scan {number}", "pixel_mm": first.pixel_mm, "z_mm": z_mm}
            with _work_folder(output) as work:
                denoised = denoise_volume(method, volume, info, work, engine)
                clipped = write_series(series, denoised, method.hu, method.maker, folder)
                tell_clipped(name, clipped)
                if others:
                    scored.append(_score(work, series, volume, denoised, others, protocols))
    return scored


def denoise_nifti(
    source: Path,
    output: Path,
    method: Method,
    engine: Engine,
    reference: Path | None = None,
    protocols: Sequence[Protocol] = (),
) -> Scored:
    """Write the denoised twin of a NIfTI volume in HU; as `denoise_dicom`."""
    scan = read_nifti(source)
    full = read_nifti(reference) if reference else None
    if full and not same_grid(scan, full):
        raise InputError(f"{reference}: has other voxels than {source}; expected the same scan")
    volume = scan.volume
    tell_series("volume", volume, "", scan.spacing_mm, method)
    z_mm = (np.arange(len(volume)) * scan.spacing_mm).tolist()
    info = {"patient": "scan", "pixel_mm": scan.pixel_mm, "z_mm": z_mm}
    with _work_folder(output) as work:
        denoised = denoise_volume(method, volume, info, work, engine)
        merged, clipped = merge(scan.stored, denoised, scan.coding, method.hu)
        tell_clipped("volume", clipped)
        write_nifti(scan, merged, method.card["title"], output)
        if full is None:
            return []
        written = merged * float(scan.coding.slope) + scan.coding.intercept
        return [score_volumes(work, volume, written, full.volume, protocols)]


def _score(
    work: Path,
    series: Series,
    volume: np.ndarray,
    denoised: np.ndarray,
    others: Sequence[Series],
    protocols: Sequence[Protocol],
) -> pd.DataFrame:
    partners, rows = find_reference(series, others)
    full = read_volume(partners)
    table = score_volumes(work, volume[rows], denoised[rows], full, protocols)
    table.insert(0, "slices", f"{len(rows)} of {len(volume)}")
    return table


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
