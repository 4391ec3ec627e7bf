"""Files that a process holds while it lives: the system lets go of them however it ends."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


def release_stale_lock(state: Path) -> IO[str] | None:
    """Remove the lock that a killed `snakemake` left behind, where no other one is alive here.

    state : the folder `.snakemake`. Snakemake's own lock is a file that outlives SIGKILL and power
    cuts. Every `snakemake` of this project shares a second lock, which the system drops with the
    process: whoever can have that one alone knows that nobody else is left.
    Returns the open file; it must stay referenced for as long as the process runs. None where the
    file system has no locks: then `snakemake --unlock` is needed after a kill, as always.
    """
    if fcntl is None:
        return None
    try:
        state.mkdir(exist_ok=True)
        stream = (state / "ldct.lock").open("w")
    except OSError:
        return None
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for lock in (state / "locks").glob("*.lock"):
            lock.unlink(missing_ok=True)
            print(f"removed {lock}: the run that held it has ended", file=sys.stderr)
    except OSError:
        pass  # another run is alive: its lock must stay
    try:
        fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        stream.close()
        return None
    return stream


@contextmanager
def alone_in(folder: Path) -> Iterator[bool]:
    """Be the only process that works in a folder; waits for one that already does.

    A job outlives a killed `snakemake`, and the next one starts it again. Yields whether it waited.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as stream:
        waited = False
        if fcntl is not None:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print(f"{folder}: another process works here; waiting for it", file=sys.stderr)
                fcntl.flock(stream, fcntl.LOCK_EX)
                waited = True
            except OSError:
                pass  # a file system without locks
        yield waited
