"""Locks that end with their process, and the stale lock of a killed snakemake."""

import socket
import subprocess
import sys
import time

from workflow_runs import REPOSITORY, job_environment

from ldct.common.held_files import alone_in, release_stale_lock

HOLDER = """
import sys, time
from pathlib import Path
from ldct.common.held_files import alone_in, release_stale_lock
if sys.argv[1] == "lock":
    held = release_stale_lock(Path(sys.argv[2]))
    print("held", flush=True)
    time.sleep(60)
else:
    with alone_in(Path(sys.argv[2])) as waited:
        print("held", waited, flush=True)
        time.sleep(float(sys.argv[3]))
"""


def holder(*arguments: str) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, *arguments],
        cwd=REPOSITORY,
        env=job_environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline().startswith("held")
    return process


def test_lock_of_a_dead_run_goes_and_that_of_a_living_one_stays(tmp_path):
    state = tmp_path / ".snakemake"
    (state / "locks").mkdir(parents=True)
    lock = state / "locks" / "0.output.lock"
    alive = holder("lock", str(state))
    lock.write_text("results/weights\n")
    beside = release_stale_lock(state)  # another snakemake, for example a dry run
    assert lock.exists()
    beside.close()
    alive.kill()
    alive.wait()
    assert lock.exists()
    held = release_stale_lock(state)
    assert not lock.exists()
    lock.write_text("results/weights\n")  # ours now
    release_stale_lock(state).close()
    assert lock.exists()
    held.close()


def test_lock_stays_where_another_host_may_be_alive(tmp_path, capsys, monkeypatch):
    """Some file systems keep locks to each host: this one sees none of the other's."""
    state = tmp_path / ".snakemake"
    (state / "locks").mkdir(parents=True)
    lock = state / "locks" / "0.output.lock"
    with monkeypatch.context() as patch:
        patch.setattr(socket, "gethostname", lambda: "node7")
        release_stale_lock(state).close()
    release_stale_lock(state).close()
    assert capsys.readouterr().err == ""  # nothing to keep
    lock.write_text("results/weights\n")
    release_stale_lock(state).close()
    assert lock.exists()
    said = "locks kept: last used on node7; run with --unlock if it has ended\n"
    assert capsys.readouterr().err == said
    release_stale_lock(state, unlock=True).close()
    assert not lock.exists()
    lock.write_text("results/weights\n")
    release_stale_lock(state).close()
    assert not lock.exists()
    assert (state / "ldct.lock").read_text().split() == [socket.gethostname()]


def test_folder_without_the_right_to_write_has_no_lock_to_release(tmp_path):
    (tmp_path / "file").write_text("")
    assert release_stale_lock(tmp_path / "file" / ".snakemake") is None


def test_one_process_at_a_time_and_a_killed_one_holds_nothing(tmp_path, capsys):
    with alone_in(tmp_path) as waited:
        assert not waited
    working = holder("folder", str(tmp_path), "60")
    working.kill()
    working.wait()
    with alone_in(tmp_path) as waited:
        assert not waited
    holder("folder", str(tmp_path), "0.5")
    started = time.monotonic()
    with alone_in(tmp_path) as waited:
        assert waited
    assert time.monotonic() > started
    assert "another process works here" in capsys.readouterr().err
