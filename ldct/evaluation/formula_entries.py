"""Entries of `ldct.evaluation.formulas`, table by table, as the measures' code computes them."""

from dataclasses import dataclass

from ldct.evaluation.tissues import BLOCK_PX


@dataclass(frozen=True)
class Formula:
    """Title and unit as printed, digits after the point, and the computation in a line."""

    title: str
    unit: str
    digits: int
    text: str


SCORES = {
    "psnr": Formula(
        "PSNR",
        "dB",
        2,
        "20 log10(R / RMSE) of a slice, both in widths of the protocol's window; R = its range",
    ),
    "ssim": Formula(
        "SSIM",
        "",
        4,
        "mean over the slice of local SSIM (Wang et al. 2004; scikit-image) with the protocol's "
        "window and range, without the border that the local window does not fit",
    ),
    "rmse_hu": Formula(
        "RMSE",
        "HU",
        2,
        "root of the mean squared difference to NDCT in a slice, both clipped to the protocol's "
        "window where it clips",
    ),
}
FULL_REFERENCE = {
    "vif": Formula(
        "VIF",
        "",
        4,
        "visual information fidelity: information about NDCT left in the output, pixel domain, "
        "four scales (Sheikh and Bovik 2006; torchmetrics), the protocol's window being 0 to 255; "
        "1 = equal",
    ),
    "gmsd": Formula(
        "GMSD",
        "",
        4,
        "standard deviation of the similarity of Prewitt gradient magnitudes of means of 2 x 2 "
        "pixels (Xue et al. 2014), the protocol's window being 0 to 1; 0 = equal",
    ),
    "lpips": Formula(
        "LPIPS",
        "",
        4,
        "weighted squared distance of unit-length deep features (Zhang et al. 2018, version 0.1), "
        "the protocol's window being -1 to 1; learned on photographs; 0 = equal",
    ),
}
ERROR_SHAPE = {
    "soft_tissue_error_excess_kurtosis": Formula(
        "excess kurtosis of the error in soft tissue",
        "",
        3,
        "fourth moment over squared variance, minus 3, of output - NDCT over the pixels of soft "
        "tissue; 0 for a Gaussian",
    ),
    "soft_tissue_error_local_excess_kurtosis": Formula(
        "local excess kurtosis of the error in soft tissue",
        "",
        3,
        f"the same within squares of {2 * BLOCK_PX} pixels a side: mean fourth power over mean "
        "squared variance (the product of those of the two colours of the square's chequerboard)",
    ),
    "soft_tissue_error_spread_ratio": Formula(
        "noisier over quieter half of soft tissue",
        "",
        3,
        "root mean square of output - NDCT in the noisier over the quieter half of squares of "
        f"{2 * BLOCK_PX} pixels a side, picked on one colour of their chequerboard and measured on "
        "the other; 1 = as strong everywhere",
    ),
}
# Of each tissue class: title, unit, digits, computation.
OF_TISSUES = {
    "bias_hu": Formula("bias", "HU", 2, "mean of output - NDCT over the pixels of the tissue"),
    "slope": Formula(
        "slope",
        "",
        4,
        "least-squares slope of output over NDCT, both as means over the pixels of the tissue in "
        f"blocks of {BLOCK_PX} x {BLOCK_PX}, weighted by their number; 1 = contrast kept",
    ),
    "std_hu": Formula(
        "error spread", "HU", 2, "standard deviation of output - NDCT over the pixels of the tissue"
    ),
}
NOISE_POWER = "the slice's mean noise power spectrum in flat squares of soft tissue"
PEAK = (
    "excess of the 2-D noise power spectrum over its smooth background (1 = twice it), at the "
    "frequency that stands out in the other half of the slices"
)
DIFFERENCE = (
    "mean noise power spectrum of output - NDCT in all of the slice's squares of soft tissue"
)
TEXTURE = {
    "n_squares": Formula(
        "flat squares", "", 1, "number of flat squares of soft tissue in a slice, found on NDCT"
    ),
    "noise_std_hu": Formula(
        "noise",
        "HU",
        2,
        f"root of the integral over all frequencies of {NOISE_POWER} (polynomial of degree two "
        "removed, Hann window)",
    ),
    "mean_frequency": Formula(
        "mean frequency of noise",
        "1/mm",
        4,
        f"mean of frequency, weighted by the radial profile of {NOISE_POWER} (AAPM TG-233)",
    ),
    "peak_frequency": Formula(
        "peak frequency of noise",
        "1/mm",
        4,
        f"frequency at which the radial profile of {NOISE_POWER}, smoothed over three bins, is "
        "highest",
    ),
    "anisotropy": Formula(
        "anisotropy of noise",
        "",
        4,
        f"absolute mean of exp(2 i direction), weighted by {NOISE_POWER}; 0 = no direction",
    ),
    "periodic_peak": Formula("periodic peak", "", 3, f"{PEAK}; flat squares, all frequencies"),
    "periodic_peak_pooling": Formula(
        "periodic peak at pooling frequencies",
        "",
        3,
        f"{PEAK}; flat squares, multiples of 1/2, 1/4 and 1/8 cycles per pixel alone",
    ),
    "periodic_peak_all": Formula(
        "periodic peak in all squares",
        "",
        3,
        f"{PEAK}; all squares of soft tissue instead of the flatter half, all frequencies",
    ),
    "texture_distance": Formula(
        "texture distance to NDCT",
        "1/mm",
        4,
        "Wasserstein distance of the radial profiles of output and NDCT, each scaled to sum one; "
        f"profiles of {NOISE_POWER}",
    ),
    "noise_ratio": Formula(
        "noise over that of NDCT",
        "",
        3,
        "noise_std_hu of the slice over that of NDCT in the same squares; 1 = as noisy",
    ),
    "difference_noise_std_hu": Formula(
        "noise of output - NDCT",
        "HU",
        2,
        f"root of the integral over all frequencies of the {DIFFERENCE}",
    ),
    "difference_mean_frequency": Formula(
        "mean frequency of output - NDCT",
        "1/mm",
        4,
        f"mean of frequency, weighted by the radial profile of the {DIFFERENCE}",
    ),
}
PLACES = "pixels chosen on NDCT, HU clipped to the protocol's window where it clips"
NO_CONTRAST = "none where NDCT's contrast is within twice its standard error"
LESION_BENCH = {
    "cnr": Formula(
        "CNR",
        "",
        2,
        "|mean of lesion - mean of background| / root mean square of their two standard "
        f"deviations; {NO_CONTRAST}; {PLACES}",
    ),
    "contrast_retention": Formula(
        "contrast retention",
        "",
        3,
        f"contrast_hu over that of NDCT; 1 = kept; {NO_CONTRAST}",
    ),
    "edge_width_mm": Formula(
        "edge width",
        "mm",
        2,
        "10 to 90 % width of an error function fitted to the values at their distance from the "
        f"lesion's edge; {PLACES}",
    ),
    "noise_std_hu": Formula(
        "local noise",
        "HU",
        2,
        "standard deviation of output - NDCT about the lesion where NDCT lies in the protocol's "
        "window, HU clipped to it where it clips",
    ),
    "mean_frequency": Formula(
        "mean frequency of local noise",
        "1/mm",
        4,
        "mean of frequency, weighted by the radial profile of the noise power spectrum of output - "
        "NDCT about the lesion where NDCT lies in the protocol's window, HU clipped to it where it "
        "clips",
    ),
    "crop_psnr": Formula(
        "PSNR of the crop", "dB", 2, "as psnr, of the crop about the lesion as if it were the slice"
    ),
    "crop_ssim": Formula(
        "SSIM of the crop", "", 4, "as ssim, of the crop about the lesion as if it were the slice"
    ),
    "contrast_hu": Formula("contrast", "HU", 2, f"mean of lesion - mean of background; {PLACES}"),
    "outside_window": Formula(
        "background outside the window",
        "",
        3,
        "share of the lesion's background that lies outside the protocol's window in NDCT",
    ),
}
DETECTABILITY = {
    "d_prime": Formula(
        "d'",
        "",
        2,
        "difference of an observer's mean outputs with and without the disc, over their standard "
        "deviation within a class, over places; cho: channelised Hotelling observer, without the "
        "bias of a finite sample, never below 0; npw: template = the disc as NDCT shows it, "
        "negative where the disc is inverted; both without mean level",
    ),
    "change": Formula(
        "change of d'", "", 2, "d' minus that of the low dose at the same places, as pairs"
    ),
}
STAGES = "sum over the method's stages"
COST = {
    "parameters": Formula("parameters", "", 0, f"trainable numbers; {STAGES}"),
    "multiply_adds_per_slice": Formula(
        "multiply-adds", "", 0, f"of convolutions and matrix products for one slice; {STAGES}"
    ),
    "training_seconds": Formula(
        "training time", "s", 1, f"of the steps, on the clock, mean over seeds; {STAGES}"
    ),
    "training_cpu_seconds": Formula(
        "training time", "CPU s", 1, f"of the steps, processor time, mean over seeds; {STAGES}"
    ),
    "training_peak_memory_mb": Formula(
        "peak memory of training", "MiB", 0, "largest of the method's stages, PyTorch included"
    ),
    "training_peak_gpu_memory_mb": Formula(
        "peak GPU memory of training", "MiB", 0, "largest of the method's stages, as PyTorch says"
    ),
    "tuning_cpu_seconds": Formula(
        "tuning time", "CPU s", 1, "processor time of the job that tuned the method's settings"
    ),
    "inference_seconds_per_slice": Formula(
        "time for a slice",
        "s",
        3,
        "of the prediction: processor time on a CPU, time on the clock on a GPU, over its slices",
    ),
    "inference_clock_seconds_per_slice": Formula(
        "time for a slice on the clock", "s", 3, "of the prediction, over its slices"
    ),
    "inference_peak_memory_mb": Formula(
        "peak memory of inference", "MiB", 0, "largest of the method's predictions"
    ),
    "inference_peak_gpu_memory_mb": Formula(
        "peak GPU memory of inference", "MiB", 0, "largest of the predictions, as PyTorch says"
    ),
}
MICRO = {
    "time_ratio": Formula("time", "", 2, "mean ratio of a paired micro-benchmark's rounds"),
    "memory_ratio": Formula("memory", "", 2, "ratio of peak memory of a paired micro-benchmark"),
    "added_memory_ratio": Formula(
        "added memory", "", 2, "ratio of peak memory of a pair, without that of an idle process"
    ),
}
