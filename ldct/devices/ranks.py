"""Which of several processes of one job this one is, from what torchrun tells its processes."""

import os


def rank_and_size() -> tuple[int, int]:
    """Number of this process, and how many there are on all machines; (0, 1) without torchrun."""
    return _numbers("RANK", "WORLD_SIZE")


def local_rank_and_size() -> tuple[int, int]:
    """The same among the processes of this machine."""
    return _numbers("LOCAL_RANK", "LOCAL_WORLD_SIZE")


def _numbers(rank: str, size: str) -> tuple[int, int]:
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return 0, 1
    return int(os.environ[rank]), int(os.environ[size])
