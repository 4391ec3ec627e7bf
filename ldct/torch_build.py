"""What the installed PyTorch was built for, without importing it: that takes seconds."""

import importlib.util
import re
from pathlib import Path

CUDA = re.compile(r"^cuda\b[^=\n]*=\s*['\"]", re.MULTILINE)


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
