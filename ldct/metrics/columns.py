"""Columns of the tables `scores` and `image_quality`."""

from dataclasses import replace

from ldct.metrics.tissues import TISSUES
from ldct.rendering.columns import CORRELATION, POSITIVE, Formula

SCORES = {
    "psnr": Formula(
        "PSNR", "dB", 2, "higher", "20 log10(range / RMSE) of a slice in the protocol's window"
    ),
    "ssim": Formula(
        "SSIM",
        "",
        4,
        "higher",
        "mean of local SSIM (Wang et al. 2004) in the protocol's window",
        CORRELATION,
    ),
    "rmse_hu": Formula(
        "RMSE",
        "HU",
        2,
        "lower",
        "root mean square of output - NDCT in the protocol's window",
        POSITIVE,
    ),
}
FULL_REFERENCE = {
    "vif": Formula(
        "VIF",
        "",
        4,
        "higher",
        "visual information fidelity, pixel domain (Sheikh and Bovik 2006)",
        POSITIVE,
    ),
    "gmsd": Formula(
        "GMSD",
        "",
        4,
        "lower",
        "spread of the similarity of gradient magnitudes (Xue et al. 2014)",
        POSITIVE,
    ),
    "lpips": Formula(
        "LPIPS",
        "",
        4,
        "lower",
        "distance of deep features of photographs (Zhang et al. 2018)",
        POSITIVE,
    ),
}
OF_TISSUES = {
    "bias_hu": Formula("bias", "HU", 2, "zero", "mean of output - NDCT"),
    "slope": Formula("slope", "", 4, "one", "slope of output over NDCT, both as means of blocks"),
    "std_hu": Formula(
        "error spread", "HU", 2, "lower", "standard deviation of output - NDCT", POSITIVE
    ),
}


def _of_tissue(tissue: str, measure: str) -> Formula:
    (lower, upper), formula = TISSUES[tissue], OF_TISSUES[measure]
    name = tissue.replace("_", " ")
    text = f"{formula.text} where the smoothed NDCT is {lower:g} to {upper:g} HU"
    return replace(formula, title=f"{formula.title} in {name}", text=text)


IMAGE_QUALITY = FULL_REFERENCE | {
    f"{tissue}_{measure}": _of_tissue(tissue, measure)
    for tissue in TISSUES
    for measure in OF_TISSUES
}
COLUMNS = SCORES | IMAGE_QUALITY
