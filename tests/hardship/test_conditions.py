"""A full disk, no right to write, a second run, clocks that jump: one line, and nothing is lost."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from test_kills import RUN, TABLES, results
from workflow_runs import job_environment, pending, snakemake

from ldct.cli import main
from ldct.common.files import REPOSITORY, sha256_of_file

# Root may write everywhere but for this.
PLAIN = ("setpriv", "--bounding-set=-dac_override,-fowner", "--inh-caps=-dac_override,-fowner")


def command(*words: str) -> bool:
    return subprocess.run(words, capture_output=True).returncode == 0


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A folder on a disk of its own, of few MiB; skipped where nobody may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not command("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)):
        pytest.skip("needs the right to mount a file system")
    yield folder
    command("umount", str(folder))


def fill(folder: Path, leave: int = 0) -> Path:
    """Take all room but for `leave` bytes."""
    free = shutil.disk_usage(folder).free
    assert free < 2**23, "not the small disk"
    (folder / "filler").write_bytes(bytes(free - leave))
    return folder / "filler"


@pytest.fixture
def test_set(tmp_path) -> Path:
    """Two slices of 256 x 256 pixels, as a run has them."""
    from ldct.method_check.pair import write_pair

    return write_pair(tmp_path / "test", 2)


def predict(test_folder: Path, output: Path, capsys) -> tuple[int, str]:
    status = main(["denoise-identity", "--test-folder", str(test_folder), "--output", str(output)])
    return status, capsys.readouterr().err.strip()


def test_full_disk_is_one_line_and_room_is_enough_to_go_on(small_disk, test_set, capsys):
    output, kept = small_disk / "P1.npy", small_disk / "kept.npy"
    assert predict(test_set, kept, capsys)[0] == 0
    before = sha256_of_file(kept)
    filler = fill(small_disk, leave=8192)
    for target in (output, kept):
        status, told = predict(test_set, target, capsys)
        assert status == 1
        assert told == (
            f"error: {target}: No space left on device; make room on its disk and run again: what "
            "is finished is kept"
        )
    assert sha256_of_file(kept) == before
    assert sorted(path.name for path in small_disk.glob("*.npy")) == ["kept.npy"]
    assert not list(small_disk.glob(".*.tmp*"))
    filler.unlink()
    assert predict(test_set, output, capsys)[0] == 0
    assert np.array_equal(np.load(output), np.load(kept))


WRITERS = {
    "array": "np.save(path.open('wb'), np.zeros(9_000_000))",
    "mapped array": "create_array(path, (9_000_000,), np.float32)[:] = 1",
    "table": "pd.DataFrame({'x': np.random.default_rng(0).random(2_000_000)}).to_parquet(path)",
    "text": "path.write_text('x' * 9_000_000)",
    "weights": "write_durably(path, bytes(9_000_000))",
    "archive": "np.savez(path, x=np.zeros(9_000_000))",
}


@pytest.mark.parametrize("kind", WRITERS)
def test_every_kind_of_file_says_that_the_disk_is_full(small_disk, kind):
    """A mapped file would end its process by a signal, NumPy counts bytes, others name no file."""
    program = (
        "import sys\nfrom pathlib import Path\nimport numpy as np, pandas as pd\n"
        "from ldct.common.errors import problem_of\n"
        "from ldct.common.files import atomic_path, create_array, write_durably\n"
        f"try:\n    with atomic_path(Path('x.npz')) as path:\n        {WRITERS[kind]}\n"
        "except OSError as error:\n    sys.exit(problem_of(error))\n"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", program],
        cwd=small_disk,
        env=job_environment() | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
    )
    assert outcome.stderr.startswith("x.npz: No space left on device"), outcome.stderr[-500:]
    assert outcome.returncode == 1
    assert not list(small_disk.iterdir())


def test_shared_memory_of_no_size_is_named(tmp_path):
    """As containers have it: locks of process pools find no room there."""
    program = (
        "from pathlib import Path\nfrom multiprocessing import Lock\n"
        "from ldct.common.errors import problem_of\nfrom ldct.common.files import atomic_path\n"
        "Path('/dev/shm/filler').write_bytes(bytes(4096))\n"
        "try:\n    with atomic_path(Path('x.npy')):\n        Lock()\n"
        "except OSError as error:\n    print(problem_of(error))\n"
    )
    script = 'mount -t tmpfs -o size=4k tmpfs /dev/shm && exec "$0" -c "$1"'
    words = ["unshare", "--mount", "sh", "-c", script, sys.executable, program]
    if not command("unshare", "--mount", "true"):
        pytest.skip("needs the right to mount a file system")
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    outcome = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert outcome.stdout.startswith("/dev/shm: No space left on device"), outcome.stderr


def last_line(folder: Path, *before: str) -> str:
    words = [*before, sys.executable, "-m", "snakemake", "--cores", "2"]
    outcome = subprocess.run(
        [*words, "--configfile", "small.yaml"],
        cwd=folder,
        env=job_environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert outcome.returncode == 1
    return outcome.stderr.strip().splitlines()[-1]


@pytest.mark.end_to_end
def test_folder_without_the_right_to_write_is_one_line(copy_of_run):
    if os.geteuid() == 0 and not command(*PLAIN, "true"):
        pytest.skip("needs the right to drop rights")
    for folder in (copy_of_run, copy_of_run / ".snakemake"):
        folder.chmod(0o555)
    told = last_line(copy_of_run, *(PLAIN if os.geteuid() == 0 else ()))
    for folder in (copy_of_run, copy_of_run / ".snakemake"):
        folder.chmod(0o755)
    assert told.startswith("error: .snakemake/")
    assert told.endswith("Permission denied; get the rights for it, or run in another folder")
    assert "Nothing to be done" in snakemake(copy_of_run, "--cores", "2").stdout


@pytest.mark.end_to_end
def test_second_run_in_a_folder_is_told_to_wait_and_cannot_unlock_the_first(copy_of_run):
    folder, expected = copy_of_run, results(copy_of_run)
    (folder / RUN / TABLES[0]).unlink()
    with (folder / "first.txt").open("w") as printed:
        first = subprocess.Popen(
            [sys.executable, "-m", "snakemake", "--cores", "1", "--configfile", "small.yaml"],
            cwd=folder,
            env=job_environment(),
            stdout=printed,
            stderr=printed,
        )
    while first.poll() is None and not list((folder / ".snakemake/locks").glob("*.lock")):
        time.sleep(0.02)
    second = snakemake(folder, "--cores", "1")
    unlock = snakemake(folder, "--unlock", "--cores", "1")
    assert first.wait(timeout=300) == 0, (folder / "first.txt").read_text()[-2000:]
    assert second.returncode == 1
    assert f"another snakemake works in {folder}: wait for it" in second.stdout
    assert unlock.returncode == 1
    last = unlock.stdout.strip().splitlines()[-1]
    assert last == (
        f"error: another snakemake works in {folder}: its locks are in use; wait for it, or end "
        "it first"
    )
    assert results(folder) == expected


@pytest.mark.end_to_end
@pytest.mark.parametrize("days", [-400, 400])
def test_times_of_files_decide_nothing_where_contents_are_the_same(copy_of_run, days):
    """A clock that was wrong, a copy without times: all that the run made looks older or newer.

    Files of the data set are told apart by their times, as they are too large to be read each time.
    """
    moved = time.time() + days * 86400
    for top in ("data", "results"):
        for number, path in enumerate(sorted((copy_of_run / top).rglob("*"))):
            os.utime(path, (moved - number, moved - number))  # not in the order of their making
    # The table of cost has a folder of panels behind it, which Snakemake knows by its age alone.
    assert pending(copy_of_run) <= {"cost", "judge_claims", "front_page"}
