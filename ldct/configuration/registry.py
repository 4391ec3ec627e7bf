"""Finding method folders and reading their cards: YAML only, nothing is imported."""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ldct.common.errors import InputError
from ldct.common.schema import read_valid

CARD = "method.yaml"


def find_methods(search_paths: Sequence[str | Path]) -> dict[str, Path]:
    """Map method names to folders: every folder with a `method.yaml` below the search paths.

    Raises InputError where a search path is missing or two folders share a name.
    """
    found: dict[str, Path] = {}
    for search_path in map(Path, search_paths):
        if not search_path.is_dir():
            raise InputError(f"method_paths: no folder {search_path}; expected a folder of methods")
        for card in sorted(search_path.glob(f"*/{CARD}")):
            if card.parent.name in found:
                raise InputError(
                    f"{card}: a method '{card.parent.name}' also stands in "
                    f"{found[card.parent.name]}; rename one of the folders"
                )
            found[card.parent.name] = card.parent
    return found


def method_folder(name: str, methods: dict[str, Path], where: str) -> Path:
    """Folder of one method; InputError with the nearest known name where there is none."""
    if name not in methods:
        close = get_close_matches(name, methods, n=1)
        hint = f" (did you mean '{close[0]}'?)" if close else ""
        known = ", ".join(sorted(methods))
        raise InputError(f"{where}: unknown method '{name}'{hint}; known: {known}")
    return methods[name]


def read_card(folder: Path) -> dict[str, Any]:
    """Read and check one `method.yaml`; InputError naming file and key."""
    return read_valid(folder / CARD, "method")
