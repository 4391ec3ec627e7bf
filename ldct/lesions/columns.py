"""Columns of the table `lesion_bench`."""

from ldct.rendering.columns import CORRELATION, POSITIVE, Formula

# All are of pixels chosen on NDCT.
LESION_BENCH = {
    "cnr": Formula(
        "CNR",
        "",
        2,
        "higher",
        "|mean of lesion - mean of background| / root mean square of their standard deviations",
        POSITIVE,
    ),
    "contrast_retention": Formula(
        "contrast retention", "", 3, "one", "contrast_hu over that of NDCT, where NDCT has any"
    ),
    "edge_width_mm": Formula(
        "edge width",
        "mm",
        2,
        "none",
        "10 to 90 % width of an error function fitted to the edge",
        POSITIVE,
    ),
    "noise_std_hu": Formula(
        "local noise",
        "HU",
        2,
        "lower",
        "standard deviation of output - NDCT about the lesion",
        POSITIVE,
    ),
    "crop_psnr": Formula("PSNR of the crop", "dB", 2, "higher", "psnr of the crop about a lesion"),
    "crop_ssim": Formula(
        "SSIM of the crop", "", 4, "higher", "ssim of the crop about a lesion", CORRELATION
    ),
    "contrast_hu": Formula("contrast", "HU", 2, "none", "mean of lesion - mean of background"),
}
