"""Files that a process holds while it lives: the system lets go of them however it ends."""

import fcntl
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ldct.common.errors import InputError
from ldct.common.files import atomic_path

ROOM_BYTES = 2**18


def release_stale_lock(state: Path, unlock: bool = False) -> IO[str] | None:
    """Remove the lock that a killed `snakemake` left behind, where no other one is alive.

    state : the folder `.snakemake`. Snakemake's own lock is a file that outlives SIGKILL and power
    cuts. Every `snakemake` of this project shares a second lock, which the system drops with the
    process: whoever can have that one alone knows that nobody else is left. Some network file
    systems keep such locks to each host: where another host stands in the file, locks stay.
    unlock : whether the user asks for `--unlock`; that forgets the other hosts, and is refused
        (InputError) while another `snakemake` is alive, whose locks Snakemake would remove.
    Returns the open file; it must stay referenced for as long as the process runs. None where the
    file system has no locks: then `snakemake --unlock` is needed after a kill, as always.
    """
    try:
        state.mkdir(exist_ok=True)
        # Not "w": it would forget the hosts, and NFS wants to read for a shared lock.
        stream = (state / "ldct.lock").open("a+")
    except OSError:
        return None
    try:
        # Before looking: of two hosts that start at once at least one sees the other.
        _add_host(stream)
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _tell_of_other(state, unlock)
        else:
            if unlock:
                stream.truncate(0)
                _add_host(stream)
            _remove_locks(state, _hosts(stream) - {socket.gethostname()})
        # Waits for another one that is between these two locks: only for moments.
        fcntl.flock(stream, fcntl.LOCK_SH)
    except OSError:
        stream.close()
        return None
    return stream


def _tell_of_other(state: Path, unlock: bool) -> None:
    """One line on a living run, ahead of Snakemake's own advice, which is for dead ones."""
    if not list((state / "locks").glob("*.lock")):
        return  # it only looks
    told = f"another snakemake works in {state.parent.resolve()}"
    if unlock:
        raise InputError(f"{told}: its locks are in use; wait for it, or end it first")
    print(f"{told}: wait for it, or end it; --unlock is not for this", file=sys.stderr)


def check_room(state: Path) -> None:
    """Raise OSError where Snakemake cannot keep its records, of which it would print tracebacks.

    state : the folder `.snakemake`.
    """
    probe = state / "room"
    with atomic_path(probe) as path:
        path.write_bytes(bytes(ROOM_BYTES))
    probe.unlink(missing_ok=True)


def _hosts(stream: IO[str]) -> set[str]:
    stream.seek(0)
    return set(stream.read().split())


def _add_host(stream: IO[str]) -> None:
    if socket.gethostname() not in _hosts(stream):
        print(socket.gethostname(), file=stream, flush=True)


def _remove_locks(state: Path, other_hosts: set[str]) -> None:
    locks = list((state / "locks").glob("*.lock"))
    if locks and other_hosts:
        hosts = ", ".join(sorted(other_hosts))
        reason = f"last used on {hosts}; run with --unlock if it has ended"
        print(f"locks kept: {reason}", file=sys.stderr)
        return
    for lock in locks:
        lock.unlink(missing_ok=True)
        print(f"removed {lock}: the run that held it has ended", file=sys.stderr)


@contextmanager
def alone_in(folder: Path) -> Iterator[bool]:
    """Be the only process that works in a folder; waits for one that already does.

    A job outlives a killed `snakemake`, and the next one starts it again. Yields whether it waited.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as stream:
        waited = False
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{folder}: another process works here; waiting for it", file=sys.stderr)
            fcntl.flock(stream, fcntl.LOCK_EX)
            waited = True
        except OSError:
            pass  # a file system without locks
        yield waited
