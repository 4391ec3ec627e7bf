"""`ldct doctor`: what it says of machines that lack something."""

import os
import time
from collections import namedtuple
from pathlib import Path

import pytest
import yaml
from repository_files import REPOSITORY

from ldct.cli import main
from ldct.doctor import machine


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """In an empty folder, without the programs of this machine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "")


def said(capsys, *options: str) -> tuple[int, list[str]]:
    """Status of `ldct doctor`, and all its lines."""
    status = main(["doctor", *options])
    printed = capsys.readouterr()
    return status, [*printed.out.splitlines(), *printed.err.splitlines()]


def program(folder: Path, name: str, text: str, monkeypatch) -> None:
    """Put a program first on PATH that prints `text`."""
    path = folder / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{text}'\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}{os.pathsep}{os.environ['PATH']}")


def test_a_complete_machine_has_nothing_to_fix(capsys):
    started = time.process_time()
    status, lines = said(capsys)
    assert status == 0, lines
    assert time.process_time() - started < 5
    assert not [line for line in lines if line.startswith("fix")]
    assert any("free in" in line for line in lines)
    assert any("9 methods, run demo-quick" in line for line in lines)


def test_pins_are_those_of_the_project():
    pins = machine.pinned()
    assert pins[""]["numpy"].startswith("2.3.")
    assert list(pins["torch"]) == ["torch"] and list(pins["bm3d"]) == ["bm3d"]


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        ({"numpy": "2.4.1"}, "fix   numpy 2.4.1, expected 2.3.5: pip install numpy==2.3.5"),
        ({"scipy": None}, "fix   scipy is missing, expected 1.17.1: pip install scipy==1.17.1"),
        ({"bm3d": None}, "note  bm3d not installed: the rows of BM3D are left out"),
        ({"torch": "2.13.0+cpu"}, "ok    Python"),
        ({"torch": "2.12.0"}, "fix   torch 2.12.0, expected 2.13.0"),
    ],
)
def test_packages_that_are_missing_or_differ(capsys, monkeypatch, versions, expected):
    real = machine._version
    monkeypatch.setattr(machine, "_version", lambda name: versions.get(name, real(name)))
    status, lines = said(capsys)
    assert status == int(expected.startswith("fix"))
    assert any(line.startswith(expected) for line in lines), lines


def test_a_gpu_with_a_cpu_build_of_torch(capsys, monkeypatch, tmp_path):
    program(tmp_path, "nvidia-smi", "NVIDIA H200, 143771 MiB, 575.1", monkeypatch)
    monkeypatch.setattr(machine, "built_for_cuda", lambda: False)
    status, lines = said(capsys)
    assert status == 1
    assert any("H200" in line and "LDCT_TORCH=cuda ./run.sh" in line for line in lines)


def test_an_old_conda_and_a_full_disk(capsys, monkeypatch, tmp_path):
    program(tmp_path, "conda", "conda 23.1.0", monkeypatch)
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda folder: usage(free=10**8))
    status, lines = said(capsys)
    assert status == 1
    assert "fix   conda 23.1.0, --use-conda needs 24.7.1 or newer" in lines
    assert any(line.startswith("fix   0.1 GB free") for line in lines)
    assert lines[-1] == "error: doctor: 2 to fix"


def test_data_that_are_not_there_and_a_configuration_with_a_typo(capsys, tmp_path):
    status, lines = said(capsys, "--configfile", str(REPOSITORY / "config/paper.yaml"))
    assert status == 1
    assert any(line.startswith("fix   data set aapm: no folder") for line in lines)
    Path("scans").mkdir()
    Path("scans/notes.txt").write_text("no scan")
    paper = ["--configfile", str(REPOSITORY / "config/paper.yaml"), "--config"]
    assert (
        "fix   data set aapm: scans holds no DICOM file"
        in said(capsys, *paper, "dataset_root=scans")[1]
    )
    Path("scans/1.IMA").write_bytes(b"one")
    status, lines = said(capsys, *paper, "dataset_root=scans")
    assert status == 0 and "ok    data set aapm: 1 file in scans" in lines
    Path("typo.yaml").write_text("metods: [drl]\n")
    status, lines = said(capsys, "--configfile", "typo.yaml")
    assert status == 1
    assert any("did you mean 'methods'?" in line for line in lines)


def test_a_run_of_an_older_version_is_told(capsys):
    Path("results/demo-quick").mkdir(parents=True)
    Path("results/demo-quick/config.yaml").write_text(yaml.safe_dump({"cards": {}}))
    status, lines = said(capsys)
    assert status == 0
    assert any("an older version made it; everything is made once again" in line for line in lines)
