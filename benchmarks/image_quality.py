"""Milliseconds per metric and slice, and from them the time for a test set of 844 slices.

    PYTHONPATH=. python benchmarks/image_quality.py --slices 4

Slices are those of a test folder (`--test-folder results/<run>/test/<patient>`), or synthetic ones
of 512 x 512. PSNR and SSIM are compared with plain whole-slice calls of scikit-image in the same
run, to which they are equal. The other column has figures of public suites, measured on a machine
of the same kind in their own environments: trust the ratio within this run more. CPU time of one
thread.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from ldct.method_check.pair import synthetic_pair
from ldct.metrics.full_reference import gmsd, vif
from ldct.metrics.lpips import Lpips, lpips
from ldct.metrics.pixelwise import slice_scores
from ldct.metrics.protocol import load_protocol
from ldct.metrics.tissues import tissue_fidelity

PAPER_SLICES, METHODS, CORES = 844, 9, 2
# ldct-benchmark: PSNR 9.9, SSIM 23.6, VIF 143, RMSE 0.4 ms; RED-CNN's code: all three 125 ms.
PEER_MS = {"PSNR + SSIM + RMSE": "33.9 and 125", "VIF": "143"}
ALLOWED_MS = 250


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--test-folder", type=Path, help="default: synthetic slices")
    parser.add_argument("--slices", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--protocol", type=Path, default=Path("config/protocols/abdomen.yaml"))
    parser.add_argument("--lpips-weights", type=Path, help="safetensors file for AlexNet")
    options = parser.parse_args()
    torch.set_num_threads(1)
    protocol = load_protocol(options.protocol)
    pairs = slice_pairs(options.test_folder, options.slices)
    units = [(protocol.to_unit(a), protocol.to_unit(b)) for a, b in pairs]

    def plain(ours: np.ndarray, theirs: np.ndarray) -> tuple[float, float]:
        a, b = protocol.to_unit(ours), protocol.to_unit(theirs)
        psnr = peak_signal_noise_ratio(b, a, data_range=1.0)
        return psnr, structural_similarity(b, a, data_range=1.0)

    for pair in pairs:
        found = slice_scores(*pair, protocol)
        np.testing.assert_allclose((found["psnr"], found["ssim"]), plain(*pair), atol=1e-6)
    took = {
        "PSNR + SSIM + RMSE": of(lambda a, b: slice_scores(a, b, protocol), pairs, options.repeats),
        "VIF": of(vif, units, options.repeats),
        "GMSD": of(gmsd, units, options.repeats),
        "HU by tissue": of(tissue_fidelity, pairs, options.repeats),
    }
    reference = of(plain, pairs, options.repeats)
    print(f"{len(pairs)} slices of {pairs[0][0].shape[0]} x {pairs[0][0].shape[1]}, ms per slice")
    for name, milliseconds in took.items():
        peer = f"   (peers: {PEER_MS[name]})" if name in PEER_MS else ""
        print(f"  {name:<20} {milliseconds:7.1f}{peer}")
    total = sum(took.values())
    print(f"  {'all':<20} {total:7.1f}   (allowed: {ALLOWED_MS})")
    if options.lpips_weights:
        metric = Lpips("alex", options.lpips_weights)
        milliseconds = of(lambda a, b: lpips(metric, a, b), units, options.repeats)
        print(f"  {'LPIPS (AlexNet)':<20} {milliseconds:7.1f}")
    print(f"plain scikit-image, PSNR + SSIM: {reference:.1f} ms")
    print(f"ratio plain / ours: {reference / took['PSNR + SSIM + RMSE']:.2f}")
    seconds = PAPER_SLICES * METHODS * took["PSNR + SSIM + RMSE"] / 1000 / CORES
    print(
        f"{PAPER_SLICES} slices x {METHODS} methods, PSNR + SSIM + RMSE, {CORES} cores: "
        f"{seconds:.0f} s (computed from the ms of one slice)"
    )


def slice_pairs(folder: Path | None, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs of (LDCT, NDCT), evenly spaced over the test folder, or synthetic."""
    if folder is None:
        full, quarter = synthetic_pair(count, (512, 512))
    else:
        full, quarter = (np.load(folder / f"{dose}.npy") for dose in ("full", "quarter"))
    rows = np.linspace(0, len(full) - 1, min(count, len(full))).astype(int)
    return [(quarter[row].astype(np.float32), full[row].astype(np.float32)) for row in rows]


def of(measure: Callable, pairs: list, repeats: int) -> float:
    """Smallest mean CPU time in ms per slice over the repeats, after one call to warm up."""
    measure(*pairs[0])
    times = []
    for _ in range(repeats):
        started = time.process_time()
        for pair in pairs:
            measure(*pair)
        times.append((time.process_time() - started) / len(pairs))
    return 1000 * min(times)


if __name__ == "__main__":
    main()
