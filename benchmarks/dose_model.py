"""What each term of the dose simulation does, against closed forms and on a made-up scan.

    python benchmarks/dose_model.py --slices 6 --draws 12 --workers 2

No speed and no real data. The first table holds every term of `DoseSettings` against what physics
says of water. The second takes a made-up abdomen whose quarter dose was drawn with all terms as the
truth, and switches them on one after the other: how far off the simulation is without them. It says
what a term is worth where scanners work as modelled; what real pairs say is in docs/data.md.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import fft, ndimage

sys.path.insert(0, str(Path(__file__).parents[1]))

from ldct.data.dose.fan_beam import FanBeamGeometry, filter_response
from ldct.data.dose.kernels import TABLE_PER_MM, TABLES, kernel_response
from ldct.data.dose.modulation import WATER_PER_MM, Exposure, photon_loss, physical_photons
from ldct.data.dose.noise_level import difference_noise
from ldct.data.dose.settings import DoseSettings
from ldct.data.dose.simulate import (
    added_noise,
    calibrate_photons,
    line_integrals,
    noise_std,
    simulate_quarter_dose,
    slice_generator,
)
from ldct.data.noise import soft_tissue, soft_tissue_noise

WATER_SIZE, BODY_SIZE, PIXEL_MM, PHOTONS = 384, 512, 0.7, 2e5
# rms over slices of the PSNR's error in dB; std of quarter minus full dose, simulated over true, by
# slice: smallest, largest, spread; correlation of the log std of blocks; simulated over true.
# Of one and the same model, rows/columns differ by 5 % from draw to draw.
COLUMNS = (
    "PSNR error",
    "std from",
    "std to",
    "std CV",
    "blocks",
    "frequency",
    "rows/columns",
    "deep/rim",
)
WINDOW_HU = (-160, 240)
PARALLEL = FanBeamGeometry(parallel=True)
ALL_ON = DoseSettings(
    geometry=PARALLEL, kernel="B30f", angular_modulation=0.5, tube_current="header", bowtie=0.5
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=6, help="of the made-up scan (default 6)")
    parser.add_argument("--draws", type=int, default=12, help="of water's noise (default 12)")
    parser.add_argument("--workers", type=int, default=2, help="threads (default 2)")
    options = parser.parse_args()
    print(f"{'term':16s}{'what':56s}{'expected':>9s}{'drawn':>9s}{'off by':>8s}")
    for term, what, expected, drawn in closed_forms(options.draws):
        print(f"{term:16s}{what:56s}{expected:9.3f}{drawn:9.3f}{drawn / expected - 1:+8.1%}")
    print(f"\n{'terms so far':26s}" + "".join(f"{column:>14s}" for column in COLUMNS))
    for name, numbers in one_by_one(options.slices, options.workers):
        print(f"{name:26s}" + "".join(f"{number:14.2f}" for number in numbers))


def closed_forms(draws: int) -> Iterator[tuple[str, str, float, float]]:
    """Term, what is compared, what a closed form says, what the simulation draws."""
    x, y = grid(WATER_SIZE)
    radius = np.hypot(x, y)
    water, oval = (
        np.where(inside, 0, -1000).astype(np.float32)
        for inside in (radius < 125, np.hypot(x / 125, y / 80) < 1)
    )
    seen = PARALLEL.narrowed(WATER_SIZE / 2 * PIXEL_MM)
    plain = DoseSettings(geometry=seen, electronic_noise=0)
    body = spectrum(noise_of(water, plain, draws))
    for kernel, table in TABLES.items():
        drawn = spectrum(noise_of(water, replace(plain, kernel=kernel), draws))
        amplitude = np.sqrt(drawn / body) * kernel_response(np.array(TABLE_PER_MM))
        for place in (3, 5, 8):
            what = f"{kernel}: amplitude over the ramp at {TABLE_PER_MM[place]:.2f}/mm"
            yield "kernel", what, table[place], amplitude[place]

    volume = np.stack([water] * 3)
    slices = simulate(
        volume, PHOTONS, replace(plain, tube_current="header"), 5, 1, current(2, 1, 3)
    )
    variances = [hu[radius < 100].var() for hu in slices]
    for name, place, expected in (("half", 1, 2.0), ("3 / 2", 2, 2 / 3)):
        what = f"water, variance at {name} of the current"
        yield "tube current", what, expected, variances[place] / variances[0]

    for k in (0.0, 0.5):
        settings = replace(plain, angular_modulation=k)
        by_view = view_variance(oval, settings, 0, 0).reshape(2, -1).sum(axis=0)
        angle = np.arange(by_view.size) / by_view.size * 180
        # Rays along rows leave streaks along rows.
        rows = by_view[np.minimum(angle, 180 - angle) < 22.5].sum()
        columns = by_view[np.abs(angle - 90) < 22.5].sum()
        what = f"oval, exponent {k}: streaks along rows over columns"
        yield "angular", what, rows / columns, directions(noise_of(oval, settings, draws))

    for beam, bowtie in (("fan", 0.0), ("parallel", 0.0), ("parallel", 0.5)):
        geometry = replace(seen, parallel=beam == "parallel")
        settings = replace(plain, geometry=geometry, bowtie=bowtie)
        noise = noise_of(water, settings, draws)
        expected = predicted_std(water, settings, 115, 0) / predicted_std(water, settings, 0, 0)
        drawn = noise[:, np.abs(radius - 115) < 3].std() / noise[:, radius < 20].std()
        what = f"water, {beam}, bow-tie {bowtie}: std 10 mm from rim / centre"
        yield "beam, bowtie", what, expected, drawn

    for kilovolts, mas, thickness_mm in ((120, 200, 3), (100, 200, 3), (120, 200, 1)):
        exposure = Exposure(mas=mas, kilovolts=kilovolts, thickness_mm=thickness_mm)
        settings = replace(plain, kernel="B30f", bowtie=0.5, fit="photons_per_mas")
        photons = physical_photons(settings, exposure)
        drawn = noise_of(water, settings, draws, photons)[:, radius < 20].std()
        what = f"water, {kilovolts} kV, {mas} mAs, {thickness_mm} mm, B30f: HU at centre"
        yield "photons per mAs", what, predicted_std(water, settings, 0, 0, photons), drawn


def one_by_one(slices: int, workers: int) -> Iterator[tuple[str, list[float]]]:
    """Terms so far, and how the simulation with them compares with the truth."""
    anatomy, exposure = abdomen(slices)
    photons = physical_photons(replace(ALL_ON, fit="photons_per_mas"), exposure)
    full = simulate(anatomy, photons, replace(ALL_ON, dose_fraction=0.5), 1, workers, exposure)
    truth = simulate(full, photons, ALL_ON, 2, workers, exposure)
    tissue = soft_tissue(full)
    ratio = soft_tissue_noise(truth, tissue) / soft_tissue_noise(full, tissue)
    difference = difference_noise(truth - full.astype(np.float32), tissue)
    settings = DoseSettings(noise_ratio=ratio)
    steps = {
        "none": {},
        "+ kernel": {"kernel": "B30f"},
        "+ angular": {"angular_modulation": 0.5},
        "+ parallel": {"geometry": PARALLEL},
        "+ bow-tie": {"bowtie": 0.5},
        "+ current by attenuation": {"tube_current": "attenuation"},
        "+ current of the header": {"tube_current": "header"},
        "+ fit of the difference": {"fit": "difference", "difference_hu": difference},
        "no fit: photons per mAs": {"fit": "photons_per_mas", "difference_hu": None},
    }
    for name, term in steps.items():
        settings = replace(settings, **term)
        photons = calibrate_photons(full, PIXEL_MM, settings, exposure)
        yield name, compared(full, truth, simulate(full, photons, settings, 3, workers, exposure))


def compared(full: np.ndarray, truth: np.ndarray, simulated: np.ndarray) -> list[float]:
    """The second table's numbers."""
    tissue = soft_tissue(full)
    errors = psnr(full, simulated) - psnr(full, truth)
    real, ours = (low.astype(np.float32) - full for low in (truth, simulated))
    stds = [
        [noise[where].std() for noise, where in zip(noises, tissue, strict=True)]
        for noises in (ours, real)
    ]
    ratio = np.divide(*stds)
    blocks = np.corrcoef(*(block_log_std(noise, full) for noise in (ours, real)))[0, 1]
    shares = [measure(ours) / measure(real) for measure in (mean_frequency, directions)]
    depth = np.stack([ndimage.distance_transform_edt(hu > -300) for hu in full]) * PIXEL_MM
    rim = (depth > 5) & (depth < 20)
    deep = [noise[depth > 60].std() / noise[rim].std() for noise in (ours, real)]
    spread = ratio.std() / ratio.mean()
    numbers = [np.sqrt(np.mean(errors**2)), ratio.min(), ratio.max(), spread, blocks, *shares]
    return [*numbers, np.divide(*deep)]


def abdomen(slices: int) -> tuple[np.ndarray, Exposure]:
    """Ovals that grow along z, with fat, spine and liver, int16 HU; and a current that follows."""
    scan = np.empty((slices, BODY_SIZE, BODY_SIZE), np.int16)
    x, y = grid(BODY_SIZE)
    currents = []
    for index, size in enumerate(np.linspace(0.85, 1.1, slices)):
        across, along = x / (160 * size), y / (105 * size)
        radius = np.hypot(across, along)
        hu = np.where(radius < 1, -100.0, -1000.0)
        hu[radius < 0.88] = 45
        hu[np.hypot(across + 0.4, along + 0.1) < 0.38] = 75
        hu[np.hypot(across, along - 0.55) < 0.17] = 500
        hu[np.hypot(across - 0.3, along + 0.35) < 0.15] = -700
        scan[index] = hu
        largest = line_integrals(hu, PIXEL_MM, ALL_ON).max(axis=1).mean()
        # The tube follows the patient up to its limit, and wavers a little.
        currents.append(min(200 * np.exp(0.8 * (largest - 6)) * (1 + 0.08 * (-1) ** index), 330))
    mas = float(np.mean(currents)) * 0.5 / 0.8
    return scan, Exposure(tuple(currents), mas, kilovolts=120.0, thickness_mm=3.0)


def simulate(
    full: np.ndarray,
    photons: float,
    settings: DoseSettings,
    seed: int,
    workers: int,
    exposure: Exposure,
) -> np.ndarray:
    return simulate_quarter_dose(full, PIXEL_MM, photons, settings, seed, workers, exposure)


def current(*milliampere: float) -> Exposure:
    return Exposure(current_ma=milliampere)


def grid(size: int) -> list[np.ndarray]:
    """x and y of the pixels' centres, in mm."""
    axis = (np.arange(size) - (size - 1) / 2) * PIXEL_MM
    return np.meshgrid(axis, axis)


def noise_of(
    hu: np.ndarray, settings: DoseSettings, draws: int, photons: float = PHOTONS
) -> np.ndarray:
    """Draws of the noise of one slice, the same random numbers each time."""
    generators = (slice_generator(7, draw) for draw in range(draws))
    return np.stack([added_noise(hu, PIXEL_MM, photons, settings, rng) for rng in generators])


def view_variance(
    hu: np.ndarray, settings: DoseSettings, x_mm: float, y_mm: float, photons: float = PHOTONS
) -> np.ndarray:
    """Variance in HU^2 that each view brings to a point."""
    geometry = settings.geometry
    integrals = line_integrals(hu, PIXEL_MM, settings)
    std = noise_std(integrals + photon_loss(integrals, settings), photons, settings)
    view = 2 * np.pi * np.arange(geometry.views) / geometry.views
    depth = geometry.source_centre_mm - x_mm * np.cos(view) - y_mm * np.sin(view)
    side = x_mm * np.sin(view) - y_mm * np.cos(view)
    fan = np.arctan2(side, depth)
    weight = geometry.source_centre_mm * np.cos(fan) / (side**2 + depth**2)
    cell = fan / geometry.pitch
    if geometry.parallel:
        weight, cell = 1.0, side / geometry.spacing_mm
    nearest = np.round(cell + (geometry.cells - 1) / 2).astype(int)
    response = filter_response(geometry, settings.kernel)
    # Linear interpolation between samples half a cell apart, mean over all places between them.
    between = np.cos(2 * np.pi * fft.rfftfreq(2 * (response.size - 1)) / 2)
    passed = np.mean(response**2 * (2 + between) / 3)
    scale = (1000 / WATER_PER_MM * 2 * np.pi / geometry.views) ** 2
    return std[np.arange(geometry.views), nearest] ** 2 * weight**2 * passed * scale


def predicted_std(
    hu: np.ndarray, settings: DoseSettings, x_mm: float, y_mm: float, photons: float = PHOTONS
) -> float:
    return float(np.sqrt(view_variance(hu, settings, x_mm, y_mm, photons).sum()))


def power(noise: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean power of the middle of images, and frequency along columns and rows, in 1/mm."""
    start = (noise.shape[-1] - 160) // 2
    middle = noise[:, start : start + 160, start : start + 160]
    window = np.hanning(160)
    power = (np.abs(np.fft.fft2(middle * window * window[:, None])) ** 2).mean(axis=0)
    axis = np.fft.fftfreq(160, PIXEL_MM)
    return power, *np.meshgrid(axis, axis)


def spectrum(noise: np.ndarray) -> np.ndarray:
    """Power at the frequencies of the kernels' tables."""
    density, across, along = power(noise)
    frequency = np.hypot(across, along)
    rings = [np.abs(frequency - centre) < 0.015 for centre in TABLE_PER_MM]
    return np.array([density[ring].mean() for ring in rings])


def mean_frequency(noise: np.ndarray) -> float:
    density, across, along = power(noise)
    return float((np.hypot(across, along) * density).sum() / density.sum())


def directions(noise: np.ndarray) -> float:
    """Power of streaks along rows (within 22.5 degrees) over that of streaks along columns."""
    density, across, along = power(noise)
    angle = np.degrees(np.arctan2(np.abs(along), np.abs(across)))
    return float(density[angle > 67.5].sum() / density[angle < 22.5].sum())


def block_log_std(noise: np.ndarray, full: np.ndarray) -> np.ndarray:
    """Log std of 32 x 32 blocks inside the body."""
    sides = (len(noise), BODY_SIZE // 32, 32, BODY_SIZE // 32, 32)
    inside = (full > -300).reshape(sides).all(axis=(2, 4))
    return np.log(noise.reshape(sides).std(axis=(2, 4))[inside])


def psnr(full: np.ndarray, low: np.ndarray) -> np.ndarray:
    """PSNR of each slice in the abdominal window, in dB."""
    clipped = [np.clip(hu.astype(float), *WINDOW_HU) for hu in (full, low)]
    square = ((clipped[0] - clipped[1]) ** 2).mean(axis=(1, 2))
    return 10 * np.log10((WINDOW_HU[1] - WINDOW_HU[0]) ** 2 / square)


if __name__ == "__main__":
    main()
