"""Method folders, their cards, and the rules that they bring: nothing of them is imported."""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ldct.common.errors import InputError
from ldct.common.schema import read_valid

CARD = "method.yaml"
NOT_INSTALLED = "package"  # begins what `read_usable_card` says
RULE = re.compile(r"^\s*(?:rule|checkpoint)\s+(\w+)\s*:", re.MULTILINE)


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


def read_usable_card(folder: Path) -> dict[str, Any]:
    """`read_card`; InputError where a package that the card asks for cannot be imported here."""
    card = read_card(folder)
    for pin in card.get("packages", []):
        name = pin.partition("==")[0]
        if find_spec(name) is None:
            raise InputError(f"{NOT_INSTALLED} {name} is not installed: pip install {pin}")
    return card


def foreign_code(settings: Mapping[str, Any], suite: Path) -> list[str]:
    """Folders outside of `suite`, a folder of methods, whose code a resolved run will execute."""
    files = [stage["network"]["file"] for stage in settings["models"].values()]
    files += [
        stage["loss"]["adversarial"]["discriminator"]["file"]
        for stage in settings["models"].values()
        if "discriminator" in stage["loss"].get("adversarial", {})
    ]
    folders = [*map(Path, settings["folders"].values()), *(Path(file).parent for file in files)]
    foreign = {each for each in folders if not each.resolve().is_relative_to(suite.resolve())}
    return sorted(
        str(each)
        for each in foreign
        if any(next(each.glob(kind), None) for kind in ("*.py", "*.smk"))
    )


def check_names(own: Path, others: Iterable[Path]) -> None:
    """Raise InputError where a method's rules have a name that rules in other files have.

    Looked for before the rules are included: Snakemake would blame the file that comes second.
    """
    names = set(RULE.findall(own.read_text(encoding="utf-8")))
    for file in others:
        taken = names.intersection(RULE.findall(file.read_text(encoding="utf-8")))
        if taken:
            raise InputError(
                f"{own}: found a rule named '{min(taken)}', a name that {file.name} has already; "
                "expected names of its own: rename the rule"
            )


def check_rules(rules: Sequence[Any], outputs: Iterable[str], where: str | Path) -> None:
    """Raise InputError where a method's rules do not make its predictions or lack a file.

    rules : of Snakemake, those of the method alone. outputs : its predictions, one per patient.
    where : their file, for messages.
    """
    for rule in rules:
        environment = str(rule.conda_env or "")
        file = Path(where).parent / environment
        if environment.endswith((".yml", ".yaml")) and not file.is_file():
            raise InputError(
                f"{where}: rule {rule.name}: key 'conda': found no file {file}, expected the "
                "environment of its program; add the file, or leave the key out"
            )
    for output in outputs:
        if not any(rule.is_producer(output) for rule in rules):
            made = ", ".join(str(file) for rule in rules for file in rule.output) or "nothing"
            # Without what the suite lets a wildcard be: {patient,L109|L143}.
            made = re.sub(r"\{(\w+),[^{}]*\}", r"{\1}", made)
            raise InputError(
                f"{where}: no rule makes {output}, which is where predictions are expected; found "
                f"rules that make {made} (methods/README.md, Way 3)"
            )
