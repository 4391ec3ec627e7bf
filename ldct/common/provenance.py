"""What made this file: a small JSON record written beside every output."""

import os
import platform
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from ldct import __version__
from ldct.common.files import sha256_of_file, write_json

RECORD_SUFFIX = ".provenance.json"
PACKAGES = ("numpy", "scipy", "scikit-image", "torch", "numba", "pydicom", "bm3d", "snakemake")
# Hashing gigabytes of pixels again for every output would cost more than making the output: the
# sha256 of every slice stands in the index, and larger inputs are named by size.
HASH_LIMIT_BYTES = 64 * 2**20
# Set by the Snakefile where the configuration has `provenance: {host: true}`.
HOST_SWITCH = "LDCT_HOST_IN_RECORDS"
# An absolute path within a text; what stands before the slash is no part of a path.
ABSOLUTE = re.compile(r"(?<![\w.:/<>~+,)\]-])/(?:[\w.+@-]+/)+[\w.+@-]*")


def record_path(output: str | Path) -> Path:
    """Where the provenance record of `output` lies: beside it."""
    output = Path(output)
    return output.with_name(output.name + RECORD_SUFFIX)


@contextmanager
def recorded(
    outputs: Iterable[str | Path], inputs: Iterable[str | Path], settings: Mapping[str, Any]
) -> Iterator[None]:
    """Time the block that makes `outputs`, then write the record of each; nothing where it fails.

    outputs : files or folders, which must exist after the block.
    inputs : files they were computed from; each is recorded with its sha256, or with its size where
        it is larger than 64 MiB.
    settings : JSON-serialisable parameters of the computation. All three may grow in the block.
    """
    started = time.perf_counter()
    yield
    for output in outputs:
        _write_record(Path(output), inputs, settings, time.perf_counter() - started)


def _write_record(
    output: Path, inputs: Iterable[str | Path], settings: Mapping[str, Any], seconds: float
) -> None:
    record = {
        "output": output.name,
        "content": _describe(output),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "inputs": {str(path): _describe(Path(path)) for path in inputs},
        "settings": dict(settings),
        "code": {"version": __version__, "git": git_revision()},
        "packages": _package_versions(),
        "host": {
            "system": platform.platform(),
            "python": platform.python_version(),
            "cpus": os.cpu_count(),
        },
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 3),
        # Of this process since it started, and of those that it started and that have ended.
        "cpu_seconds": round(sum(os.times()[:4]), 3),
        "peak_memory_mb": round(peak_memory_mb(), 1),
    }
    if names_host():
        record["host"]["node"] = platform.node()
    write_json(record_path(output), of_no_machine(record))


def names_host() -> bool:
    """Whether records hold the name of the host and absolute paths."""
    return bool(os.getenv(HOST_SWITCH))


def of_no_machine(content: Any) -> Any:
    """JSON data with every path relative to the working directory; as it is where hosts are named.

    A path in the home folder starts with `~` where the working directory lies elsewhere.
    """
    if names_host():
        return content
    if isinstance(content, dict):
        return {of_no_machine(key): of_no_machine(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [of_no_machine(value) for value in content]
    if not isinstance(content, str):
        return content
    if content.startswith("/") and "\n" not in content:  # blanks may stand in it
        return _relative(content)
    if (here := str(Path.cwd())) != "/":  # blanks may stand in it, too
        content = re.sub(rf"(?<![\w./-]){re.escape(here)}/", "", content)
    return ABSOLUTE.sub(lambda found: _relative(found[0]), content)


def _relative(path: str) -> str:
    here, home = Path.cwd(), Path.home()
    if Path(path).is_relative_to(home) and not here.is_relative_to(home):
        return str("~" / Path(path).relative_to(home))
    return os.path.relpath(path, here)


def _describe(path: Path) -> dict[str, Any]:
    if path.is_dir():
        return {"folder": True}
    size = path.stat().st_size
    return {"sha256": sha256_of_file(path)} if size <= HASH_LIMIT_BYTES else {"bytes": size}


@cache
def git_revision() -> str | None:
    """Commit of the checkout that runs, with `-dirty` where it has local changes."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


@cache
def _package_versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def peak_memory_mb() -> float:
    """Largest memory of this process so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 1024)
