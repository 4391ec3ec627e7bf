"""Files made to do harm: refused in one line, before they take memory, run, or write elsewhere."""

import ast
import gzip
import json
import os
import resource
import signal
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pydicom
import pytest
import torch
import yaml
from lookalike import lookalike_description, write_lookalike_tree
from odd_files import compress
from safetensors.torch import save_file
from torch import nn
from workflow_runs import job_environment, write_yaml

from ldct.common.errors import InputError
from ldct.common.files import REPOSITORY, atomic_folder, atomic_path, read_json, read_yaml
from ldct.common.inputs import open_array
from ldct.common.schema import validate
from ldct.configuration.resolve import resolve_run
from ldct.data.dicom.inventory import index_dataset
from ldct.denoising.given_images import read_given
from ldct.networks.files import load_weights
from ldct.scan.nifti import read_nifti

MEBIBYTE = 2**20
RUN = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text()) | {"methods": ["low_dose"]}
ELSEWHERE = ["../up", "/abs", "a/b", "a\\b", "a\0b", "", ".", "..", "a\n", "{x}", "x" * 300]


@pytest.fixture
def little_memory():
    """No more than 100 MiB for Python and NumPy."""
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 * MEBIBYTE


def laughs(depth: int, link: str = "[{}]") -> str:
    """Aliases of aliases: nine times as many values in each line."""
    lines = ["a0: &a0 {x: 1}"]
    for number in range(1, depth):
        lines.append(f"a{number}: &a{number} " + link.format(", ".join([f"*a{number - 1}"] * 9)))
    return "\n".join(lines)


BOMBS = {
    "aliases": laughs(12),
    "merges": laughs(12, "{{<<: [{}]}}"),
    "circle": "a: &a [*a]",
    "lists": "[" * 100_000,
    "dashes": "- " * 100_000,
    "digits": "1" * 10_000,
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_yaml_that_grows_is_refused(tmp_path, little_memory, bomb):
    file = tmp_path / "bomb.yaml"
    file.write_text(BOMBS[bomb])
    with pytest.raises(InputError, match=r"bomb.yaml: (its aliases|is nested|not valid)"):
        read_yaml(file)


def dry_run(folder: Path, overlay: str) -> subprocess.CompletedProcess:
    """`snakemake -n` of the suite in a folder, in 4 GiB."""
    command = [sys.executable, "-m", "snakemake", "-n", "--snakefile", REPOSITORY / "Snakefile"]
    return subprocess.run(
        [*command, "--configfile", overlay],
        cwd=folder,
        env=job_environment(),
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2**32, 2**32)),
    )


def test_a_configuration_of_aliases_is_refused_by_the_workflow(tmp_path):
    """Snakemake reads it before this suite does."""
    (tmp_path / "bomb.yaml").write_text(f"{laughs(30)}\nrun: *a29\n")
    outcome = dry_run(tmp_path, "bomb.yaml")
    assert outcome.returncode == 1
    assert "error: configuration: its aliases (*) stand for too many values" in outcome.stderr
    assert "Traceback" not in outcome.stderr


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "\0", "1" * 10_000])
def test_json_without_end_is_refused(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(InputError, match=r"x\.json: not valid JSON"):
        read_json(tmp_path / "x.json")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_pass_any_bound_are_refused(value):
    config = RUN | {"tiles": {**RUN["tiles"], "keep_above_hu": value}}
    with pytest.raises(InputError, match=r"key 'tiles.keep_above_hu': found (nan|inf), expected a"):
        validate(config, "config", "configuration")


@pytest.mark.parametrize("name", ELSEWHERE)
@pytest.mark.parametrize("place", ["run", "data set", "patient", "method", "protocol"])
def test_names_lead_nowhere_else(tmp_path, place, name):
    """A run, data set, patient or protocol names files; a method is one of the known folders."""
    changes = {"run": {"run": name}, "method": {"methods": [name]}}.get(place)
    if place in ("data set", "patient"):
        described = yaml.safe_load((REPOSITORY / "config/datasets/aapm.yaml").read_text())
        own = {"name": name} if place == "data set" else {"patients": {name: {"split": "test"}}}
        changes = {"dataset": str(write_yaml(tmp_path / "own.yaml", described | own))}
    elif place == "protocol":
        protocol = yaml.safe_load((REPOSITORY / "config/protocols/abdomen.yaml").read_text())
        changes = {"protocol": str(write_yaml(tmp_path / "own.yaml", protocol | {"name": name}))}
    with pytest.raises(InputError):
        resolve_run(RUN | changes, REPOSITORY)


def test_archives_are_never_unpacked_by_name():
    """Members are read in memory; `extract` would follow names and links out of the folder."""
    for file in [*REPOSITORY.glob("ldct/**/*.py"), *REPOSITORY.glob("scripts/*.py")]:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert not names & {"extract", "extractall", "unpack_archive"}, file


def test_a_link_out_of_the_tree_is_replaced_and_its_target_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").write_text("mine")
    (tmp_path / "file.txt").symlink_to(tmp_path / "mine/letter.txt")
    (tmp_path / "folder").symlink_to(tmp_path / "mine")
    with atomic_path(tmp_path / "file.txt") as path:
        path.write_text("result")
    with atomic_folder(tmp_path / "folder") as folder:
        (folder / "letter.txt").write_text("result")
    assert (tmp_path / "mine/letter.txt").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file.txt", "folder", "mine"]
    assert (tmp_path / "folder/letter.txt").read_text() == "result"


def test_what_a_killed_process_left_goes_when_the_file_is_made_again(tmp_path):
    program = (
        "import os, signal\nfrom ldct.common.files import atomic_folder, atomic_path\n"
        "with atomic_path('a.csv') as a, atomic_folder('b') as b:\n"
        "    a.write_text('half')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-c", program]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    assert subprocess.run(command, cwd=tmp_path, env=environment).returncode == -signal.SIGKILL
    other = tmp_path / f".a.elsewhere-{os.getpid()}.tmp.csv"  # of another machine
    other.write_text("half")
    assert len(list(tmp_path.iterdir())) == 3
    with atomic_path(tmp_path / "a.csv") as a, atomic_folder(tmp_path / "b"):
        a.write_text("whole")
    assert {path.name for path in tmp_path.iterdir()} == {"a.csv", "b", other.name}


HEADERS = {
    "larger than the disk": "(99999999999,)",
    "larger than numbers": "(9999999999999999999999,)",
    "negative": "(-1,)",
    "code": "__import__('os').abort()",
    "no end": "(" * 2000,
    "no number": "(True, 1.5)",
}


@pytest.mark.parametrize("header", HEADERS)
def test_array_files_are_held_against_what_they_claim(tmp_path, little_memory, header):
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {HEADERS[header]}, }}\n".encode()
    file = tmp_path / "P1.npy"
    file.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(64))
    with pytest.raises(InputError, match=r"P1\.npy: not a readable"):
        open_array(file)


@pytest.mark.parametrize("sides", [(32767, 32767, 32767), (32767, 2, 2), (-5, 4, 4), (0, 4, 4)])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_nifti_headers_are_held_against_their_file(tmp_path, little_memory, suffix, sides):
    nibabel = pytest.importorskip("nibabel")
    image = nibabel.Nifti1Image(np.zeros((4, 4, 4), np.int16), np.eye(4))
    content = bytearray(image.to_bytes())
    content[42:48] = struct.pack("<3h", *sides)
    file = tmp_path / f"P1{suffix}"
    file.write_bytes(gzip.compress(bytes(content)) if suffix.endswith("gz") else bytes(content))
    info = {"z_mm": [0.0], "orientation": [1, 0, 0, 0, 1, 0], "pixel_mm": [1, 1]}
    info |= {"origin_mm": [0, 0], "slice_index": [0], "thickness_mm": 1}
    for read in (read_nifti, lambda path: read_given([path], info)):
        with pytest.raises(InputError, match=rf"P1{suffix}: (its header claims|not a readable)"):
            read(file)


@pytest.mark.parametrize("syntax", [None, "RLELossless", "JPEGLSLossless"])
def test_dicom_slices_of_any_claimed_size_take_no_memory(tmp_path, little_memory, syntax):
    tree = write_lookalike_tree(tmp_path / "dicom", "A", ["L067"], slices=3, size=16)
    for path in tree.files["L067"]["full"]:
        if syntax:
            compress(path, syntax)
        dataset = pydicom.dcmread(path)
        dataset.Rows = dataset.Columns = 65535
        dataset.save_as(path)
    description = lookalike_description(tree, test=["L067"])
    with pytest.raises(InputError, match="3 files refused: Rows is 65535, expected 8192 at most"):
        index_dataset(tree.root, description, tmp_path / "i.parquet", tmp_path / "i.md")


class Network(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Conv2d(1, 2, 3))


TENSORS = Network().state_dict()
WEIGHTS = {
    "shapes": {**TENSORS, "0.bias": torch.zeros(3)},
    "types": {**TENSORS, "0.bias": torch.zeros(2, dtype=torch.int8)},
    "half": {name: tensor.half() for name, tensor in TENSORS.items()},
    "missing": {"0.bias": TENSORS["0.bias"]},
    "more": {**TENSORS, "1.bias": torch.zeros(2)},
}
CLAIMS = {
    "length": struct.pack("<Q", 2**62) + b"{}",
    "beyond": json.dumps({"0.bias": {"dtype": "F32", "shape": [2], "data_offsets": [0, 2**40]}}),
    "nested": "{" * 5000,
    "pickle": b"\x80\x04cos\nsystem\n.",
}


@pytest.mark.parametrize("fault", [*WEIGHTS, *CLAIMS])
def test_weights_that_do_not_fit_are_refused(tmp_path, little_memory, fault):
    file = tmp_path / "weights.safetensors"
    if fault in WEIGHTS:
        save_file(WEIGHTS[fault], file)
    else:
        claim = CLAIMS[fault]
        text = claim.encode() if isinstance(claim, str) else b""
        file.write_bytes(struct.pack("<Q", len(text)) + text if text else claim)
    with pytest.raises(InputError, match=r"weights\.safetensors: .*retrain it"):
        load_weights(file, Network())


def test_code_of_methods_outside_the_suite_is_named_before_it_runs(tmp_path):
    """The workflow's start imports none of it; here it would tell."""
    folder = tmp_path / "mine" / "theirs"
    folder.mkdir(parents=True)
    (folder / "denoise.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    card = {"title": "Theirs", "kind": "classical", "source": "x", "in_paper": False}
    write_yaml(folder / "method.yaml", card | {"departures": []})
    overlay = {"methods": ["low_dose", "theirs"], "method_paths": ["mine"]}
    write_yaml(tmp_path / "own.yaml", overlay)
    outcome = dry_run(tmp_path, "own.yaml")
    assert outcome.returncode == 0, outcome.stderr[-2000:]
    assert "code from outside the suite will run: mine/theirs\n" in outcome.stderr
    assert not (tmp_path / "ran").exists()
