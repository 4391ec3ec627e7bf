"""What the workflow needs to know of devices without importing PyTorch: that takes seconds."""

import importlib.util
import re
import shutil
from pathlib import Path

# What `device` may be in the configuration.
DEVICES = ("auto", "cpu", "cuda")
# Options of `engine` that may change the last bits of the weights.
CHANGE_BITS = ("compile", "cuda_graphs", "tf32", "fused_optimizer", "deterministic")
CUDA = re.compile(r"^cuda\b[^=\n]*=\s*['\"]", re.MULTILINE)
# How a checkout gets the build for NVIDIA GPUs.
GPU_BUILD = "LDCT_TORCH=cuda ./run.sh"


def gpus_of_a_job(wish: str) -> int:
    """GPUs that one job asks Snakemake for: 1 where networks may run on one, else 0."""
    if wish == "auto":
        return int(shutil.which("nvidia-smi") is not None and built_for_cuda())
    return int(wish == "cuda")


def built_for_cuda(version_file: Path | None = None) -> bool:
    """Whether PyTorch is a CUDA build; True where that cannot be told.

    version_file : its `version.py`; None is that of the PyTorch which `import torch` would find.
    """
    if version_file is None:
        found = importlib.util.find_spec("torch")
        if found is None or found.origin is None:
            return True
        version_file = Path(found.origin).with_name("version.py")
    try:
        return CUDA.search(version_file.read_text(encoding="utf-8")) is not None
    except OSError:
        return True
