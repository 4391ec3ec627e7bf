"""BM3D: seconds per slice with one process and with several, next to fast non-local means.

python benchmarks/bm3d_speed.py --slices 4 --workers 2 --size 512
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from skimage.restoration import denoise_nl_means

from ldct.denoising.classical import denoise_classical

NOISE_HU = 30.0
METHODS = Path(__file__).parent.parent / "methods"
PARAMETERS = {
    "bm3d": {"sigma_hu": NOISE_HU},
    "bm3d_psd": {
        "frequencies_per_mm": [0.0, 0.25, 0.8],
        "profile": [0.2, 4.0, 0.0],
        "band_sigmas_px": [1.0, 2.0],
        "fallback_level_hu": NOISE_HU,
        "factor": 1.0,
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=2)
    parser.add_argument("--size", type=int, default=512, help="rows and columns of a slice")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        test_folder = write_test_folder(Path(name) / "test", options.slices, options.size)
        for method, parameters in PARAMETERS.items():
            parameters_json = Path(name) / f"{method}.json"
            parameters_json.write_text(json.dumps({**parameters, "hu_per_unit": 400.0}))
            seconds = []
            for workers in (1, options.workers):
                started = time.perf_counter()
                denoise_classical(
                    METHODS / method, parameters_json, test_folder, Path(name) / "p.npy", workers
                )
                seconds.append((time.perf_counter() - started) / options.slices)
            print(
                f"{method}: {seconds[0]:.2f} s a slice with 1 process, {seconds[1]:.2f} s with "
                f"{options.workers} ({seconds[0] / seconds[1]:.2f} times as fast)"
            )
        noisy = np.load(test_folder / "quarter.npy")[0] / 400.0
        started = time.perf_counter()
        denoise_nl_means(noisy, h=0.8 * NOISE_HU / 400, sigma=NOISE_HU / 400, fast_mode=True)
        print(f"scikit-image fast non-local means: {time.perf_counter() - started:.2f} s a slice")


def write_test_folder(folder: Path, slices: int, size: int) -> Path:
    """Noisy discs in the format of a test-set folder."""
    folder.mkdir()
    rows, columns = np.mgrid[:size, :size] / size - 0.5
    radius = np.hypot(rows, columns)
    disc = np.select([radius < 0.15, radius < 0.45], [90.0, 40.0], -1000.0)
    noise = np.random.default_rng(0).normal(0, NOISE_HU, (slices, size, size))
    np.save(folder / "quarter.npy", (disc + noise).astype(np.int16))
    info = {"patient": "disc", "pixel_mm": [0.7, 0.7]}
    (folder / "volume.json").write_text(json.dumps(info))
    return folder


if __name__ == "__main__":
    main()
