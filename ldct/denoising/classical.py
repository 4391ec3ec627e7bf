"""Classical (not learned) methods: load `denoise.py` of a method folder, tune it, apply it.

A classical method folder holds `denoise.py` with

    denoise(slice_hu, parameters) -> slice_hu      float32 HU (rows, columns), required
    tune(pairs, settings) -> parameters            pairs of (quarter_hu, full_hu), optional

`settings` are the card's, `parameters` what `tune` returned (without `tune`: the settings). To
both this module adds one key, `pixel_mm`: the spacing [row, column] of the slice, for `tune` a list
with one entry per pair.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ldct.common.errors import InputError
from ldct.common.files import atomic_path, create_array, write_json
from ldct.common.inputs import import_file, open_array, read_mapping
from ldct.common.progress import track
from ldct.common.provenance import recorded

TUNING = ("tuning_slices", "tuning_crop")
BODY_HU = -300.0  # between lung or fat-free air and soft tissue
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def load_denoiser(folder: str | Path) -> ModuleType:
    """Import `denoise.py` of a method folder from its path.

    Raises InputError where the file or its function `denoise` is missing.
    """
    path = Path(folder) / "denoise.py"
    module = import_file(path)
    if not callable(getattr(module, "denoise", None)):
        raise InputError(
            f"{path}: function denoise is missing; expected denoise(slice_hu, parameters)"
        )
    return module


def tune_classical(
    method_folder: str | Path,
    settings: Mapping[str, Any],
    volume_folders: Sequence[str | Path],
    output_json: str | Path,
) -> None:
    """Find the parameters of a classical method on training volumes and write them as JSON.

    settings : the card's settings. Two are read here: `tuning_slices` (how many slices, evenly
        spaced over all slices of all training volumes) and `tuning_crop` (side in pixels of the
        square around the body centre that each slice is cut to).
    volume_folders : folders of TRAINING patients, each with full.npy, quarter.npy, volume.json.
    A method without `tune` gets its settings as parameters and no volume is read.
    """
    module = load_denoiser(method_folder)
    volume_folders = [Path(folder) for folder in volume_folders]
    volumes = [f / name for f in volume_folders for name in ("full.npy", "quarter.npy")]
    with recorded([output_json], [Path(method_folder) / "denoise.py", *volumes], settings):
        parameters = dict(settings)
        if hasattr(module, "tune"):
            missing = [key for key in TUNING if key not in settings]
            if missing:
                raise InputError(
                    f"{method_folder}: settings: found no {', '.join(missing)}, which tune() "
                    "needs; add them to the card's settings"
                )
            pairs, pixel_mm = training_crops(volume_folders, *(settings[key] for key in TUNING))
            parameters = module.tune(pairs, {**settings, "pixel_mm": pixel_mm})
        write_json(output_json, parameters)


def training_crops(
    volume_folders: Sequence[Path], slices: int, crop: int
) -> tuple[list[tuple[np.ndarray, np.ndarray]], list[list[float]]]:
    """Crops of evenly spaced training slices, by rule: no image is looked at to choose them.

    slices : number of crops; the slices lie in the middles of `slices` equal parts of all
        training slices, the volumes one after another.
    crop : side in pixels of the square around the centroid of the body (full dose above -300 HU),
        moved inside the image and cut to its size where the image is smaller.

    Returns pairs (quarter_hu, full_hu) of float32 arrays, and [row, column] spacing in mm of each.
    """
    if not volume_folders:
        raise InputError("classical method: no training volume given; it is tuned on at least one")
    lengths = [len(open_array(f / "full.npy")) for f in volume_folders]
    starts = np.concatenate([[0], np.cumsum(lengths)])
    wanted = ((np.arange(slices) + 0.5) / slices * starts[-1]).astype(int)
    pairs, pixel_mm = [], []
    for position in wanted:
        volume = int(np.searchsorted(starts, position, side="right")) - 1
        folder, row = volume_folders[volume], position - starts[volume]
        full = open_array(folder / "full.npy")[row].astype(np.float32)
        quarter = open_array(folder / "quarter.npy")[row].astype(np.float32)
        window = _square_around_body(full, crop)
        pairs.append((quarter[window], full[window]))
        pixel_mm.append(read_mapping(folder / "volume.json", "pixel_mm")["pixel_mm"])
    return pairs, pixel_mm


def denoise_classical(
    method_folder: str | Path,
    parameters_json: str | Path,
    test_folder: str | Path,
    output_npy: str | Path,
    workers: int,
) -> None:
    """Denoise every slice of a test-set folder and write the prediction, float32 HU.

    workers : number of processes, one slice and one thread each. The result has the same bits
        for any number. The processes are spawned: a script that calls this needs the usual
        `if __name__ == "__main__"` guard.

    Raises InputError where the method returns another shape or a value that is not finite.
    """
    test_folder, code = Path(test_folder), Path(method_folder) / "denoise.py"
    info = read_mapping(test_folder / "volume.json", "patient", "pixel_mm")
    parameters = {**read_mapping(parameters_json), "pixel_mm": info["pixel_mm"]}
    shape = open_array(test_folder / "quarter.npy").shape
    job = (str(method_folder), str(test_folder), parameters)
    inputs = [code, parameters_json, test_folder / "quarter.npy"]
    with recorded([output_npy], inputs, {"workers": workers}), atomic_path(output_npy) as temporary:
        output = create_array(temporary, shape, np.float32)
        with _single_threaded_pool(workers) as pool:
            slices = pool.map(_denoise_row, [job] * shape[0], range(shape[0]))
            label = f"{Path(method_folder).name} {info['patient']}"
            for row, image in enumerate(track(slices, label, shape[0])):
                output[row] = image
        output.flush()
        del output


def _square_around_body(full_hu: np.ndarray, side: int) -> tuple[slice, slice]:
    body = full_hu > BODY_HU
    shape = np.array(full_hu.shape)
    centre = np.argwhere(body).mean(axis=0) if body.any() else (shape - 1) / 2
    size = np.minimum(side, shape)
    first = np.clip(np.rint(centre - size / 2), 0, shape - size).astype(int)
    return tuple(slice(a, a + n) for a, n in zip(first, size, strict=True))


@contextmanager
def _single_threaded_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of spawned processes whose numerical libraries use one thread each.

    The libraries read these variables when they are loaded, so they must stand in the
    environment before the children start; the parent's own are put back afterwards.
    """
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            yield pool
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


_load_in_worker = cache(load_denoiser)


def _denoise_row(job: tuple[str, str, Mapping[str, Any]], row: int) -> np.ndarray:
    method_folder, test_folder, parameters = job
    path = Path(test_folder) / "quarter.npy"
    slice_hu = open_array(path)[row].astype(np.float32)
    result = _load_in_worker(method_folder).denoise(slice_hu, parameters)
    where = f"{Path(method_folder) / 'denoise.py'}: slice {row} of {path}"
    return checked_slice(result, slice_hu.shape, where)


def checked_slice(result: Any, shape: tuple[int, ...], where: str) -> np.ndarray:
    """What a `denoise` returned, as float32; InputError where it is no slice of finite HU."""
    result = np.asarray(result)
    if result.shape != shape:
        raise InputError(f"{where}: denoise returned shape {result.shape}, expected {shape}")
    if not np.isfinite(result).all():
        raise InputError(f"{where}: denoise returned NaN or infinite values, expected finite HU")
    return result.astype(np.float32, copy=False)
