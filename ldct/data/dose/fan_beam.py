"""A fan-beam CT scanner and the filter that reconstructs from it.

Conventions: x runs along columns, y along rows, the isocentre is the centre of the image. In the
view at angle b the source stands at D (cos b, sin b); a ray is named by its fan angle g from the
central ray, counted in the direction of growing b. Sinograms are (views, cells) over a full turn.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy import fft, ndimage

from ldct.common.errors import InputError
from ldct.data.dose.kernels import kernel_response

QUARTER_TURNS = 4
LARGEST_HALF_FAN = math.atan(0.5)
MARGIN_CELLS = 8


@dataclass(frozen=True)
class FanBeamGeometry:
    """A full turn of a third-generation scanner with a curved, equi-angular detector.

    source_centre_mm, source_detector_mm : distance of the focal spot to the isocentre and detector.
    cells : detector cells in the fan.
    cell_mm : pitch of the cells along the detector arc.
    views : readings per turn, equally spaced; a multiple of four.
    parallel : readings are rebinned to parallel rays before they are filtered, as in the scanners'
        own reconstruction. View and cell then count parallel views and rays `spacing_mm` apart: the
        source of view b stands at infinity in direction b, and D sin g is the ray's distance.

    The defaults are those of the scanner of the AAPM data (736 cells, 500 mm field of view).
    Raises `InputError` when the fan is wider than 53 degrees or `views` is no multiple of four.
    """

    source_centre_mm: float = 595.0
    source_detector_mm: float = 1085.6
    cells: int = 736
    cell_mm: float = 1.2858
    views: int = 1152
    parallel: bool = False

    def __post_init__(self) -> None:
        if self.views <= 0 or self.views % QUARTER_TURNS:
            raise InputError(f"geometry views: {self.views}; expected a positive multiple of 4")
        if not 0 < self.half_fan <= LARGEST_HALF_FAN:
            raise InputError(
                f"geometry cells and cell_mm: half fan {self.half_fan:.3f} rad; expected at most "
                f"{LARGEST_HALF_FAN:.3f} rad, so use fewer or narrower cells"
            )

    @property
    def pitch(self) -> float:
        """Angle between neighbouring cells, in rad."""
        return self.cell_mm / self.source_detector_mm

    @property
    def half_fan(self) -> float:
        """Fan angle of the outermost cell centre, in rad."""
        return (self.cells - 1) / 2 * self.pitch

    @property
    def field_radius_mm(self) -> float:
        """Radius of the circle that every view sees whole."""
        return self.source_centre_mm * math.sin(self.half_fan)

    @property
    def spacing_mm(self) -> float:
        """Distance of neighbouring rays at the isocentre, in mm."""
        return self.source_centre_mm * self.pitch

    def narrowed(self, radius_mm: float) -> "FanBeamGeometry":
        """The same scanner with only the cells that see a circle of `radius_mm`, and eight more.

        Eight on each side, never more than this geometry has.
        """
        reach = min(radius_mm / self.source_centre_mm, 1.0)
        spare = math.floor((self.cells - 1) / 2 - math.asin(reach) / self.pitch) - MARGIN_CELLS
        return replace(self, cells=self.cells - 2 * max(spare, 0))


def checked_size(shape: tuple[int, ...], pixel_mm: float, geometry: FanBeamGeometry) -> int:
    """Rows of a square slice that the scanner sees whole; `InputError` for any other slice."""
    if len(shape) != 2 or shape[0] != shape[1]:
        raise InputError(f"slice of shape {tuple(shape)}; expected a square image (n, n)")
    radius = shape[0] / 2 * pixel_mm
    if not 0 < radius <= geometry.field_radius_mm:
        raise InputError(
            f"slice of {shape[0]} pixels of {pixel_mm} mm: radius {radius:.1f} mm; expected at "
            f"most {geometry.field_radius_mm:.1f} mm, the field of view (add cells to the fan)"
        )
    return shape[0]


def filter_response(geometry: FanBeamGeometry, kernel: str = "body") -> np.ndarray:
    """Frequency response of the ramp times the kernel, for zero-padded views.

    float64, (length / 2 + 1,) for an even FFT length of at least twice the cells. The ramp is built
    in the domain of the cells, so that constant objects keep their value: equi-angular for a fan,
    equidistant (in mm) for parallel rays. kernel : see `kernel_response`.
    """
    length = 2 * fft.next_fast_len(geometry.cells, real=True)
    offsets = np.minimum(np.arange(length), length - np.arange(length))
    odd = (offsets % 2 == 1) & (offsets < geometry.cells)
    step = geometry.spacing_mm if geometry.parallel else geometry.pitch
    reach = offsets[odd] * step if geometry.parallel else np.sin(offsets[odd] * step)
    ramp = np.zeros(length)
    ramp[0] = 1 / (8 * step**2)
    ramp[odd] = -1 / (2 * math.pi**2 * reach**2)
    frequencies = fft.rfftfreq(length, geometry.spacing_mm)
    return step * fft.rfft(ramp).real * kernel_response(frequencies, kernel)


def rebinned(readings: np.ndarray, geometry: FanBeamGeometry) -> np.ndarray:
    """Fan readings of a turn, read out along the parallel rays of a geometry.

    readings : (views, cells), as many cells as the geometry has; fewer views will do where they
        change slowly. Linear in view and cell; rays outside the fan are those at its edge.
    Returns float32 (geometry.views, geometry.cells).
    """
    views, middle = len(readings), (geometry.cells - 1) / 2
    fan = np.arcsin((np.arange(geometry.cells) - middle) * geometry.pitch)
    fan = np.clip(fan, -geometry.half_fan, geometry.half_fan)
    cell = np.clip(fan / geometry.pitch + middle, 0, geometry.cells - 1)
    turn = np.arange(geometry.views) / geometry.views
    view = ((turn[:, None] - fan / (2 * math.pi)) % 1 * views).astype(np.float32)
    around = np.concatenate([readings, readings[:1]])  # a turn ends where it began
    places = np.stack([view, np.broadcast_to(cell.astype(np.float32), view.shape)])
    return ndimage.map_coordinates(around, places, np.float32, order=1)
