"""CUDA builds of PyTorch are told from CPU builds by a file, without importing PyTorch."""

import re
import subprocess
import sys

import pytest
import torch
from workflow_runs import REPOSITORY

from ldct.common.files import read_yaml
from ldct.devices.torch_build import DEVICES, built_for_cuda

HEAD = "from typing import Optional\n\n__all__ = ['__version__', 'debug', 'cuda', 'git_version']\n"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("__version__ = '2.13.0+cu130'\ncuda: Optional[str] = '13.0'\n", True),
        ("__version__ = '2.13.0'\ncuda = '12.8'\n", True),
        ('cuda: str | None = "12.8"\n', True),
        ("__version__ = '2.13.0+cpu'\ncuda: Optional[str] = None\nhip = '6.4'\n", False),
        ("cuda = None\ngit_version = 'cf30153c'\n", False),
        ("cuda_like = '13.0'\n", False),
    ],
)
def test_build_is_read_from_the_version_file(tmp_path, lines, expected):
    file = tmp_path / "version.py"
    file.write_text(HEAD + lines)
    assert built_for_cuda(file) is expected


def test_what_cannot_be_told_is_left_to_the_jobs(tmp_path, monkeypatch):
    assert built_for_cuda(tmp_path / "none.py")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert built_for_cuda()


def test_installed_build_is_told_without_importing_it():
    code = (
        "import sys; from ldct.devices.torch_build import built_for_cuda; "
        "print(built_for_cuda(), 'torch' in sys.modules)"
    )
    call = [sys.executable, "-c", code]
    printed = subprocess.run(call, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert printed.stdout.split() == [str(torch.version.cuda is not None), "False"]


def test_devices_are_named_in_one_place():
    schema = read_yaml(REPOSITORY / "workflow/schemas/config.schema.yaml")
    assert schema["properties"]["device"]["enum"] == list(DEVICES)
    files = [*(REPOSITORY / "ldct").rglob("*.py"), *(REPOSITORY / "workflow/rules").glob("*.smk")]
    naming = {file.parent.name for file in files if re.search(r"\bcuda\b", file.read_text())}
    assert naming == {"devices"}
