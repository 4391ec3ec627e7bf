"""Where a run is: its folder by name, and the nearest name where there is none."""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from ldct.common.errors import InputError


def find_run(run: str) -> Path:
    """Folder of a run given by name or path. InputError with the known runs where there is none."""
    folders = [Path(run), Path("results", run)]
    found = [each for each in folders if (each / "config.yaml").is_file() and each.name]
    if not found:
        files = [*Path("results").glob("*/config.yaml"), *Path("results").glob("*/*/config.yaml")]
        known = [file.parent.relative_to("results").as_posix() for file in sorted(files)]
        choose("run", run, known, "a folder below results/ with a config.yaml")
    return found[0]


def choose(what: str, name: str, known: Sequence[str], expected: str = "one of this run's") -> str:
    """`name` where it is known. InputError with the choices and the nearest one otherwise."""
    if name in known:
        return name
    by_case = {one.casefold(): one for one in reversed(known)}
    close = [by_case[each] for each in get_close_matches(name.casefold(), by_case, n=1)]
    hint = f" (did you mean '{close[0]}'?)" if close else ""
    choices = ", ".join(known) or "none"
    raise InputError(f"unknown {what} '{name}'{hint}; expected {expected}; known: {choices}")
