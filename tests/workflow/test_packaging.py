"""One set of pinned versions: pyproject.toml, environment.yml and requirements.lock agree."""

import re
import subprocess
import tomllib

import pytest
import yaml
from repository_files import REPOSITORY

# Names on conda-forge and bioconda that differ from those on PyPI.
CONDA_NAMES = {
    "snakemake": "snakemake-minimal",
    "matplotlib": "matplotlib-base",
    "torch": "pytorch",
}
PIP_ONLY = ("python-gdcm",)
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
LOCKED_EXTRAS = ("metrics", "bm3d", "nifti", "test")


def pins(lines: list[str]) -> dict[str, str]:
    return dict(line.split("==") for line in lines if "==" in line)


def conda_dependencies() -> tuple[dict[str, str], dict[str, str], str]:
    """Pins from conda channels, pins from pip, and the Python specification."""
    content = yaml.safe_load((REPOSITORY / "environment.yml").read_text(encoding="utf-8"))
    lines = [line for line in content["dependencies"] if isinstance(line, str)]
    (pip,) = [line["pip"] for line in content["dependencies"] if isinstance(line, dict)]
    python = next(line for line in lines if line.startswith("python"))
    conda = dict(re.split("=+", line) for line in lines if "=" in line and line != python)
    return conda, pins(pip), python


def locked() -> dict[str, tuple[str, int]]:
    """Package name to (version, number of hashes) in requirements.lock."""
    text = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8")
    entries = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)
    found = {}
    for entry in entries:
        head = re.match(r"([A-Za-z0-9._-]+)==([^\s;\\]+)", entry)
        if head:
            name = re.sub(r"[-_.]+", "-", head.group(1)).lower()
            found[name] = (head.group(2), entry.count("--hash=sha256:"))
    return found


def test_every_direct_dependency_is_pinned():
    assert all("==" in line for line in PROJECT["dependencies"])
    pinned = ("torch", "metrics", "bm3d", "test")
    assert all("==" in line for name in pinned for line in EXTRAS[name])


def test_environment_has_the_versions_of_pyproject():
    conda, pip, python = conda_dependencies()
    wanted = pins(PROJECT["dependencies"])
    wanted |= pins([line for name in ("torch", "metrics", "nifti") for line in EXTRAS[name]])
    from_pip = {name: wanted.pop(name) for name in PIP_ONLY} | pins(EXTRAS["bm3d"])
    assert conda == {CONDA_NAMES.get(name, name): version for name, version in wanted.items()}
    assert pip == from_pip
    assert PROJECT["requires-python"].removeprefix(">=") in python


def test_judging_environment_is_a_part_of_the_whole_one():
    whole, judging = (
        yaml.safe_load((REPOSITORY / name).read_text(encoding="utf-8"))["dependencies"]
        for name in ("environment.yml", "workflow/envs/judging.yml")
    )
    assert len(judging) > 5 and all(line in whole for line in judging)
    assert not any(line.startswith(("pytorch", "snakemake")) for line in judging)


@pytest.mark.parametrize(
    ("name", "version"),
    [
        pin
        for lines in (PROJECT["dependencies"], *(EXTRAS[name] for name in LOCKED_EXTRAS))
        for pin in pins(lines).items()
    ],
)
def test_lock_has_each_pinned_version(name, version):
    assert locked()[name][0] == version


def test_lock_has_hashes_for_everything_and_leaves_torch_out():
    """torch is its own step: one lock cannot name the CPU and the CUDA build."""
    lock = locked()
    assert len(lock) > 40
    assert [name for name, (_, hashes) in lock.items() if hashes == 0] == []
    assert "torch" not in lock
    assert not [name for name in lock if name.startswith("nvidia-")]


def test_setup_script_installs_the_pinned_torch():
    script = (REPOSITORY / "scripts/setup.sh").read_text(encoding="utf-8")
    assert f'TORCH="{EXTRAS["torch"][0]}"' in script


@pytest.mark.parametrize("name", ["run.sh", "test.sh", "scripts/setup.sh", ".ci/run"])
def test_shell_scripts_are_executable_and_parse(name):
    path = REPOSITORY / name
    assert path.stat().st_mode & 0o100
    assert subprocess.run(["bash", "-n", str(path)], check=False).returncode == 0


def test_a_clone_by_git_for_windows_keeps_unix_line_ends(tmp_path):
    """bash, Snakemake and the checksums read bytes; pictures and arrays stay what they are."""
    where = ["git", "-c", "safe.directory=*", "-c", "core.autocrlf=true"]
    made = subprocess.run(
        [*where, "clone", "--quiet", "--depth=1", REPOSITORY.as_uri(), str(tmp_path / "clone")],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip("needs the history of the repository")
    listing = ["git", "-C", str(tmp_path / "clone"), "ls-files", "--eol"]
    lines = subprocess.run(listing, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(lines) > 300
    assert [line for line in lines if "w/crlf" in line or "w/mixed" in line] == []
    binary = {line.rsplit(".", 1)[1] for line in lines if "w/-text" in line}
    assert binary == {"png", "npz", "safetensors"}
