"""What a machine has and lacks: its Python, packages, PyTorch, GPU, disk and conda."""

import fcntl
import platform
import re
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from ldct.common.files import REPOSITORY
from ldct.devices.torch_build import GPU_BUILD, built_for_cuda

PIN = re.compile(r'([\w.-]+)==([\w.]+)(?:;\s*extra == [\'"]([\w-]+)[\'"])?')
# Of the extras, those that a run may use, and what it does without them.
WITHOUT = {
    "torch": "no network is trained or applied",
    "metrics": "no VIF and no GMSD",
    "bm3d": "the rows of BM3D are left out",
}
CONDA_LEAST = (24, 7, 1)  # of Snakemake 9


@dataclass(frozen=True)
class Finding:
    """state : "ok", "note" (works, but), or "fix" (will fail); text : one line with the remedy."""

    state: str
    text: str


def pinned() -> dict[str, dict[str, str]]:
    """Extra, or "" for what is always needed, to its packages with the version that is pinned."""
    file = REPOSITORY / "pyproject.toml"
    if file.is_file():
        project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
        groups = {"": project["dependencies"], **project["optional-dependencies"]}
        lines = [f"{line}; extra == '{key}'" for key, group in groups.items() for line in group]
    else:
        lines = requires("ldct-cascade") or []
    found: dict[str, dict[str, str]] = {}
    for name, number, extra in (match.groups() for match in map(PIN.match, lines) if match):
        found.setdefault(extra or "", {})[name] = number
    return found


def packages() -> Iterator[Finding]:
    """Python and the pinned packages."""
    wanted = pinned()
    wrong = [*_unlike(wanted[""])]
    yield from (Finding("fix", text) for text in wrong)
    if not wrong:
        number = platform.python_version()
        yield Finding("ok", f"Python {number}, {len(wanted[''])} packages as pinned")
    for extra, effect in WITHOUT.items():
        missing = [name for name in wanted[extra] if _version(name) is None]
        if missing:
            pins = " ".join(f"{name}=={wanted[extra][name]}" for name in missing)
            yield Finding(
                "note", f"{', '.join(missing)} not installed: {effect}; pip install {pins}"
            )
        yield from (Finding("fix", text) for text in _unlike(wanted[extra], missing))


def _unlike(wanted: dict[str, str], but: Iterable[str] = ()) -> Iterator[str]:
    """What packages lack or differ from the version that is pinned, one line each."""
    for name, expected in wanted.items():
        found = _version(name)
        # Builds of PyTorch have a local part: 2.13.0+cpu.
        if name not in but and (found or "").split("+")[0] != expected:
            pin = f"{name}=={expected}"
            yield f"{name} {found or 'is missing'}, expected {expected}: pip install {pin}"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def gpu() -> Finding:
    """Driver and PyTorch's build; nothing is imported."""
    if shutil.which("nvidia-smi") is None:
        return Finding("note", "no NVIDIA driver: networks run on the CPU (docs/devices.md)")
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True, timeout=20, check=False)
    if done.returncode:
        said = " ".join((done.stdout + done.stderr).split())
        return Finding("fix", f"nvidia-smi fails ({said}): mend the driver, or set device: cpu")
    found = "; ".join(done.stdout.strip().splitlines())
    if _version("torch") and not built_for_cuda():
        return Finding("fix", f"{found}, but PyTorch is the CPU build: {GPU_BUILD}")
    return Finding("ok", f"GPU {found}")


def disk(folder: Path, needed_mb: float) -> Iterator[Finding]:
    """Room, and the right to write and to lock, in the folder where the run is started."""
    free_gb, needed_gb = shutil.disk_usage(folder).free / 1e9, needed_mb * 2**20 / 1e9
    text = f"{free_gb:.1f} GB free in {folder.resolve()}, the run takes about {needed_gb:.1f} GB"
    yield Finding("ok" if free_gb > needed_gb else "fix", text)
    try:
        with tempfile.TemporaryFile(dir=folder) as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX)
            except OSError:
                text = "file system without locks: after a kill call snakemake --unlock"
                yield Finding("note", text)
    except OSError as error:
        yield Finding("fix", f"{folder.resolve()}: cannot be written ({error.strerror})")


def conda() -> Finding:
    """The conda that `snakemake --use-conda` would call."""
    if shutil.which("conda") is None:
        return Finding("note", "no conda: only --use-conda needs it, ./run.sh does not")
    done = subprocess.run(["conda", "--version"], capture_output=True, text=True, check=False)
    number = tuple(map(int, re.findall(r"\d+", done.stdout)[:3]))
    least = ".".join(map(str, CONDA_LEAST))
    if number < CONDA_LEAST:
        return Finding("fix", f"{done.stdout.strip()}, --use-conda needs {least} or newer")
    return Finding("ok", done.stdout.strip())
