"""Columns of the table `texture`."""

from ldct.rendering.columns import POSITIVE, Formula

# All spectra are of flat squares of soft tissue, found on NDCT.
TEXTURE = {
    "n_squares": Formula("flat squares", "", 1, "none", "flat squares of soft tissue in a slice"),
    "noise_std_hu": Formula(
        "noise",
        "HU",
        2,
        "none",
        "root of the integral of the slice's noise power spectrum",
        POSITIVE,
    ),
    "mean_frequency": Formula(
        "mean frequency of noise",
        "1/mm",
        4,
        "none",
        "mean frequency of the radial noise power spectrum (AAPM TG-233)",
        POSITIVE,
    ),
    "lattice_ratio": Formula(
        "lattice ratio",
        "",
        3,
        "one",
        "noise power at the frequencies of pooling by 2, 4 and 8 over that half way between",
        POSITIVE,
    ),
    "texture_distance": Formula(
        "texture distance to NDCT",
        "1/mm",
        4,
        "lower",
        "Wasserstein distance of the radial noise power spectra of output and NDCT, each of sum 1",
        POSITIVE,
    ),
    "noise_ratio": Formula(
        "noise over that of NDCT",
        "",
        3,
        "one",
        "noise_std_hu over that of NDCT, same squares",
        POSITIVE,
    ),
}
