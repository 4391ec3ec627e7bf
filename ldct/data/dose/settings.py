"""What the simulation of a low dose is told: one setting for each term of its model."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ldct.common.errors import InputError
from ldct.common.schema import validate
from ldct.data.dose.fan_beam import FanBeamGeometry
from ldct.data.dose.kernels import KERNELS

CURRENTS = ("constant", "attenuation", "header", "header_or_constant", "header_or_attenuation")
FITS = ("ratio", "difference", "photons_per_mas")
CHOICES = {"kernel": KERNELS, "tube_current": CURRENTS, "fit": FITS}
# Smallest and largest value of each number.
RANGES = {
    "angular_modulation": (0, 1),
    "current_exponent": (0, 1),
    "bowtie": (0, 1),
    "difference_hu": (0.1, 1000),
    "mas": (0.1, 10000),
    "kilovolts": (60, 160),
}
# Numbers that one fit alone reads.
READ_BY = {"difference_hu": "difference", "mas": "photons_per_mas", "kilovolts": "photons_per_mas"}


@dataclass(frozen=True)
class DoseSettings:
    """How the low dose is simulated. The terms from `kernel` on are off unless asked for.

    dose_fraction : photons of the low dose over those of the scan, between 0 and 1.
    noise_ratio : std of the noise in soft tissue, low dose over scan, above 1 (AAPM data: 1.7-2.1).
    electronic_noise : std of a reading without any X-rays, in photons.
    view_step : line integrals are computed for every view_step-th view (four times this divides the
        number of views) and interpolated between;
        it changes the noise by less than 1 % (tested), since the noise level varies slowly.
    geometry : the scanner; `parallel` where it rebins its readings. Fan-beam reconstruction of the
        AAPM scans has up to 36 % too much noise at the rim.
    kernel : of `kernels`; the measured tables are those of the AAPM data's two reconstructions.
    angular_modulation : k, the current of a view goes with exp(k A), A the view's largest line
        integral; the mean over the views stays. 0.5 gives the AAPM data's noise along rows over
        columns (ratio to real 0.99 and 0.66 in two scans), 1 is too much.
    tube_current : how the current goes from slice to slice. `constant`; `header`: with
        XRayTubeCurrent, mean 1 (the std by slice then varies about the real one by 7 to 21 %, with
        a constant current by 17 to 50 %); `attenuation`: with exp(a A), A the mean over the views
        of their largest line integral, 1 at that of 300 mm of water; `header_or_...`: what to do
        in a scan whose headers do not say.
    current_exponent : a of `attenuation`. 0.5 to 1 brought five of six AAPM scans nearer; the
        sixth ran at the generator's limit.
    bowtie : strength of a bow-tie filter; 1 evens out a centred water cylinder of 220 mm, 0.5 is
        within 7 % of the AAPM data's radial profile (parallel rays).
    fit : how N0 is found. `ratio`: noise grows by `noise_ratio`, as measured on the images;
        `difference`: std of low dose minus scan in soft tissue, mean over slices, is
        `difference_hu`, or (None) what independent noise of that ratio needs. Real low dose keeps
        only 86 to 94 % of the scan's grain, so a measured ratio asks for 6 % too little;
        `photons_per_mas`: no fit, see `modulation.physical_photons`.
    mas, kilovolts : effective mAs (mean over slices) and tube voltage where headers do not say.

    Numbers are from 36 pairs of the AAPM/Mayo data (docs/data.md). Raises `InputError` when a
    setting is out of range or is read by another fit.
    """

    dose_fraction: float = 0.25
    noise_ratio: float = 2.0
    electronic_noise: float = 3.0
    view_step: int = 4
    geometry: FanBeamGeometry = field(default_factory=FanBeamGeometry)
    kernel: str = "body"
    angular_modulation: float = 0.0
    tube_current: str = "constant"
    current_exponent: float = 0.5
    bowtie: float = 0.0
    fit: str = "ratio"
    difference_hu: float | None = None
    mas: float | None = None
    kilovolts: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.dose_fraction < 1:
            raise InputError(f"dose_fraction: {self.dose_fraction}; expected between 0 and 1")
        if not 1 < self.noise_ratio < math.inf:
            raise InputError(f"noise_ratio: {self.noise_ratio}; expected a number above 1")
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise InputError(f"{name}: {value}; expected a number from {low} to {high}")
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                value = getattr(self, name)
                raise InputError(f"{name}: {value!r}; expected one of {', '.join(known)}")
        for name, fit in READ_BY.items():
            if getattr(self, name) is not None and self.fit != fit:
                raise InputError(f"{name}: read by 'fit: {fit}' alone, found 'fit: {self.fit}'")


def dose_settings(simulate: Mapping[str, Any], where: str = "simulate") -> DoseSettings:
    """The settings that the block `simulate` of a data set's description stands for.

    simulate : keys of workflow/schemas/simulate.schema.yaml; `beam` becomes the geometry, `seed` is
        left to whoever draws. where : named in messages. Raises InputError, one line, for a key or
        value that the schema or `DoseSettings` does not allow.
    """
    validate(dict(simulate), "simulate", where)
    terms = {key: value for key, value in simulate.items() if key not in ("seed", "beam")}
    geometry = FanBeamGeometry(parallel=simulate.get("beam") == "parallel")
    try:
        return DoseSettings(**terms, geometry=geometry)
    except InputError as error:
        raise InputError(f"{where}: key {error}") from None
