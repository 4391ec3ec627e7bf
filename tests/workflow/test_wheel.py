"""A wheel, unpacked where there is no checkout, does what the checkout does."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from repository_files import REPOSITORY
from workflow_runs import CHECKOUT, job_environment

PYPROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
CARRIED = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """Folder of packages with the suite's wheel in it."""
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(build, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def run(site: Path, folder: Path, *command: str) -> str:
    """What a program of the installed suite prints in `folder`; it must end well."""
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=job_environment() | {"PYTHONPATH": str(site), "LDCT_TIME_AHEAD": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_methods_are_found_and_made_outside_a_checkout(site, tmp_path):
    listed = run(site, tmp_path, "ldct", "methods")
    named = {line.split()[0] for line in listed.splitlines()}
    assert {path.parent.name for path in REPOSITORY.glob("methods/*/method.yaml")} <= named
    made = run(site, tmp_path, "ldct", "new-method", "mine", "--kind", "classical")
    check = made.splitlines()[-1].split("then: ")[1].split()
    assert (tmp_path / "methods/mine/method.yaml").is_file()
    assert "mine: ok" in run(site, tmp_path, *check)


def test_the_workflow_of_a_wheel_plans_the_default_run(site, tmp_path):
    snakefile = run(site, tmp_path, "ldct", "snakefile").strip()
    assert snakefile.startswith(str(site))
    said = run(site, tmp_path, "snakemake", "-n", "--cores", "2", "--snakefile", snakefile)
    assert re.search(r"^table1 +1$", said, re.MULTILINE)
    assert "warning" not in said


def test_what_a_run_needs_of_a_checkout_is_in_the_wheel_and_in_the_images():
    needed = {name for name in CHECKOUT if name != "ldct"}
    assert set(CARRIED) == needed
    assert all(target == f"ldct/suite/{name}" for name, target in CARRIED.items())
    recipe = (REPOSITORY / "containers/Dockerfile").read_text(encoding="utf-8")
    copied = {word for line in re.findall(r"^COPY (.*)$", recipe, re.M) for word in line.split()}
    definition = (REPOSITORY / "containers/ldct.def").read_text(encoding="utf-8")
    files = {source for source, _ in re.findall(r"^    (\S+) /opt/ldct/(\S+)$", definition, re.M)}
    assert needed | {"ldct", "scripts", "requirements.lock", "pyproject.toml"} <= files
    assert files | {"./"} == copied
