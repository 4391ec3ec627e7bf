"""Numbers of `cost.json`: of whole methods, and of the paired micro-benchmark."""

from ldct.rendering.columns import Formula

COST = {
    "parameters": Formula("parameters", "", 0, "lower", "trainable numbers of all stages"),
    "multiply_adds_per_slice": Formula(
        "multiply-adds", "", 0, "lower", "of convolutions and matrix products for one slice"
    ),
    "training_seconds": Formula(
        "training time", "s", 1, "lower", "on the clock, mean over seeds and folds, sum over stages"
    ),
    "training_cpu_seconds": Formula(
        "training time",
        "CPU s",
        1,
        "lower",
        "processor time, mean over seeds and folds, sum over stages",
    ),
    "training_peak_memory_mb": Formula(
        "peak memory of training", "MiB", 0, "lower", "largest of the stages, PyTorch included"
    ),
    "training_peak_gpu_memory_mb": Formula(
        "peak GPU memory of training", "MiB", 0, "lower", "largest of the stages, by PyTorch"
    ),
    "tuning_cpu_seconds": Formula(
        "tuning time", "CPU s", 1, "lower", "processor time of tuning the method's settings"
    ),
    "inference_seconds_per_slice": Formula(
        "time for a slice", "s", 3, "lower", "processor time on a CPU, on the clock on a GPU"
    ),
    "inference_peak_memory_mb": Formula(
        "peak memory of inference", "MiB", 0, "lower", "largest of the predictions"
    ),
    "inference_peak_gpu_memory_mb": Formula(
        "peak GPU memory of inference", "MiB", 0, "lower", "largest of the predictions, by PyTorch"
    ),
}
MICRO = {
    "time_ratio": Formula("time", "", 2, "lower", "mean ratio of time over the paired rounds"),
    "memory_ratio": Formula("memory", "", 2, "lower", "ratio of peak memory of the pair"),
    "added_memory_ratio": Formula(
        "added memory", "", 2, "lower", "the same without the memory of an idle process"
    ),
}
