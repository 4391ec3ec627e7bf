"""`snakemake --use-conda`: one rule of the real workflow inside an environment made for it.

A channel of empty packages is generated from the names and versions in environment.yml, so that the
file is parsed and solved as conda does it; py-rattler solves and installs. What is not shown: that
conda-forge and bioconda hold these versions.
"""

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml
from workflow_runs import REPOSITORY, copy_checkout, job_environment, snakemake, write_inputs

rattler = pytest.importorskip(
    "rattler", reason="py-rattler is not installed (pip install py-rattler)"
)
pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the channel is for Linux"),
]
PYTHON_VERSION = "3.12.1"
TARGET = "results/tiny/config.yaml"
# `python` of the environment: says where it stands, then is the interpreter that runs the tests.
PYTHON = f"""#!/bin/sh
echo "$CONDA_PREFIX" >> "$LDCT_TRACE"
exec "{sys.executable}" "$@"
"""


def write_package(
    channel: Path, name: str, version: str, files: dict[str, str], **build: object
) -> dict:
    """Write one noarch package; returns its entry in repodata.json."""
    index = {"name": name, "version": version, "build": "0", "build_number": 0, "depends": []}
    index |= {"subdir": "noarch", "timestamp": 1_700_000_000_000, **build}
    paths = [
        {
            "_path": path,
            "path_type": "hardlink",
            "sha256": hashlib.sha256(text.encode()).hexdigest(),
            "size_in_bytes": len(text.encode()),
        }
        for path, text in files.items()
    ]
    members = files | {
        "info/index.json": json.dumps(index),
        "info/files": "\n".join(files) + "\n",
        "info/paths.json": json.dumps({"paths": paths, "paths_version": 1}),
    }
    archive = channel / "noarch" / f"{name}-{version}-{index['build']}.tar.bz2"
    with tarfile.open(archive, "w:bz2") as stream:
        for path, text in members.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(text.encode()), 0o755
            stream.addfile(member, io.BytesIO(text.encode()))
    content = archive.read_bytes()
    digests = {kind: hashlib.new(kind, content).hexdigest() for kind in ("md5", "sha256")}
    return {archive.name: index | digests | {"size": len(content)}}


def pins_of(environment: dict) -> dict[str, str]:
    """Name to version of what an environment file takes from channels, but for Python."""
    lines = [spec for spec in environment["dependencies"] if isinstance(spec, str)]
    pinned = [re.split("=+", line) for line in lines if "=" in line]
    return dict(each for each in pinned if each[0] != "python>")


def write_channel(channel: Path, environment: dict) -> None:
    """Write a channel that holds what the environment asks for, and a newer version of each."""
    for subdir in ("noarch", "linux-64"):
        (channel / subdir).mkdir(parents=True)
    packages = write_package(channel, "python", PYTHON_VERSION, {"bin/python": PYTHON})
    packages |= write_package(channel, "pip", "25.0", {"share/pip.txt": "25.0"})
    for name, pinned in pins_of(environment).items():
        for version in (pinned, "9999.0"):
            packages |= write_package(channel, name, version, {f"share/{name}.txt": version})
    # Beside the build for CPUs, as on conda-forge: a newer one that asks for a driver.
    torch = pins_of(environment)["pytorch"]
    cuda = {"build": "cuda1", "build_number": 1, "depends": ["__cuda"]}
    packages |= write_package(channel, "pytorch", torch, {"share/pytorch.txt": "cuda"}, **cuda)
    for subdir, content in (("noarch", packages), ("linux-64", {})):
        repodata = {"info": {"subdir": subdir}, "packages": content, "packages.conda": {}}
        (channel / subdir / "repodata.json").write_text(json.dumps(repodata))


def write_conda(folder: Path) -> None:
    """Write `bin/conda` and `bin/activate` of a prefix."""
    (folder / "bin").mkdir(parents=True)
    standin = Path(__file__).parents[1] / "helpers/conda_standin.py"
    conda = folder / "bin/conda"
    packages = Path(rattler.__file__).parents[1]
    conda.write_text(
        f'#!/bin/sh\nexport PYTHONPATH="{packages}"\n'
        f'exec "{sys.executable}" "{standin}" "{folder}" "$@"\n'
    )
    conda.chmod(0o755)
    (folder / "bin/activate").write_text('export CONDA_PREFIX="$1" PATH="$1/bin:$PATH"\n')


@pytest.fixture
def checkout(tmp_path):
    """A copy of the checkout whose environment.yml points at a local channel."""
    folder = copy_checkout(tmp_path / "checkout")
    write_inputs(folder, size=32, slices=2)
    environment = yaml.safe_load((REPOSITORY / "environment.yml").read_text(encoding="utf-8"))
    write_channel(tmp_path / "channel", environment)
    write_conda(tmp_path / "conda")
    local = environment | {"channels": [(tmp_path / "channel").as_uri()]}
    (folder / "environment.yml").write_text(yaml.safe_dump(local))
    return folder


def with_conda(folder: Path) -> dict[str, str]:
    """Environment variables of a user who has the stand-in first on PATH."""
    variables = job_environment()
    path = os.pathsep.join([str(folder.parent / "conda/bin"), variables["PATH"]])
    return variables | {"PATH": path, "LDCT_TRACE": str(folder.parent / "trace.txt")}


def test_rule_runs_inside_the_environment_that_the_file_describes(checkout):
    outcome = snakemake(
        checkout, TARGET, "--cores", "2", "--use-conda", environment=with_conda(checkout)
    )
    assert outcome.returncode == 0, outcome.stdout[-3000:]
    assert (checkout / TARGET).is_file()
    (prefix,) = [
        path for path in (checkout / ".snakemake/conda").iterdir() if (path / "bin").is_dir()
    ]
    assert set((checkout.parent / "trace.txt").read_text().split()) == {str(prefix)}
    expected = yaml.safe_load((REPOSITORY / "environment.yml").read_text(encoding="utf-8"))
    for name, version in pins_of(expected).items():
        assert (prefix / f"share/{name}.txt").read_text() == version


def test_environment_that_cannot_be_solved_stops_with_its_name(checkout):
    path = checkout / "environment.yml"
    path.write_text(path.read_text().replace("scipy=", "scipy=1234."))
    outcome = snakemake(
        checkout, TARGET, "--cores", "2", "--use-conda", environment=with_conda(checkout)
    )
    assert outcome.returncode != 0
    assert "scipy" in outcome.stdout
    assert not (checkout / TARGET).exists()


def conda(checkout: Path, *arguments: str, **variables: str) -> str:
    """What the stand-in prints."""
    environment = with_conda(checkout) | variables
    done = subprocess.run(
        ["conda", *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize(("driver", "build"), [("", "2.13.0"), ("12.8", "cuda")])
def test_one_file_gives_the_cpu_or_the_cuda_build(checkout, driver, build):
    """CONDA_OVERRIDE_CUDA decides where the machine that solves has another GPU, or none."""
    target = checkout.parent / "made"
    file = str(checkout / "environment.yml")
    conda(
        *(checkout, "env", "create", "--file", file, "--prefix", str(target)),
        CONDA_OVERRIDE_CUDA=driver,
    )
    assert (target / "share/pytorch.txt").read_text() == build


def test_judging_runs_from_an_explicit_lock_without_pytorch(checkout):
    """`conda list --explicit --md5`, put beside the file, is what Snakemake then installs."""
    judging = checkout / "workflow/envs/judging.yml"
    content = yaml.safe_load(judging.read_text(encoding="utf-8"))
    local = content | {"channels": [(checkout.parent / "channel").as_uri()]}
    judging.write_text(yaml.safe_dump(local))
    first = checkout.parent / "first"
    conda(checkout, "env", "create", "--file", str(judging), "--prefix", str(first))
    lock = conda(checkout, "list", "--explicit", "--md5", "--prefix", str(first))
    assert lock.startswith("@EXPLICIT\n") and "pytorch" not in lock
    judging.with_suffix(".linux-64.pin.txt").write_text(lock)
    # The file asks for more than the channel has: made of it, the environment could not be solved.
    judging.write_text(yaml.safe_dump(local | {"dependencies": ["nothing=1"]}))
    assert (
        pins_of(content).items()
        <= {name: version for name, version, _ in map(parts_of_address, lock.split()[1:])}.items()
    )
    outcome = snakemake(
        *(checkout, "--cores", "1", "--use-conda", "--conda-create-envs-only"),
        environment=with_conda(checkout),
    )
    assert outcome.returncode == 0, outcome.stdout[-3000:]
    made = [path.parent for path in (checkout / ".snakemake/conda").glob("*/share")]
    assert sorted((path / "share/pytorch.txt").exists() for path in made) == [False, True]


def parts_of_address(address: str) -> list[str]:
    """Name, version and build of a package."""
    return address.split("#")[0].rsplit("/", 1)[1].removesuffix(".tar.bz2").rsplit("-", 2)


def test_missing_conda_is_one_line(checkout):
    path = os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"])
    without = job_environment() | {"PATH": path}
    outcome = snakemake(checkout, TARGET, "--cores", "2", "--use-conda", environment=without)
    assert outcome.returncode != 0
    error = outcome.stdout.splitlines()[-1]
    assert error.startswith("error: --use-conda: found no conda on PATH, expected conda 24.7.1")
    assert "Traceback" not in outcome.stdout and "WorkflowError" not in outcome.stdout
