"""Time per slice of the dose simulation, next to scikit-image's parallel beam on this machine.

    python benchmarks/dose_simulation.py --slices 8 --workers 2

Prints wall and CPU seconds per 512x512 slice at the default settings, and scikit-image's radon and
iradon for as many views over half a turn as the simulation has over a whole one (the same number
of different rays), one slice, in the same run.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from skimage.transform import iradon, radon

sys.path.insert(0, str(Path(__file__).parents[1]))

from ldct.data.dose.fan_beam import FanBeamGeometry
from ldct.data.dose.projector import filtered_backproject, forward_project
from ldct.data.dose.settings import DoseSettings
from ldct.data.dose.simulate import simulate_quarter_dose

SIZE = 512
PIXEL_MM = 0.7
PHOTONS = 2e5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=4, help="slices to simulate (default 4)")
    parser.add_argument("--workers", type=int, default=2, help="threads (default 2)")
    arguments = parser.parse_args()

    volume = phantom(arguments.slices)
    geometry = FanBeamGeometry()
    per_mm = (np.clip(volume[0], -1000, None) + 1000).astype(np.float32) * np.float32(0.0192 / 1000)
    warm_up(volume, geometry)

    sinogram, forward = timed(lambda: forward_project(per_mm, PIXEL_MM, geometry))
    _, back = timed(lambda: filtered_backproject(sinogram, PIXEL_MM, per_mm.shape, geometry))
    _, whole = timed(
        lambda: simulate_quarter_dose(
            volume, PIXEL_MM, PHOTONS, DoseSettings(), seed=0, workers=arguments.workers
        )
    )
    degrees = np.linspace(0, 180, geometry.views // 2, endpoint=False)
    theirs, theirs_forward = timed(lambda: radon(per_mm, degrees, circle=True))
    _, theirs_back = timed(lambda: iradon(theirs, degrees, circle=True))

    simulation = tuple(seconds / arguments.slices for seconds in whole)
    report("forward projection, all views, one thread", forward)
    report("filtered back-projection, one thread", back)
    report(f"whole simulation per slice, {arguments.workers} threads", simulation)
    report("scikit-image radon", theirs_forward)
    report("scikit-image iradon", theirs_back)
    wall = (theirs_forward[0] + theirs_back[0]) / (forward[0] + back[0])
    cpu = (theirs_forward[1] + theirs_back[1]) / (forward[1] + back[1])
    print(f"{'scikit-image over ours, both operators':45s} wall {wall:6.1f}    CPU {cpu:6.1f}")


def phantom(slices: int) -> np.ndarray:
    """Water ellipse with bone and lung in noisy air, int16 HU."""
    axis = (np.arange(SIZE) - (SIZE - 1) / 2) * PIXEL_MM
    x, y = np.meshgrid(axis, axis)
    hu = np.where((x / 160) ** 2 + (y / 110) ** 2 < 1, 40.0, -1000.0)
    hu[np.hypot(x - 70, y) < 40] = -800
    hu[np.hypot(x, y - 70) < 20] = 700
    noise = np.random.default_rng(0).normal(0, 15, (slices, SIZE, SIZE))
    return np.rint(hu + noise).astype(np.int16)


def warm_up(volume: np.ndarray, geometry: FanBeamGeometry) -> None:
    """Compile before the clock starts."""
    simulate_quarter_dose(volume[:1], PIXEL_MM, PHOTONS, DoseSettings(geometry=geometry), seed=0)


def timed(work: Callable[[], Any]) -> tuple[Any, tuple[float, float]]:
    """Result of `work`, and its seconds: wall, CPU."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, (time.perf_counter() - wall, time.process_time() - cpu)


def report(label: str, seconds: tuple[float, float]) -> None:
    print(f"{label:45s} wall {seconds[0]:6.3f} s  CPU {seconds[1]:6.3f} s")


if __name__ == "__main__":
    main()
