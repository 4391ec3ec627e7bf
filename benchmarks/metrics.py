"""PSNR + SSIM per 512x512 slice, scaling included: ours beside plain scikit-image in float64.

Run with `python benchmarks/metrics.py`. Both are measured in turns in one process, in CPU time
(steady on a shared machine); the median of the rounds is printed.
"""

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from ldct.metrics.pixelwise import slice_scores
from ldct.metrics.protocol import load_protocol

PROTOCOL = Path(__file__).parents[1] / "config" / "protocols" / "abdomen.yaml"
ROUNDS = 15
LIMIT_MS = 35.0


def main() -> None:
    protocol = load_protocol(PROTOCOL)
    prediction, ndct = example_pair()

    def naive() -> tuple[float, float]:
        lower, upper = protocol.window
        x, y = (
            ((image.astype(np.float64) - lower) / (upper - lower)).clip(0, 1)
            for image in (prediction, ndct)
        )
        return (
            peak_signal_noise_ratio(y, x, data_range=1.0),
            structural_similarity(y, x, data_range=1.0),
        )

    def ours() -> tuple[float, float]:
        scores = slice_scores(prediction, ndct, protocol)
        return scores["psnr"], scores["ssim"]

    difference = np.abs(np.subtract(naive(), ours())).max()
    rounds = [(cpu_ms(naive), cpu_ms(ours)) for _ in range(ROUNDS)]
    naive_ms, ours_ms = (median(column) for column in zip(*rounds, strict=True))
    print(f"scikit-image, float64, whole slice  {naive_ms:6.1f} ms per slice")
    print(f"ldct (the same, in bands, + RMSE)   {ours_ms:6.1f} ms per slice, limit {LIMIT_MS:g}")
    print(f"ratio {naive_ms / ours_ms:.2f}; largest difference of the values {difference:.1e}")


def example_pair() -> tuple[np.ndarray, np.ndarray]:
    """A smooth slice (int16 HU) and the same with coloured noise of 30 HU (float32)."""
    rng = np.random.default_rng(0)
    anatomy = gaussian_filter(rng.normal(size=(512, 512)), 8)
    noise = gaussian_filter(rng.normal(size=(512, 512)), 1)
    ndct = (40 + 60 * anatomy / anatomy.std()).astype(np.int16)
    return (ndct + 30 * noise / noise.std()).astype(np.float32), ndct


def cpu_ms(function: Callable[[], object]) -> float:
    started = time.process_time()
    function()
    return 1e3 * (time.process_time() - started)


if __name__ == "__main__":
    main()
