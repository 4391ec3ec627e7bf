"""The files of the checkout that are, or would be, committed."""

import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
NOT_COMMITTED = {".git", ".venv", "data", "results", "logs", ".snakemake", "__pycache__"}


def repository_files() -> list[Path]:
    """All files that git tracks or would add; without git, all but the known by-products."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        files = [REPOSITORY / line for line in listed.stdout.splitlines()]
    else:
        files = [
            path
            for path in REPOSITORY.rglob("*")
            if not NOT_COMMITTED.intersection(path.relative_to(REPOSITORY).parts)
        ]
    return [path for path in files if path.is_file()]


def text_of(path: Path) -> str:
    """Content of a text file; empty for a binary one."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""
