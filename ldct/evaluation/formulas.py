"""What each measured value is called, its unit, and how it is computed, in words for people."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Formula:
    """Title and unit as printed, digits after the point, and the computation in a line."""

    title: str
    unit: str
    digits: int
    text: str


FORMULAS = {
    "psnr": Formula(
        "PSNR", "dB", 2, "20 log10(R / RMSE) of a slice after scaling to the window; R = data range"
    ),
    "ssim": Formula(
        "SSIM",
        "",
        4,
        "mean over local windows of Wang et al. (2004), scikit-image, border left out",
    ),
    "rmse_hu": Formula("RMSE", "HU", 2, "root of the mean squared difference to NDCT"),
    "vif": Formula(
        "VIF", "", 4, "visual information fidelity, pixel domain (Sheikh and Bovik 2006)"
    ),
    "gmsd": Formula(
        "GMSD",
        "",
        4,
        "standard deviation of the similarity of gradient magnitudes (Xue et al. 2014); 0 = equal",
    ),
    "lpips": Formula(
        "LPIPS",
        "",
        4,
        "weighted distance of deep features (Zhang et al. 2018); learned on photographs; 0 = equal",
    ),
    "noise_std_hu": Formula(
        "noise",
        "HU",
        2,
        "standard deviation of detrended flat patches: root of the integral of NPS",
    ),
    "mean_frequency": Formula(
        "mean frequency of noise", "1/mm", 4, "mean of frequency, weighted by the noise power"
    ),
    "peak_frequency": Formula(
        "peak frequency of noise", "1/mm", 4, "frequency of the highest radial noise power"
    ),
    "anisotropy": Formula("anisotropy of noise", "", 4, "dependence of noise power on direction"),
    "periodic_peak": Formula(
        "periodic peak", "", 3, "excess of the 2-D noise spectrum over its smooth background"
    ),
    "periodic_peak_pooling": Formula(
        "periodic peak at pooling frequencies",
        "",
        3,
        "the same at multiples of 1/2, 1/4 and 1/8 cycles per pixel",
    ),
    "texture_distance": Formula(
        "texture distance to NDCT", "", 4, "distance of the noise spectra of output and NDCT"
    ),
    "cnr": Formula("CNR", "", 2, "(mean of lesion - mean of ring about it) / noise of the ring"),
    "contrast_retention": Formula(
        "contrast retention", "", 3, "contrast of the lesion over its contrast in NDCT; 1 = kept"
    ),
    "edge_width_mm": Formula("edge width", "mm", 2, "width of the lesion's edge"),
    "crop_psnr": Formula("PSNR of the crop", "dB", 2, "as psnr, on the lesion's crop"),
    "crop_ssim": Formula("SSIM of the crop", "", 4, "as ssim, on the lesion's crop"),
    "d_prime": Formula(
        "d'", "", 2, "distance of an observer's two mean responses in standard deviations"
    ),
    "change": Formula(
        "change of d'", "", 2, "d' minus that of the low dose at the same places, as pairs"
    ),
    "parameters": Formula("parameters", "", 0, "trainable numbers of all levels"),
    "multiply_adds_per_slice": Formula("multiply-adds", "", 0, "of one slice, all levels"),
    "training_seconds": Formula("training time", "s", 1, "of all stages together"),
    "training_cpu_seconds": Formula("training time", "CPU s", 1, "of all stages together"),
    "inference_seconds_per_slice": Formula("time for a slice", "s", 3, "prediction of one slice"),
    "time_ratio": Formula("time", "", 2, "of a paired micro-benchmark"),
    "memory_ratio": Formula("memory", "", 2, "of a paired micro-benchmark"),
}
OF_TISSUES = {
    "bias_hu": Formula(
        "bias", "HU", 2, "mean of output - NDCT over the pixels of the tissue class"
    ),
    "slope": Formula("slope", "", 4, "least-squares slope of output against NDCT in the class"),
    "std_hu": Formula("error spread", "HU", 2, "standard deviation of output - NDCT in the class"),
}


def formula_of(metric: str) -> Formula:
    """Formula of a column; of a tissue class's column that of its kind, named by the class."""
    if metric in FORMULAS:
        return FORMULAS[metric]
    for suffix, formula in OF_TISSUES.items():
        if metric.endswith(f"_{suffix}"):
            tissue = metric.removesuffix(f"_{suffix}").replace("_", " ")
            return Formula(
                f"{formula.title} in {tissue}", formula.unit, formula.digits, formula.text
            )
    return Formula(metric, "", 4, "")
