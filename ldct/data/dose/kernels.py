"""Reconstruction kernels: what they leave of each spatial frequency of the bare ramp."""

import numpy as np

BODY_HALF_VALUE = 0.40  # 1/mm
TABLE_PER_MM = (0.10, 0.14, 0.22, 0.30, 0.38, 0.46, 0.54, 0.62, 0.66)
# Noise amplitude of Siemens kernels over that of the bare ramp of this suite's own projector, 1 at
# 0.1/mm: mean of 14 (B30f) and 22 (D45f) slices of the AAPM data, quarter minus full dose; the
# standard deviation over slices is 2 to 12 %. Chosen, not measured: 1 below 0.1/mm, and beyond
# 0.66/mm the value at 0.66/mm, up to the cells' own limit of 0.71/mm.
TABLES = {
    "B30f": (1.00, 0.97, 0.83, 0.64, 0.47, 0.31, 0.19, 0.11, 0.08),
    "D45f": (1.00, 1.00, 0.98, 0.97, 0.95, 0.92, 0.89, 0.89, 0.93),
}
KERNELS = ("body", *TABLES)


def kernel_response(frequencies: np.ndarray, kernel: str = "body") -> np.ndarray:
    """Apodisation of the ramp by the reconstruction kernel; any shape, without unit.

    frequencies : in 1/mm at the isocentre. kernel : one of `KERNELS`. `B30f` and `D45f` are tables,
    linear between their points. `body` is a Gaussian of half value 0.40/mm, comparable to a body
    kernel: the noise spectrum of LIDC-IDRI-0001 (GE STANDARD) between 0.35/mm and 0.7/mm is a ramp
    times the square of a Gaussian of half value about 0.45/mm, and B30 is softer.

    >>> kernel_response(np.array([0.0, 0.4, 0.8]))
    array([1.    , 0.5   , 0.0625])
    >>> kernel_response(np.array([0.0, 0.3, 0.5]), "B30f")
    array([1.  , 0.64, 0.25])
    """
    if kernel in TABLES:
        return np.interp(frequencies, TABLE_PER_MM, TABLES[kernel])
    return 0.5 ** ((frequencies / BODY_HALF_VALUE) ** 2)
