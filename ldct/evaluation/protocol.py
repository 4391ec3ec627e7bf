"""The evaluation protocol: what must be known before a PSNR or SSIM value means anything."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml

from ldct.errors import InputError
from ldct.files import read_yaml
from ldct.scaling import Scaling
from ldct.schema import validate

EXTENT_KEY = {"uniform": "size", "gaussian": "sigma"}
GAUSSIAN_TRUNCATE = 3.5  # scikit-image's: an 11-pixel window at sigma 1.5, as in Wang et al. 2004


@dataclass(frozen=True)
class SsimWindow:
    """The local window of SSIM.

    kind : "uniform" with sample covariance (the scikit-image default) or "gaussian" with population
        covariance (Wang et al. 2004).
    extent : side in pixels (odd) of a uniform window; standard deviation in pixels of a Gaussian.
    """

    kind: Literal["uniform", "gaussian"]
    extent: float

    @property
    def side(self) -> int:
        """Side of the window in pixels: the smallest image it fits."""
        if self.kind == "uniform":
            return int(self.extent)
        return 2 * int(GAUSSIAN_TRUNCATE * self.extent + 0.5) + 1


@dataclass(frozen=True)
class Protocol:
    """Everything that a metric needs besides the two images.

    name : short name, written into every score row.
    window : lower and upper bound in HU, mapped to 0 and 1.
    clip : whether both images are clipped to the window before scoring.
    data_range : range R of PSNR and SSIM in window widths. "prediction" takes the maximum minus the
        minimum of the prediction for SSIM and 1 for PSNR, as the DRL author's public code does.
    ssim : local window of SSIM.
    averaging : "mean_of_slices", or "pooled": PSNR of the squared error averaged over all slices.
    """

    name: str
    window: tuple[float, float]
    clip: bool
    data_range: float | Literal["prediction"]
    ssim: SsimWindow
    averaging: Literal["mean_of_slices", "pooled"]

    @property
    def scaling(self) -> Scaling:
        """The map of HU onto the unit interval that the window names."""
        return Scaling(*self.window, clip=self.clip)

    @property
    def psnr_range(self) -> float:
        """Peak of PSNR in window widths."""
        return 1.0 if self.data_range == "prediction" else self.data_range

    def to_unit(self, hu: np.ndarray) -> np.ndarray:
        """HU (any shape, any real type) to float64 units of the window."""
        return self.scaling.to_unit(np.asarray(hu, dtype=np.float64))

    def describe(self) -> str:
        """One phrase for captions, e.g. "window [-160, 240] HU, clipped; ...; mean over slices"."""
        lower, upper = self.window
        clipped = "clipped" if self.clip else "not clipped"
        ranges = (
            "range 1 (PSNR) and of the prediction (SSIM)"
            if self.data_range == "prediction"
            else f"range {self.data_range:g}"
        )
        window = (
            f"{self.ssim.side}x{self.ssim.side} uniform window"
            if self.ssim.kind == "uniform"
            else f"Gaussian window of sigma {self.ssim.extent:g}"
        )
        average = "mean over slices" if self.averaging == "mean_of_slices" else "pooled over slices"
        return (
            f"window [{lower:g}, {upper:g}] HU mapped to [0, 1], {clipped}; {ranges}; "
            f"SSIM with {window}; {average}"
        )


def load_protocol(path: str | Path) -> Protocol:
    """Read one protocol file (config/protocols/*.yaml).

    Raises InputError naming the file, the key and the allowed values.
    """
    try:
        content = read_yaml(path)
    except FileNotFoundError:
        raise InputError(
            f"protocol file {path}: not found; give one of config/protocols/*.yaml"
        ) from None
    except yaml.YAMLError as error:
        raise InputError(
            f"protocol file {path}: not valid YAML: {' '.join(str(error).split())}"
        ) from None
    validate(content, "protocol", f"protocol file {path}")
    lower, upper = content["window"]
    if not lower < upper:
        raise InputError(
            f"protocol file {path}: window: found [{lower}, {upper}], "
            "expected the lower bound below the upper one"
        )
    return Protocol(
        name=content["name"],
        window=(float(lower), float(upper)),
        clip=content["clip"],
        data_range=content["data_range"],
        ssim=_ssim_window(content["ssim"], path),
        averaging=content["averaging"],
    )


def _ssim_window(content: dict[str, Any], path: str | Path) -> SsimWindow:
    kind = content["kind"]
    key = EXTENT_KEY[kind]
    if set(content) != {"kind", key}:
        found = ", ".join(sorted(set(content) - {"kind"})) or "nothing"
        raise InputError(
            f"protocol file {path}: ssim: found {found} beside kind {kind}, expected {key} alone"
        )
    if kind == "uniform" and content[key] % 2 == 0:
        raise InputError(
            f"protocol file {path}: ssim.size: found {content[key]}, expected an odd number"
        )
    return SsimWindow(kind, content[key])
