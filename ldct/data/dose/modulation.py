"""How many photons each ray starts with: bow-tie, tube current by view and slice, and mAs.

The noise of a reading depends on exp(p) / N0 alone, so a ray that starts with exp(-q) N0 photons is
one whose line integral is larger by q: `photon_loss` gives q.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ldct.common.errors import InputError
from ldct.data.dose.fan_beam import FanBeamGeometry
from ldct.data.dose.settings import DoseSettings

WATER_PER_MM = 0.0192  # attenuation of water near 70 keV
BOWTIE_CYLINDER_MM = 220.0  # diameter
REFERENCE_BODY_MM = 300.0  # of water; there the current of `attenuation` is 1
# Photons that reach a cell per effective mAs: 2.1 to 2.7 thousand in four AAPM scans at 120 kV and
# 1.4 thousand in one at 100 kV, which is the power 2.96 of the voltage. For the cells, views and
# slice thickness below; it goes with the cell's width, the thickness, and 1 / views.
PHOTONS_PER_MAS = 2400.0
MEASURED_KV, MEASURED_THICKNESS_MM, VOLTAGE_POWER = 120.0, 3.0, 2.96
MEASURED_SCANNER = FanBeamGeometry()
EXPOSURE_TAGS = (
    "XRayTubeCurrent",
    "ExposureTime",
    "SpiralPitchFactor",
    "Exposure",
    "KVP",
    "SliceThickness",
)
PITCHES = (0.2, 1.8)  # what spiral pitches there are


@dataclass(frozen=True)
class Exposure:
    """What headers say of how one scan was taken; None where they do not.

    current_ma : tube current of each slice, in the volume's order. mas : effective mAs (current
    times rotation time over pitch), mean over slices. kilovolts : tube voltage.
    thickness_mm : slice thickness.
    """

    current_ma: tuple[float, ...] | None = None
    mas: float | None = None
    kilovolts: float | None = None
    thickness_mm: float | None = None


def exposure_of(headers: Sequence[Mapping[str, Any]]) -> Exposure:
    """Exposure of a scan from its slices' headers, in the volume's order.

    headers : pydicom data sets, or mappings with the same keywords: XRayTubeCurrent (mA),
        ExposureTime (ms), SpiralPitchFactor, Exposure (mAs), KVP, SliceThickness (mm). Without a
        pitch, Exposure is taken for effective mAs (as Siemens writes it) where it makes the pitch
        one that exists; other makers write other things there.
    """
    currents = [_positive(header, "XRayTubeCurrent") for header in headers]
    mas = [_effective_mas(header) for header in headers]
    return Exposure(
        current_ma=None if None in currents else tuple(currents),
        mas=None if None in mas else float(np.mean(mas)),
        kilovolts=_positive(headers[0], "KVP"),
        thickness_mm=_positive(headers[0], "SliceThickness"),
    )


def of_scan(
    settings: DoseSettings, exposure: Exposure, slices: int
) -> tuple[DoseSettings, np.ndarray]:
    """The settings with the model of the current that this scan allows, and the current by slice.

    Returns the settings with `tube_current` `constant`, `attenuation` or `header`, and the photons
    of each slice over the scan's mean, as headers tell (otherwise ones). Raises InputError where
    they are to tell and do not, or tell of another number of slices.
    """
    wanted, _, otherwise = settings.tube_current.partition("_or_")
    current = exposure.current_ma
    if wanted != "header" or (current is None and otherwise):
        return replace(settings, tube_current=otherwise or wanted), np.ones(slices)
    if current is None:
        raise InputError(
            "tube_current: header; found slices without XRayTubeCurrent, expected it in each: use "
            "header_or_constant or header_or_attenuation"
        )
    if len(current) != slices:
        raise InputError(
            f"tube_current: {len(current)} values for {slices} slices; expected one each"
        )
    return replace(settings, tube_current=wanted), np.array(current) / np.mean(current)


def photon_loss(integrals: np.ndarray, settings: DoseSettings) -> np.ndarray:
    """q of every ray, which starts with exp(-q) N0 photons; zeros where all terms are off.

    integrals : (views, cells), no unit. Returns float32 that broadcasts against them: of the
    bow-tie (1, cells), of the current (views, 1), or both.
    """
    loss = np.zeros((1, 1))
    if settings.bowtie:
        loss = loss + settings.bowtie * bowtie_loss(settings.geometry)
    largest = integrals.max(axis=1, keepdims=True).astype(float)
    if settings.angular_modulation:
        gain = settings.angular_modulation * (largest - largest.max())
        loss = loss - gain + np.log(np.mean(np.exp(gain)))
    if settings.tube_current == "attenuation":
        loss = loss - settings.current_exponent * (
            largest.mean() - WATER_PER_MM * REFERENCE_BODY_MM
        )
    return loss.astype(np.float32)


def bowtie_loss(geometry: FanBeamGeometry) -> np.ndarray:
    """Attenuation of a full-strength bow-tie by cell, 0 in the middle; (cells,), no unit.

    With it a centred water cylinder of 220 mm attenuates all rays alike.
    """
    steps = (np.arange(geometry.cells) - (geometry.cells - 1) / 2) * geometry.pitch
    aside = geometry.source_centre_mm * (steps if geometry.parallel else np.sin(steps))
    chord = 2 * np.sqrt(np.maximum((BOWTIE_CYLINDER_MM / 2) ** 2 - aside**2, 0))
    return WATER_PER_MM * (BOWTIE_CYLINDER_MM - chord)


def physical_photons(settings: DoseSettings, exposure: Exposure) -> float:
    """N0 of a scan from its mAs, voltage and slice thickness, without a look at its noise.

    Within about 7 % of what the AAPM data need. Settings go before headers. Beyond 100 and 120 kV
    the power of the voltage is an extrapolation. Raises InputError where neither says.
    """
    mas = settings.mas or exposure.mas
    kilovolts = settings.kilovolts or exposure.kilovolts
    found = {"mas": mas, "kilovolts": kilovolts, "SliceThickness": exposure.thickness_mm}
    if missing := [name for name, value in found.items() if value is None]:
        raise InputError(
            f"fit: photons_per_mas; found no {', '.join(missing)} in headers or description, "
            "expected all three: give them, or use another fit"
        )
    per_view = MEASURED_SCANNER.views / settings.geometry.views
    width = settings.geometry.pitch / MEASURED_SCANNER.pitch
    thickness = exposure.thickness_mm / MEASURED_THICKNESS_MM
    voltage = (kilovolts / MEASURED_KV) ** VOLTAGE_POWER
    return float(PHOTONS_PER_MAS * mas * voltage * width * thickness * per_view)


def _effective_mas(header: Mapping[str, Any]) -> float | None:
    current, time_ms = (_positive(header, key) for key in ("XRayTubeCurrent", "ExposureTime"))
    if current is None or time_ms is None:
        return None
    pitch, stated = _positive(header, "SpiralPitchFactor"), _positive(header, "Exposure")
    rotation_mas = current * time_ms / 1000
    if pitch is not None:
        return rotation_mas / pitch
    plausible = stated is not None and PITCHES[0] <= rotation_mas / stated <= PITCHES[1]
    return stated if plausible else None


def _positive(header: Mapping[str, Any], key: str) -> float | None:
    """A header's number, None where it is missing, none, or not above zero (a way to say so)."""
    try:
        value = float(header.get(key))
    except (TypeError, ValueError):
        return None
    return value if 0 < value < math.inf else None
