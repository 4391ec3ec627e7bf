"""The evaluation protocol: what must be known before a PSNR or SSIM value means anything."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml

from ldct.common.errors import InputError
from ldct.common.scaling import Scaling
from ldct.common.schema import read_valid

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
    data_range : range R of PSNR, and of SSIM unless `ssim_data_range` is given, in window widths.
        "prediction" takes the maximum minus the minimum of the prediction for SSIM and 1 for PSNR,
        as the DRL author's public code does.
    ssim : local window of SSIM.
    averaging : "mean_of_slices", or "pooled": PSNR of the squared error averaged over all slices.
    ssim_data_range : range of SSIM where it is not that of PSNR; None = `data_range`.
    """

    name: str
    window: tuple[float, float]
    clip: bool
    data_range: float | Literal["prediction"]
    ssim: SsimWindow
    averaging: Literal["mean_of_slices", "pooled"]
    ssim_data_range: float | Literal["prediction"] | None = None

    @property
    def scaling(self) -> Scaling:
        """The map of HU onto the unit interval that the window names."""
        return Scaling(*self.window, clip=self.clip)

    @property
    def psnr_range(self) -> float:
        """Peak of PSNR in window widths."""
        return 1.0 if self.data_range == "prediction" else self.data_range

    @property
    def ssim_range(self) -> float | Literal["prediction"]:
        """Range of SSIM in window widths, or "prediction"."""
        return self.data_range if self.ssim_data_range is None else self.ssim_data_range

    def to_unit(self, hu: np.ndarray) -> np.ndarray:
        """HU (any shape, any real type) to float64 units of the window."""
        return self.scaling.to_unit(np.asarray(hu, dtype=np.float64))

    def describe(self) -> str:
        """One phrase for captions, e.g. "window [-160, 240] HU, clipped; ...; mean over slices"."""
        lower, upper = self.window
        clipped = "clipped" if self.clip else "not clipped"
        ranges = f"range {self.psnr_range:g}"
        if self.ssim_range == "prediction":
            ranges += " (PSNR) and of the prediction (SSIM)"
        elif self.ssim_range != self.psnr_range:
            ranges += f" (PSNR) and {self.ssim_range:g} (SSIM)"
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
    expected = "one of config/protocols/*.yaml"
    content = read_valid(Path(path).expanduser(), "protocol", "protocol file", expected)
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
        ssim=ssim_window(content["ssim"], f"protocol file {path}"),
        averaging=content["averaging"],
        ssim_data_range=content["ssim"].get("data_range"),
    )


def load_protocols(paths: Sequence[str | Path]) -> list[Protocol]:
    """Read protocol files, in order.

    Raises InputError as `load_protocol` does, and where two have one name: it names score rows.
    """
    found: dict[str, tuple[str | Path, Protocol]] = {}
    for path in paths:
        protocol = load_protocol(path)
        if protocol.name in found:
            raise InputError(
                f"protocol file {path}: name: found '{protocol.name}', which "
                f"{found[protocol.name][0]} has already; expected a name of its own for each, "
                "since it names score rows: give each file once, or change the name"
            )
        found[protocol.name] = path, protocol
    return [protocol for _, protocol in found.values()]


def protocol_text(protocol: Protocol, comment: Sequence[str]) -> str:
    """The protocol as a file that `load_protocol` reads, under comment lines.

    comment : lines of text, without "#".
    """
    ssim = {"kind": protocol.ssim.kind, EXTENT_KEY[protocol.ssim.kind]: protocol.ssim.extent}
    if protocol.ssim_data_range is not None:
        ssim["data_range"] = protocol.ssim_data_range
    content = {
        "name": protocol.name,
        "window": list(protocol.window),
        "clip": protocol.clip,
        "data_range": protocol.data_range,
        "ssim": ssim,
        "averaging": protocol.averaging,
    }
    lines = [f"# {line}" for line in comment]
    return "\n".join([*lines, yaml.safe_dump(content, sort_keys=False, default_flow_style=None)])


def ssim_window(content: dict[str, Any], where: str) -> SsimWindow:
    """The SSIM window of a checked `ssim` entry.

    where : the file, for messages. Raises InputError where size and sigma do not fit the kind.
    """
    kind = content["kind"]
    key = EXTENT_KEY[kind]
    extents = set(content) - {"kind", "data_range"}
    if extents != {key}:
        found = ", ".join(sorted(extents)) or "nothing"
        raise InputError(f"{where}: ssim: found {found} beside kind {kind}, expected {key} alone")
    if kind == "uniform" and content[key] % 2 == 0:
        raise InputError(f"{where}: ssim.size: found {content[key]}, expected an odd number")
    return SsimWindow(kind, content[key])
